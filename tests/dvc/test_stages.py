"""Tables and ``dvc.yaml`` files, held against the specs and against Kedro's graph: those that are committed, and
those of every kind of study.

Stages are read as DVC reads them and their commands as Kedro's command line reads them, so that nothing here
trusts what wrote the files. A stage may depend on a folder that holds more than what it reads.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import yaml
from kedro.pipeline import Pipeline
from tests.dvc.kinds import KINDS, OWN, ROOT, Place

from persistence_pipeline.dvc.command import StudyDvc
from persistence_pipeline.dvc.expanding import write_studies
from persistence_pipeline.dvc.file import render, require_fit
from persistence_pipeline.provenance.import_graph import files_behind
from persistence_pipeline.session import configuration
from persistence_pipeline.study import parse_study
from persistence_pipeline.study.expanded import expansion
from persistence_pipeline.study.policies import policy_name
from persistence_pipeline.study.policies import trained as trained_of

STUDIES = ["base", *sorted(path.parent.name for path in ROOT.glob("conf/*/dvc.yaml"))]
CODE = "src/persistence_pipeline"
OUTSIDE = {
    "toolemu": {"cases": {"/elsewhere/cases.json", "/elsewhere/toolkits.json"}},
    "published": {
        "published": {f"/elsewhere/{name}" for name in ("clone/data/raw_data_by_eval", "clone/results")}
    },
    "own": {"take_pairs": set(OWN.values())},
}
"""Files from outside that a stage of each kind reads; beside the toolkits, which both name alike."""
FORMS = {"datasets", "llm_client", "study"}
"""Rooms that say how things are written, asked for and named: no stage depends on them, nor on single modules."""
IN_PASSING = {
    "train": {"world"},  # the form of calls
    "candidates": {"preferences"},  # the form of exported turns
    "rollout": {"preferences"},
    "frontier": {"agents", "preferences", "rollout"},  # the class of parameters that names the user
    "published": {"analysis", "rollout", "world"},  # the usual margin, the list of stop reasons
    "take_pairs": {"analysis", "rollout", "world"},
}
"""Rooms of which a stage needs no more than a form."""
EMULATED_IN_PASSING = {"analysis", "preferences", "rollout", "world"}
"""The same where tools are emulated: the other world is imported beside it."""
ADD_UP = {"source", "candidates", "competence", "train", "rollout", "frontier"}
"""Stages whose last digits may depend on the number of threads, which hooks give to every run."""
NAMES_THE_DATA_FOLDER = {"conf/base/parameters_judging.yml", "conf/base/parameters_published.yml"}
"""Experiments with a kind that reads these set its parameters in a file of their environment."""
WITHOUT_EFFECT = {"scratch", "offline"}
"""Parameters that change where a run works, not what it makes."""


@dataclass(frozen=True)
class DvcStage:
    """A stage as DVC resolves it; paths relative to the project."""

    name: str
    command: str
    reads: frozenset[str]
    code: frozenset[str]
    writes: frozenset[str]
    parameters: frozenset[tuple[str, str]]
    """File and key; key ``*`` for a whole file."""

    @property
    def kind(self) -> str:
        """Its name without that of the cell."""
        return self.name.partition("@")[0]

    @cached_property
    def options(self) -> dict[str, Any]:
        """What Kedro's command line makes of the command."""
        from kedro.framework.cli.project import run

        program, verb, *arguments = shlex.split(self.command)
        assert (program, verb) == ("kedro", "run")
        return dict(run.make_context("run", arguments).params)


def _stages(place: Place) -> dict[str, DvcStage]:
    from dvc.dependency.param import ParamsDependency
    from dvc.repo import Repo

    def relative(item: Any) -> str:
        path = Path(item.fs_path)
        return str(path.relative_to(place.root) if path.is_relative_to(place.root) else path)

    with Repo(str(place.root)) as repo:
        stages = {}
        for stage in repo.stage.load_all(str(place.dvc_file)):
            parameters = [dep for dep in stage.deps if isinstance(dep, ParamsDependency)]
            paths = {relative(dep) for dep in stage.deps if not isinstance(dep, ParamsDependency)}
            code = {path for path in paths if path.startswith("src/")}
            keys = {(relative(dep), key) for dep in parameters for key in (dep.params or ["*"])}
            writes = frozenset(relative(out) for out in stage.outs)
            assert Path(stage.wdir) == place.root
            stages[stage.name] = DvcStage(
                stage.name, stage.cmd, frozenset(paths - code), frozenset(code), writes, frozenset(keys)
            )
        return stages


