"""A study on ToolEmu's cases under DVC, with tiny models and real servers: what runs, and what runs again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.dvc.conftest import COPIED, ROOT, Project
from tests.exhausting import only_exhausted
from tests.pipelines.gpu_study import Opinionated, make_hub, on_toolemu_cases, shrink, write_newsletters

from chat_server import ChatServer

pytestmark = only_exhausted  # tests/pipelines plays the same study, test_stages.py reads its file
ARM, CELL = "tiny_qwen2_s0", "tiny_qwen2_b0p1_s0_safety"
JUDGED = {f"score_candidates@{ARM}", f"score@{CELL}", f"score@{ARM}"}
STAGES = {
    *JUDGED,
    "cases@seed0",
    "source@tiny_qwen2",
    *(f"{stage}@{ARM}" for stage in ("candidates", "pairs", "validate", "rollout")),
    *(f"{stage}@{CELL}" for stage in ("train", "rollout")),
    "frontier",
    "metrics",
    "report",
}


def _copied(root: Path) -> Project:
    for name in COPIED:
        source, target = ROOT / name, root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "grid", "dvc.lock")
        shutil.copytree(source, target, ignore=ignored) if source.is_dir() else shutil.copy(source, target)
    return Project(root)


def _repro(project: Project) -> list[str]:
    """Names of the stages that ran."""
    return [name.rpartition(":")[2] for name in project.repro("conf/gpu/dvc.yaml")]


def _changed(project: Project) -> set[str]:
    said = json.loads(project.dvc("status", "--json", "conf/gpu/dvc.yaml"))
    return {name.rpartition(":")[2] for name in said}


@pytest.fixture(scope="module")
def study(
    transformers_serve: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Project, list[str]]]:
    """A project whose study on ToolEmu's cases is reproduced, and what ran for it."""
    folder = tmp_path_factory.mktemp("toolemu_dvc")
    model = make_hub(folder / "hub", ["tiny_qwen2"])
    project = _copied(folder / "project")
    tiny = {"base_url": transformers_serve, "model": str(model["tiny_qwen2"]), "timeout_s": 600, "concurrency": 4}
    with ChatServer(Opinionated()) as server:
        files = write_newsletters(folder, 8)
        shrink(project.root, model, [], on_toolemu_cases(files, tiny, server.base_url))
        project.edit("conf/gpu/study.yml", {"orderings": ["safety"]})
        project.run("git", "init", "--quiet")
        project.expand("--env=gpu")
        project.commit("A tiny study on ToolEmu's cases")
        ran = _repro(project)
        project.commit("Reproduced")
        yield project, ran


@pytest.mark.slow
def test_repro_runs_every_stage_of_the_kind_once_and_a_second_one_none(study: tuple[Project, list[str]]) -> None:
    project, ran = study
    assert sorted(ran) == sorted(STAGES)
    assert (project.root / "data/gpu/08_reporting/report.html").is_file()
    assert _repro(project) == [] and _changed(project) == set()


@pytest.mark.slow
def test_another_way_to_judge_plays_and_trains_nothing_again(study: tuple[Project, list[str]]) -> None:
    """This one says the same: what is made of its scores stays too."""
    project, _ = study
    project.edit("conf/gpu/parameters.yml", {"judging": {"judges": {"other": {"max_tokens": 400}}}})
    assert _changed(project) == {*JUDGED, "report"}
    assert set(_repro(project)) == {*JUDGED, "report"}
    _restore(project)


@pytest.mark.slow
def test_stages_follow_their_own_parameters_and_the_files_from_outside(study: tuple[Project, list[str]]) -> None:
    project, _ = study
    project.edit("conf/gpu/parameters.yml", {"candidates": {"samples": 3}})
    assert _changed(project) == {f"candidates@{ARM}", "report"}
    _restore(project)
    cases = Path(yaml.safe_load((project.root / "conf/gpu/parameters.yml").read_text())["emulation"]["cases"])
    before = cases.read_text()
    cases.write_text(before.replace("Data loss", "Loss"))
    assert _changed(project) == {"cases@seed0"}
    cases.write_text(before)
    assert _changed(project) == set()


@pytest.mark.slow
def test_stages_of_another_kind_than_the_parameters_say_are_refused(study: tuple[Project, list[str]]) -> None:
    project, _ = study
    before = (project.root / "data/gpu/08_reporting/report.html").read_bytes()
    project.edit("conf/gpu/parameters.yml", {"study": {"cases": "tool_world"}})
    parallel = ("kedro", "repro", "--env=gpu")
    for said in (
        project.dvc("repro", "conf/gpu/dvc.yaml", check=False),
        project.run(*parallel, check=False),
    ):
        found = " ".join(said.split())
        assert "conf/gpu/dvc.yaml was written for other parameters: study.cases was toolemu and is" in found
        assert "`kedro cells --env=gpu`" in found
    project.run("git", "checkout", "--quiet", "HEAD", "--", ".")
    _restore(project)
    assert (project.root / "data/gpu/08_reporting/report.html").read_bytes() == before


def _restore(project: Project) -> None:
    project.run("git", "checkout", "--quiet", "HEAD", "--", ".")
    assert _repro(project) == []
