"""Records of what was made from what, on small graphs that really run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kedro.framework.hooks.manager import _create_hook_manager, _register_hooks
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline, node
from kedro.runner import SequentialRunner
from kedro_datasets.json import JSONDataset

from persistence_pipeline.provenance.hooks import RecordHooks, count_as_missing
from persistence_pipeline.provenance.ledger import Desk, Ledger
from persistence_pipeline.provenance.note import RunNote, cut_off, seconds_of_run, took
from persistence_pipeline.provenance.outdated import Books

FORMATS = "as ever"


def add(*values: Any) -> int:
    """A result that tells its inputs apart."""
    return sum((place + 1) * value for place, value in enumerate(values)) % 1009


def both(*values: Any) -> tuple[int, int]:
    return add(*values), add(*values, 1)


CHAIN = Pipeline(
    [
        node(add, "params:first", "a", name="make_a"),
        node(both, ["a", "params:second"], ["b", "c"], name="make_b_and_c"),
        node(add, ["b", "c"], "d", name="make_d"),
        node(add, ["a", "params:third"], "e", name="make_e"),
    ]
)


class StopError(Exception):
    """A run is stopped."""


class Project:
    """A folder in which graphs run as Kedro's sessions run them."""

    def __init__(self, folder: Path, pipeline: Pipeline = CHAIN) -> None:
        self.folder, self.pipeline = folder, pipeline
        self.parameters: dict[str, Any] = {"first": 1, "second": 2, "third": 3}
        self.ledger = Ledger(folder / "made")

    def catalog(self) -> DataCatalog:
        names = {name for name in self.pipeline.datasets() if not name.startswith("params:")}
        datasets = {name: JSONDataset(filepath=str(self.folder / f"{name}.json")) for name in names}
        catalog = DataCatalog(datasets=dict(datasets))
        for name, value in self.parameters.items():
            catalog[f"params:{name}"] = value
        return catalog

    def books(self, catalog: DataCatalog | None = None) -> Books:
        return Books(self.ledger, catalog or self.catalog(), self.parameters, FORMATS)

    def kinds(self) -> dict[str, str]:
        return {name: one.kind for name, one in self.books().examine(self.pipeline.nodes).items()}

    def run(self, *names: str, only_missing: bool = False, saves: int | None = None) -> None:
        """Run these nodes, or all; stop before one more save than ``saves``."""
        part = self.pipeline.filter(node_names=names) if names else self.pipeline
        catalog = self.catalog()
        books = self.books(catalog)
        nodes = part.nodes
        if only_missing:
            found = books.examine(nodes)
            nodes = [node for node in nodes if found[node.name].kind in ("outdated", "missing")]
            count_as_missing(nodes, found, catalog)
        books.take_stock(self.pipeline, {node.name for node in nodes})
        desk = Desk(self.ledger.folder, {node.name: books.given(node) for node in part.nodes})
        note = RunNote.open(self.folder / "runs", "again", desk)
        hooks = _create_hook_manager()
        _register_hooks(hooks, (RecordHooks(), _Stopper(saves)))
        try:
            SequentialRunner().run(part, catalog, hooks, only_missing_outputs=only_missing)
        except StopError:
            pass
        finally:
            note.close()

    def contents(self) -> dict[str, int]:
        return {path.stem: json.loads(path.read_text()) for path in self.folder.glob("*.json")}


class _Stopper:
    def __init__(self, saves: int | None) -> None:
        self._left = saves

    from kedro.framework.hooks import hook_impl

    @hook_impl
    def before_dataset_saved(self) -> None:
        if self._left is not None:
            if not self._left:
                raise StopError
            self._left -= 1


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """The chain, run once."""
    project = Project(tmp_path)
    project.run()
    return project


def test_what_was_made_here_and_now_is_current(project: Project) -> None:
    assert set(project.kinds().values()) == {"current"}
    project.run()
    assert set(project.kinds().values()) == {"current"}


@pytest.mark.parametrize(
    ("parameter", "outdated"),
    [
        ("first", {"make_a", "make_b_and_c", "make_d", "make_e"}),
        ("second", {"make_b_and_c", "make_d"}),
        ("third", {"make_e"}),
    ],
)
def test_a_changed_parameter_outdates_what_stands_on_it(
    project: Project, parameter: str, outdated: set[str]
) -> None:
    project.parameters[parameter] = 50
    kinds = project.kinds()
    assert {name for name, kind in kinds.items() if kind == "outdated"} == outdated
    reasons = {name: one.reason for name, one in project.books().examine(CHAIN.nodes).items()}
    assert f"params:{parameter} has changed" in reasons.values()
    before = project.contents()
    project.run(only_missing=True)
    assert project.contents() != before and set(project.kinds().values()) == {"current"}


def test_a_part_that_is_made_anew_outdates_the_rest_unless_it_is_the_same(project: Project) -> None:
    project.run("make_a")
    assert set(project.kinds().values()) == {"current"}
    project.parameters["first"] = 9
    project.run("make_a")
    assert project.kinds() == {
        "make_a": "current",
        "make_b_and_c": "outdated",
        "make_d": "outdated",
        "make_e": "outdated",
    }


@pytest.mark.parametrize("saves", range(5))
def test_a_stopped_run_is_continued_to_what_it_would_have_made(tmp_path: Path, saves: int) -> None:
    whole, project = Project(tmp_path / "whole"), Project(tmp_path / "stopped")
    project.run()
    for one in (whole, project):
        one.parameters["first"] = 70
    whole.run()
    project.run(saves=saves)
    assert project.contents() != whole.contents() or saves == 5
    project.run(only_missing=True)
    assert project.contents() == whole.contents()


