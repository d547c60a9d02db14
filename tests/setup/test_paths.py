"""Paths in parameters: relative ones are meant from the project's folder, and ~ is the home directory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.projects import copy_project

from persistence_pipeline.dvc.outside import outside_files
from persistence_pipeline.published.pairs import toolkit_file
from persistence_pipeline.published.settings import PairSettings
from persistence_pipeline.training.launch import read_launch


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_files_from_outside_may_lie_in_the_home_directory(home: Path) -> None:
    (home / "launch.yaml").write_text("distributed_type: MULTI_CPU\nnum_processes: 2\n")
    assert read_launch(Path("~/launch.yaml")).path == home / "launch.yaml"
    assert toolkit_file(PairSettings(toolkits="~/kits.json"), None) == home / "kits.json"
    emulation = {"cases": "~/cases.json", "toolkits": "kits.json"}
    design = {"cases": "toolemu", "pairs": "candidates"}
    parameters = {"study": design, "emulation": emulation, "sources": {}}
    assert outside_files(parameters) == {"emulation": [str(home / "cases.json"), "kits.json"]}


SESSIONS = """
import sys
from pathlib import Path
from kedro.framework.hooks import hook_impl
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

class Where:
    @hook_impl
    def before_node_run(self):
        print("works in", Path.cwd())

bootstrap_project(sys.argv[1])
for pipeline, namespace in (("synthesis", "seed0"), ("rollout", "llama_s0")):
    with KedroSession.create(sys.argv[1], env="smoke") as session:
        session._hook_manager.register(Where())
        try:
            session.run(pipeline_names=[pipeline], namespaces=[namespace])
            print("ran in", Path.cwd())
        except Exception:
            print("failed in", Path.cwd())
"""


def test_a_run_stands_in_the_projects_folder_and_goes_back(tmp_path: Path) -> None:
    project = copy_project(tmp_path / "project")
    below = project / "conf/base"
    (project / "conf/smoke/parameters_scratch.yml").write_text("scratch: state/here\n")
    command = [sys.executable, "-c", SESSIONS, str(project)]
    done = subprocess.run(command, cwd=below, capture_output=True, text=True)
    told = [line for line in done.stdout.splitlines() if " in /" in line]
    expected = [f"works in {project}", f"ran in {below}", f"failed in {below}"]
    assert told == expected, done.stdout[-2000:] + done.stderr[-2000:]
    assert (project / "state/here/lock").is_file()
    assert not list(below.glob("state")) and not list(below.glob("data"))