class KedroStudy:
    """An environment's pipelines, catalog and parameters, straight from Kedro."""

    def __init__(self, place: Place) -> None:
        from kedro.config import OmegaConfigLoader
        from kedro.io import DataCatalog

        self.env = place.env
        self.config = OmegaConfigLoader(
            str(place.conf),
            env=place.env,
            base_env="base",
            default_run_env="base",
            merge_strategy={"parameters": "soft"},
        )
        self.policies, self.design = parse_study(self.config["parameters"])
        self.catalog = DataCatalog.from_config(self.config["catalog"])
        self._pipelines: dict[str, Pipeline] = {}

    def slice(self, options: Mapping[str, Any]) -> Pipeline:
        """The nodes that a run with these options runs; other selections are not used in ``dvc.yaml``."""
        assert options["env"] == self.env
        used = {key for key, value in options.items() if value and value is not True}
        assert used <= {"env", "pipelines", "namespaces", "node_names", "tags", "conf_source", "runner"}, used
        whole = Pipeline([self._pipeline(name) for name in options["pipelines"]])
        return whole.filter(
            node_namespaces=options["namespaces"] or None,
            node_names=options["node_names"] or None,
            tags=options["tags"] or None,
        )

    def _pipeline(self, name: str) -> Pipeline:
        from importlib import import_module

        if name not in self._pipelines:
            module = import_module(f"persistence_pipeline.pipelines.{name}")
            self._pipelines[name] = module.create_pipeline(self.policies, self.design)
        return self._pipelines[name]

    def paths(self, names: set[str]) -> set[str]:
        """Files of datasets, relative to the project."""
        entries = [
            self.catalog._config_resolver.resolve_pattern(name) for name in names if not _is_parameter(name)
        ]
        return {str(entry.get("filepath") or entry["path"]) for entry in entries}


def _is_parameter(name: str) -> bool:
    return name == "parameters" or name.startswith("params:")


@pytest.fixture(scope="module", params=[*STUDIES, *KINDS])
def place(request: pytest.FixtureRequest, of_kind: Callable[[str], Place]) -> Place:
    if request.param in STUDIES:
        return Place(ROOT, request.param)
    return of_kind(request.param)


@pytest.fixture(scope="module")
def stages(place: Place) -> dict[str, DvcStage]:
    return _stages(place)


@pytest.fixture(scope="module")
def kedro(place: Place) -> KedroStudy:
    return KedroStudy(place)


@pytest.fixture(scope="module")
def slices(stages: dict[str, DvcStage], kedro: KedroStudy) -> dict[str, Pipeline]:
    return {name: kedro.slice(stage.options) for name, stage in stages.items()}


def test_tables_and_dvc_files_follow_from_the_specs(place: Place) -> None:
    study, config = StudyDvc(place.root, place.env), configuration(place.conf, place.env)
    hint = "run `make cells` and commit what it writes"
    assert study.table.read_text() == expansion(place.conf, place.env).render(), hint
    assert study.path.read_text() == render(study, config["parameters"], config["globals"]["data"]), hint


def test_the_files_are_short_enough_to_be_read() -> None:
    """Each by itself: DVC knows no file that several environments share."""
    lines = [Place(ROOT, env).dvc_file.read_text().splitlines() for env in STUDIES]
    assert max(map(len, lines)) <= 160 and sum(map(len, lines)) <= 600
    assert max(len(line) for file in lines for line in file) <= 115


