"""What a ``dvc.yaml`` is written for: files from outside, and whether it still fits the parameters."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.dvc.kinds import ROOT, Place, edit, expand, make_kind

from persistence_pipeline.dvc.command import StudyDvc
from persistence_pipeline.dvc.file import check_fits, require_fit
from persistence_pipeline.dvc.outside import outside_files
from persistence_pipeline.session import configuration
from persistence_pipeline.study import StudyError
from published.published_clone import make_clone


@pytest.fixture(scope="module")
def parameters() -> dict[str, Any]:
    """All parameters of the environment gpu."""
    return dict(configuration(ROOT / "conf", "gpu")["parameters"])


def _with(parameters: dict[str, Any], **changes: dict[str, Any]) -> dict[str, Any]:
    changed = copy.deepcopy(parameters)
    for name, values in changes.items():
        changed[name].update(values)
    return changed


def test_the_tool_world_reads_nothing_from_outside(parameters: dict[str, Any]) -> None:
    assert outside_files(parameters) == {}


def test_a_family_of_the_user_s_and_its_template_are_files_of_the_source(
    parameters: dict[str, Any], tmp_path: Path
) -> None:
    file, template = tmp_path / "mine.yml", tmp_path / "mine.jinja"
    file.write_text("template: mine.jinja")
    template.write_text("")
    shipped = {"model": "m", "family": "qwen2_5"}
    sources = {"a": {"pretrained": {"model": "m", "family": str(file)}}, "b": {"pretrained": shipped}}
    found = outside_files({**parameters, "sources": sources})
    assert found == {"families": [str(file), str(template)]}
    template.unlink()
    assert outside_files({**parameters, "sources": sources}) == {"families": [str(file)]}


@pytest.mark.parametrize(
    ("study", "missing"),
    [({"cases": "toolemu"}, "emulation.cases"), ({"pairs": "published"}, "published.root")],
)
def test_a_kind_whose_files_are_not_named_has_no_stages(
    parameters: dict[str, Any], study: dict[str, str], missing: str
) -> None:
    with pytest.raises(StudyError, match=f"parameter {missing}: expected a path"):
        outside_files(_with(parameters, study=study))


def test_nothing_is_written_then(tmp_path: Path) -> None:
    place = make_kind(tmp_path, "published")
    edit(place.conf / "gpu/parameters_published.yml", {"published": {"root": None}})
    with pytest.raises(StudyError, match=r"parameter published\.root: expected a path"):
        expand(place)
    assert place.dvc_file.read_bytes() == (ROOT / "conf/gpu/dvc.yaml").read_bytes()


def test_a_clone_s_folders_and_its_toolkits_are_found(parameters: dict[str, Any], tmp_path: Path) -> None:
    clone = make_clone(tmp_path)
    named = {"study": {"pairs": "published"}, "published": {"root": str(clone)}}
    folders = [str(clone / "data/raw_data_by_eval"), str(clone / "results")]
    toolkits = str(clone / "assets/all_toolkits.json")
    assert outside_files(_with(parameters, **named)) == {"published": [*folders, toolkits]}
    (clone / "assets/all_toolkits.json").unlink()
    (clone / "results").rename(clone / "elsewhere")
    assert outside_files(_with(parameters, **named)) == {"published": folders[:1]}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"study": {"cases": "tool_world"}}, "study.cases was toolemu and is tool_world"),
        (
            {"study": {"pairs": "published"}, "published": {"root": "/a/clone"}},
            "study.pairs was candidates and is",
        ),
        (
            {"emulation": {"cases": "/o.json"}},
            "cases.do.deps now has /o.json; cases.do.deps no longer has /elsewhere/cases.json",
        ),
    ],
)
def test_stages_that_were_written_for_other_parameters_are_refused(
    of_kind: Callable[[str], Place], changes: dict[str, dict[str, Any]], said: str
) -> None:
    toolemu = of_kind("toolemu")
    parameters = _with(dict(configuration(toolemu.conf, "gpu")["parameters"]))
    dvc = StudyDvc(toolemu.root, "gpu")
    check_fits(dvc, parameters, "data/gpu")
    with pytest.raises(
        StudyError, match=rf"conf/gpu/dvc.yaml was written for other parameters: {said}.*`kedro cells"
    ):
        check_fits(dvc, _with(parameters, **changes), "data/gpu")
    with pytest.raises(StudyError, match="data was data/gpu and is data/moved"):
        check_fits(dvc, parameters, "data/moved")


def test_a_parameter_that_is_set_in_another_place_than_before_is_noticed(tmp_path: Path) -> None:
    """Stages depend on a parameter in the files that set it."""
    place = make_kind(tmp_path, "toolemu")
    expand(place)
    dvc = StudyDvc(place.root, "gpu")
    require_fit(dvc)
    file = place.conf / "gpu/parameters.yml"
    before = yaml.safe_load(file.read_text())
    edit(file, {"pairing": {**before["pairing"], "safety": {"min_gap": 1}}})
    with pytest.raises(SystemExit, match=r"pairs\.do\.params\.conf/gpu/parameters\.yml now has pairing\.safety;"):
        require_fit(dvc)
    edit(file, before)
    edit(file, {"rollout": {**before["rollout"], "samples": 9}})  # its stages depend on this: no other stages
    require_fit(dvc)
    edit(place.conf / "gpu/parameters_more.yml", {"report": {"browser_megabytes": 1}})
    with pytest.raises(SystemExit, match=r"report\.params now has conf/gpu/parameters_more\.yml;"):
        require_fit(dvc)


def test_a_file_of_an_earlier_version_is_refused_and_a_remark_in_it_is_not(tmp_path: Path) -> None:
    (tmp_path / "conf").symlink_to(ROOT / "conf")
    study = StudyDvc(tmp_path, "base")
    study.path.write_text((ROOT / "dvc.yaml").read_text().replace("stages:", "stages:  # all of them"))
    require_fit(study)
    document = yaml.safe_load(study.path.read_text())
    del document["vars"][2]
    study.path.write_text(yaml.safe_dump(document, sort_keys=False))
    with pytest.raises(SystemExit, match=r"it now has study; `kedro cells"):
        require_fit(study)
