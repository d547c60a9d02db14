"""Tables of policies that no longer are what a spec says, and environments that would share a data folder."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from tests.projects import ROOT, copy_project

from persistence_pipeline.dvc.command import StudyDvc
from persistence_pipeline.dvc.expanding import write_studies
from persistence_pipeline.dvc.file import require_fit
from persistence_pipeline.session import configuration
from persistence_pipeline.study import StudyError
from persistence_pipeline.study.expanded import check_expanded, check_own_data

MINE = """\
sources: [llama, gpt2]
orderings: [safety, helpfulness, safety>helpfulness, helpfulness>safety, both]
factors: {beta: [0.1]}
seeds: [0, 1]
"""


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """The project's configuration, in a project without data."""
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    (tmp_path / "src").symlink_to(ROOT / "src")
    return tmp_path / "conf"


def _add(conf: Path, env: str, **files: str) -> None:
    (conf / env).mkdir(exist_ok=True)
    for name, text in files.items():
        (conf / env / f"{name}.yml").write_text(text)


def _expand(conf: Path, env: str, *changes: str) -> str:
    (said,) = write_studies(conf, [env], changes)
    return said


@pytest.mark.parametrize("env", ["base", "local", "quick", "smoke", "grid", "gpu", "no_such_folder"])
def test_the_project_s_own_tables_are_their_specs(env: str) -> None:
    check_expanded(ROOT / "conf", env)
    check_own_data(ROOT / "conf", env)


def test_a_spec_changed_since_it_was_expanded_is_named_with_the_command(conf: Path) -> None:
    spec = conf / "grid/study.yml"
    spec.write_text(spec.read_text().replace("seeds: [0, 1, 2, 3, 4]", "seeds: [0, 1, 2, 3, 5]"))
    with pytest.raises(StudyError) as refused:
        check_expanded(conf, "grid")
    said = str(refused.value)
    assert "\n" not in said and said.startswith("conf/grid/study.yml no longer says what its table of policies")
    assert "(now 110 policies, 22 added, 22 removed)" in said
    assert "`kedro cells --env=grid` expands it" in said
    with pytest.raises(SystemExit, match=r"error: conf/grid/study.yml no longer says"):
        require_fit(StudyDvc(conf.parent, "grid"))
    _expand(conf, "grid")
    check_expanded(conf, "grid")


def test_a_spec_that_was_never_expanded_is_not_the_base_s(conf: Path) -> None:
    _add(conf, "mine", study=MINE)
    with pytest.raises(StudyError, match=r"conf/mine/study.yml has not been expanded .* --env=mine"):
        check_expanded(conf, "mine")


def test_an_environment_without_a_spec_has_the_base_s(conf: Path) -> None:
    spec = conf / "base/study.yml"
    spec.write_text(spec.read_text().replace("beta: [0.1]", "beta: [0.1, 0.2]"))
    _add(conf, "mine", parameters="world: {conflict_share: 0}\n")
    with pytest.raises(StudyError, match=r"conf/base/study.yml no longer .*15 added\).* --env=base"):
        check_expanded(conf, "mine")


def test_cells_added_to_the_base_do_not_join_a_study_that_was_expanded_before(conf: Path) -> None:
    spec = conf / "base/study.yml"
    spec.write_text(spec.read_text().replace("seeds: [0, 1, 2]", "seeds: [0, 1, 2, 7]"))
    _expand(conf, "base")
    with pytest.raises(StudyError, match=r"conf/grid/study.yml no longer says .*now 110 policies, unchanged"):
        check_expanded(conf, "grid")


def test_a_spec_among_this_machine_s_settings_is_refused(conf: Path) -> None:
    _add(conf, "local", study=MINE)
    with pytest.raises(StudyError, match=r"conf/local holds this machine's settings"):
        check_expanded(conf, "local")
    with pytest.raises(StudyError, match=r"conf/NAME/study.yml, and run with --env=NAME"):
        _expand(conf, "local")


def test_expanding_says_what_it_did(conf: Path) -> None:
    assert _expand(conf, "base") == "conf/base: 18 policies, unchanged; written: dvc.yaml"  # the copy has none
    assert _expand(conf, "base") == "conf/base: 18 policies, unchanged; files unchanged"
    said = (
        "conf/base: 15 policies, 6 added, 9 removed, 6 changed; written: conf/base/parameters_policies.json, dvc"
    )
    changes = ("factors.beta=[0.1, 0.3]", "orderings=[safety, both]", "factors.loss=ipo")
    assert _expand(conf, "base", *changes).startswith(said)
    (conf / "base/parameters_policies.json").write_text('{"policies": {')  # cut off
    assert "18 policies, 18 added" in _expand(conf, "base")