def test_studies_that_are_over_in_minutes_have_a_table_and_no_stages(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    without = sorted({path.parent.name for path in ROOT.glob("conf/*/study.yml")} - set(STUDIES))
    assert {"quick", "smoke"} <= {*without}
    table = tmp_path / "conf/smoke/parameters_policies.json"
    before = table.read_text()
    table.unlink()
    said = list(write_studies(tmp_path / "conf", without))
    assert "conf/quick: 6 policies, unchanged; files unchanged" in said and table.read_text() == before
    assert not [*tmp_path.glob("conf/smoke/dvc.yaml"), *tmp_path.glob("conf/quick/dvc.yaml")]
    with pytest.raises(SystemExit, match=r"there is no conf/smoke/dvc\.yaml.*`kedro run --env=smoke` runs that"):
        require_fit(StudyDvc(tmp_path, "smoke"))


def test_dvc_and_kedro_know_the_same_policies(stages: dict[str, DvcStage], kedro: KedroStudy) -> None:
    trained = {name.partition("@")[2] for name in stages if name.startswith("train@")}
    assert trained == set(trained_of(kedro.policies))


def test_every_node_is_run_by_exactly_one_stage(slices: dict[str, Pipeline], kedro: KedroStudy) -> None:
    from persistence_pipeline.pipelines import compose

    run = sorted(node.name for pipeline in slices.values() for node in pipeline.nodes)
    assert run == sorted(node.name for node in compose.study(kedro.policies, kedro.design).nodes)


def _covers(declared: frozenset[str], paths: set[str]) -> bool:
    """Whether each path is declared, by itself or with its folder, and nothing is declared for none."""
    pairs = {(d, p) for d in declared for p in paths if Path(p).is_relative_to(d)}
    return {p for _, p in pairs} == paths and {d for d, _ in pairs} == declared


def test_stages_declare_what_their_slices_read_and_write(
    stages: dict[str, DvcStage], slices: dict[str, Pipeline], kedro: KedroStudy
) -> None:
    outside = OUTSIDE["toolemu"] if kedro.design.emulated else {}
    outside = outside | OUTSIDE.get(kedro.design.pairs, {})
    for name, stage in stages.items():
        files = outside.get(stage.kind, set())
        toolkits = {"/elsewhere/toolkits.json"} if files and kedro.design.pairs != "own" else set()
        read = kedro.paths(set(slices[name].inputs()))
        assert _covers(stage.reads, read | files | toolkits), (name, stage.reads, read)
        written = kedro.paths(set(slices[name].all_outputs()))
        assert _covers(stage.writes, written), (name, stage.writes, written)


def test_nothing_else_lies_in_a_folder_that_a_stage_makes(
    stages: dict[str, DvcStage], slices: dict[str, Pipeline], kedro: KedroStudy
) -> None:
    """DVC empties it before the stage runs: no other dataset may lie there, of the study or beside it."""
    made = {name: pipeline.all_outputs() for name, pipeline in slices.items()}
    beside = [kedro._pipeline(name).all_outputs() for name in ("judging", "emulation", "export", "published")]
    for dataset in set().union(*made.values(), *beside):
        entry = kedro.catalog._config_resolver.resolve_pattern(dataset)
        path = entry.get("filepath") or entry.get("path", "kept in memory")
        for name in {stage.kind: name for name, stage in stages.items()}.values():
            within = any(Path(path).is_relative_to(folder) for folder in stages[name].writes)
            assert within == (dataset in made[name]), (dataset, name)


def test_what_stands_on_all_cells_runs_again_when_there_are_others(
    place: Place, stages: dict[str, DvcStage]
) -> None:
    """It depends on their folders, in which those that were taken out stay."""
    for name in ("frontier", "report"):
        assert (f"conf/{place.env}/study.yml", "*") in stages[name].parameters


def _leaves(value: Any, key: str = "") -> Iterator[str]:
    if isinstance(value, dict) and value:
        for part, inner in value.items():
            yield from _leaves(inner, f"{key}.{part}" if key else str(part))
    else:
        yield key


def _parameter_files(place: Place) -> dict[str, dict[str, Any]]:
    folders = dict.fromkeys((place.conf / "base", place.conf / place.env))
    paths = [path for folder in folders for path in sorted(folder.glob("parameters*"))]
    return {str(path.relative_to(place.root)): yaml.safe_load(path.read_text()) or {} for path in paths}


def _within(key: str, names: set[str]) -> bool:
    return "*" in names or any(key == name or key.startswith(f"{name}.") for name in names)


def test_stages_declare_the_parameters_of_their_slices_and_no_others(
    place: Place, stages: dict[str, DvcStage], slices: dict[str, Pipeline], kedro: KedroStudy
) -> None:
    """Leaf by leaf: whichever file defines a value that a slice is given, the stage depends on it there."""
    own = f"conf/{place.env}/parameters_policies.json"
    defined = [(file, leaf) for file, content in _parameter_files(place).items() for leaf in _leaves(content)]
    kinds = {"policies.json", "scratch.yml", "judging.yml", "published.yml"}
    kinds -= {"judging.yml"} if kedro.design.emulated else set()
    kinds -= {"published.yml"} if kedro.design.pairs == "published" else set()
    for name, stage in stages.items():
        inputs = {i.removeprefix("params:") for i in slices[name].inputs() if _is_parameter(i)}
        used = (inputs - WITHOUT_EFFECT) | ({"threads"} if stage.kind in ADD_UP else set())
        used -= {key for key in used if stage.kind != "train" and key.startswith("policies.")}  # in its name
        for file, leaf in defined:
            if file.endswith("/parameters_policies.json") and file != own:
                continue  # the study's own table has the last word
            declared = _within(leaf, {key for where, key in stage.parameters if where == file})
            if {(file, leaf.split(".")[0])} & {(file, "sources"), (file, "training")} & stage.parameters:
                continue  # the file sets only some of them, so it counts for all
            if "parameters" in used:  # the report: all but what reaches it through its policies or not at all
                others = tuple(f"parameters_{kind}" for kind in kinds)
                expected = not file.endswith(others)
            else:
                expected = _within(leaf, used)
            assert declared == expected, (name, file, leaf)


def test_what_a_row_says_of_a_checkpoint_its_name_says_too(kedro: KedroStudy) -> None:
    """So stages that play and grade need not depend on rows."""
    for name, policy in kedro.policies.items():
        told = policy.provenance()
        assert name == told["cell"] == policy_name(told["source"], policy.factors, policy.seed, told["ordering"])


def test_an_experiment_can_set_what_stages_depend_on(
    place: Place, stages: dict[str, DvcStage], tmp_path: Path
) -> None:
    """`dvc exp run -S` reads and writes these files by OmegaConf, which knows no `${globals:...}`."""
    from dvc.utils.hydra import apply_overrides

    files = {file for stage in stages.values() for file, _ in stage.parameters}
    for file in files - NAMES_THE_DATA_FOLDER:
        copy = tmp_path / Path(file).name
        copy.write_text((place.root / file).read_text("utf-8"), "utf-8")
        apply_overrides(copy, ["+set_by_an_experiment=1"])


def test_stages_declare_the_code_that_they_run(
    place: Place, stages: dict[str, DvcStage], slices: dict[str, Pipeline], kedro: KedroStudy
) -> None:
    """Every room that the functions of their nodes reach, and no other; pipelines by their own folders."""
    for name in {stage.kind: name for name, stage in stages.items()}.values():
        stage = stages[name]
        reached = set()
        for node in slices[name].nodes:
            files = files_behind([(node.func.__module__, node.func.__name__)])
            rooms = {path.parts[1] for path in files if len(path.parts) > 2}
            _, *own, last = node.func.__module__.split(".")
            own_place = "/".join(own if last == "nodes" else [*own, f"{last}.py"])
            reached |= rooms - {"pipelines"} | {own_place}
        declared = {path.removeprefix(f"{CODE}/") for path in stage.code if path != f"{CODE}/validation.py"}
        needed = reached - FORMS - IN_PASSING.get(stage.kind, set())
        if kedro.design.emulated:
            needed -= EMULATED_IN_PASSING - declared
        assert declared == needed, name
        assert all((place.root / path).exists() for path in stage.code)


def test_every_output_is_in_the_cache_and_none_in_git(place: Place) -> None:
    """Numbers differ between processors: a run must not change what Git tracks."""
    document = yaml.safe_load(place.dvc_file.read_text())
    metrics = [out for stage in document["stages"].values() for out in stage.get("metrics", [])]
    assert metrics == ["${data}/08_reporting/metrics.json"]
    assert "cache:" not in place.dvc_file.read_text()