@pytest.mark.parametrize("saves", range(5))
def test_so_it_is_where_nothing_is_known_of_what_was_there(tmp_path: Path, saves: int) -> None:
    """As after ``dvc pull``, or with data of an earlier version."""
    project = Project(tmp_path / "stopped")
    project.run()
    for path in (project.folder / "made").glob("*.json"):
        path.unlink()
    assert set(project.kinds().values()) == {"unknown"}
    project.parameters["first"] = 70
    project.run(saves=saves)
    project.run(only_missing=True)
    whole = Project(tmp_path / "whole")
    whole.parameters["first"] = 70
    whole.run()
    assert project.contents() == whole.contents()


def test_a_part_run_on_data_of_unknown_origin_outdates_what_stands_on_it(project: Project) -> None:
    for path in (project.folder / "made").glob("*.json"):
        path.unlink()
    project.parameters["first"] = 70
    project.run("make_a")
    assert project.kinds()["make_e"] == "outdated"
    assert project.kinds()["make_d"] == "outdated", "it stands on what stands on it"


def test_what_something_else_wrote_is_unknown_and_what_stands_on_it_outdated(project: Project) -> None:
    (project.folder / "a.json").write_text("77")
    assert project.kinds() == {
        "make_a": "unknown",
        "make_b_and_c": "outdated",
        "make_d": "outdated",
        "make_e": "outdated",
    }


def test_a_missing_output_and_a_torn_record(project: Project) -> None:
    (project.folder / "b.json").unlink()
    assert project.kinds()["make_b_and_c"] == "missing" and project.kinds()["make_d"] == "outdated"
    project.run(only_missing=True)
    assert set(project.kinds().values()) == {"current"}
    (project.folder / "made" / "make_e.json").write_text('{"given": {')
    assert project.kinds()["make_e"] == "outdated"


def test_changed_code_concerns_the_nodes_that_stand_on_it(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record names a package whose files differ from those that there are."""
    record = project.ledger.read("make_a")
    assert record is not None and record.given.code == project.ledger.package()
    for path, expected in (("persistence_pipeline/datasets/tables.py", "current"), (None, "outdated")):
        then = project.ledger.package_then(record.given.code)
        listing = {**then, **({path: "another"} if path else {})} if path else {}
        (project.folder / "made/code" / "earlier.json").write_text(json.dumps(listing))
        earlier = {**json.loads((project.folder / "made/make_a.json").read_text())}
        earlier["given"]["code"] = "earlier"
        (project.folder / "made/make_a.json").write_text(json.dumps(earlier))
        assert project.kinds()["make_a"] == expected, path


def test_the_next_run_tells_of_one_that_was_killed_and_only_of_that(tmp_path: Path) -> None:
    living = RunNote.open(tmp_path, "mine", Desk(tmp_path, {}))
    (tmp_path / "4.json").write_text(json.dumps({"command": "kedro run --env=smoke", "desk": {}}))
    (tmp_path / "4.times").write_text('["make_a", 1.5]\n')
    took("make_b", 2.5)
    (tmp_path / "5.json").write_text('{"comm')
    assert list(cut_off(tmp_path)) == ["kedro run --env=smoke"]
    assert list(cut_off(tmp_path)) == []
    assert seconds_of_run() == {"make_b": 2.5}
    living.close()
    assert list(tmp_path.iterdir()) == []
    took("make_b", 2.5)
    assert seconds_of_run() == {} and list(tmp_path.iterdir()) == []


# -- any graph, any history ------------------------------------------------------------------------------


@st.composite
def graphs(draw: st.DrawFn) -> Pipeline:
    nodes = []
    for place in range(draw(st.integers(2, 6))):
        known = [f"x{i}{side}" for i in range(place) for side in ("", "_too")]
        read = draw(st.lists(st.sampled_from(known), max_size=3, unique=True)) if known else []
        parameter = draw(st.sampled_from(["params:first", "params:second", "params:third"]))
        nodes.append(node(both, [parameter, *read], [f"x{place}", f"x{place}_too"], name=f"n{place}"))
    return Pipeline(nodes)


STEPS = st.one_of(
    st.tuples(st.just("set"), st.sampled_from(["first", "second", "third"]), st.integers(0, 3)),
    st.tuples(st.just("run"), st.sets(st.integers(0, 5)), st.none() | st.integers(0, 11)),
    st.tuples(st.just("continue"), st.none() | st.integers(0, 11)),
    st.tuples(st.just("forget"), st.integers(0, 5)),
)


@settings(max_examples=30)
@given(graphs(), st.lists(STEPS, max_size=8))
def test_whatever_happened_what_continues_ends_as_a_fresh_run(
    tmp_path_factory: pytest.TempPathFactory, pipeline: Pipeline, steps: list[tuple[Any, ...]]
) -> None:
    project = Project(tmp_path_factory.mktemp("any"), pipeline)
    project.run()
    names = [node.name for node in pipeline.nodes]
    for what, *details in steps:
        if what == "set" and "unknown" in project.kinds().values():
            continue  # of what was made from the old value, nobody could tell
        if what == "set":
            project.parameters[details[0]] = details[1]
        elif what == "run":
            project.run(*[f"n{i}" for i in details[0] if f"n{i}" in names], saves=details[1])
        elif what == "continue":
            project.run(only_missing=True, saves=details[0])
        elif details[0] < len(names):  # as if DVC had checked out what it then says is up to date
            project.run(only_missing=True)
            (project.folder / "made" / f"n{details[0]}.json").unlink(missing_ok=True)
    project.run(only_missing=True)
    fresh = Project(tmp_path_factory.mktemp("fresh"), pipeline)
    fresh.parameters = project.parameters
    fresh.run()
    assert project.contents() == fresh.contents()