@pytest.mark.parametrize(
    ("study", "changes", "refused"),
    [
        (MINE, ("factors.lr=[0.1]",), "study.yml --set factors.lr=[0.1]: factors.lr: no such name; did you mean"),
        (MINE.replace("[0.1]", "[0.1, 0.1]"), (), "study.yml: factors.beta names 0.1 twice"),
        (MINE.replace("gpt2", "gpt3"), (), "study.yml: policy gpt3_s0: unknown source 'gpt3'; known"),
    ],
)
def test_a_refusal_names_the_spec(conf: Path, study: str, changes: Sequence[str], refused: str) -> None:
    _add(conf, "mine", study=study)
    with pytest.raises(StudyError, match=re.escape(f"conf/mine/{refused}")):
        _expand(conf, "mine", *changes)


def _data(conf: Path, env: str) -> str:
    return str(configuration(conf, env)["globals"]["data"])


def test_an_environment_has_a_data_folder_of_its_own(conf: Path) -> None:
    _add(conf, "mine", parameters="world: {conflict_share: 0}\n")
    _add(conf, "elsewhere", globals="data: /big/disk\n")
    assert _data(conf, "mine") == "data/mine"
    assert configuration(conf, "mine")["parameters"]["scratch"] == "data/mine/.scratch"
    assert configuration(conf, "mine")["catalog"]["study.report"]["filepath"].startswith("data/mine/08")
    assert _data(conf, "elsewhere") == "/big/disk"
    assert [_data(conf, env) for env in ("base", "local", "smoke", "grid")] == [
        "data",
        "data",
        "data/smoke",
        "data/grid",
    ]
    for env in ("mine", "elsewhere", "grid"):
        check_own_data(conf, env)


@pytest.mark.parametrize(
    ("folder", "whose"), [("data/", "the default study"), ("./data/grid", "the environment grid")]
)
def test_two_environments_do_not_share_a_data_folder(conf: Path, folder: str, whose: str) -> None:
    _add(conf, "mine", globals=f"data: {folder}\n")
    with pytest.raises(
        StudyError, match=rf"mine would keep its data where {whose} .*`data: data/mine` in conf/mine"
    ):
        check_own_data(conf, "mine")
    check_own_data(conf, "base")


@pytest.mark.slow
def test_a_study_of_one_s_own_as_the_readme_makes_it(tmp_path: Path) -> None:
    """A folder with only what differs, the command, a run, and DVC on both studies."""
    project = copy_project(tmp_path / "project")
    (project / "src").rmdir()
    shutil.copytree(ROOT / "src", project / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", ".dvcignore", ".gitignore"):
        shutil.copy(ROOT / name, project / name)
    (project / ".dvc").mkdir()
    (project / ".dvc/config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
    _add(project / "conf", "mine", study=MINE)
    options = {"cwd": project, "capture_output": True, "text": True, "timeout": 200}

    def typed(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", *command], **options)  # type: ignore[call-overload,no-any-return]

    early = typed("kedro", "run", "--env=mine")
    output = early.stdout + early.stderr
    assert early.returncode == 1 and "Traceback" not in output
    assert "error: conf/mine/study.yml has not been expanded" in output
    said = typed("kedro", "cells", "--env=mine")
    assert (
        "conf/mine: 24 policies, 24 added; written: conf/mine/parameters_policies.json, conf/mine/dvc.yaml"
        in said.stdout
    )
    ran = typed("kedro", "run", "--env=mine", "--nodes=seed1.make_cases")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert (project / "data/mine/03_primary/seed1/cases.jsonl").is_file()
    assert [path.name for path in (project / "data").iterdir()] == ["mine"]
    for file in ("dvc.yaml", "conf/mine/dvc.yaml"):
        listed = typed("dvc", "stage", "list", "--name-only", file)
        assert listed.returncode == 0, listed.stderr
        assert "train@" in listed.stdout
    assert typed("dvc", "status", "--quiet").returncode in (0, 1)  # 255 where two stages claim one file
    mine = yaml.safe_load((project / "conf/mine/dvc.yaml").read_text())
    assert mine["vars"][1]["data"] == "data/mine"
