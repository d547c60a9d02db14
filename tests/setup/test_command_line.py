"""The project's own commands beside Kedro's: found, light until they are called, and brief about wrong input."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.projects import ROOT, copy_project

from persistence_pipeline.cli import StudyCommand, cli
from persistence_pipeline.report.paper import PaperError

LOADED = """
import sys
from kedro.framework.cli.cli import main
try:
    main()
except SystemExit:
    print("loaded:", *sorted({name.partition(".")[0] for name in sys.modules}))
"""
HEAVY = {"torch", "transformers", "trl", "datasets", "numpy", "pandas", "pandera", "plotly", "dvc", "ray"}


def _kedro(place: Path, *arguments: str, program: tuple[str, ...] = ("-m", "kedro")) -> tuple[int, str, str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "COLUMNS": "200"}
    command = [sys.executable, *program, *arguments]
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def test_kedro_shows_every_command_and_loads_none_of_their_rooms() -> None:
    code, output, _ = _kedro(ROOT, "--help", program=("-c", LOADED))
    own = output[output.index("commands from persistence_pipeline") : output.rindex("Project specific commands")]
    assert code == 0 and set(cli.commands) == {line.split()[0] for line in own.splitlines()[2:] if line.strip()}
    loaded = set(output.splitlines()[-1].split()[1:])
    assert "persistence_pipeline" in loaded and not loaded & HEAVY


def test_a_command_works_from_any_folder_of_the_project_and_says_in_one_line_what_is_missing(
    tmp_path: Path,
) -> None:
    project = copy_project(tmp_path / "project")
    code, _, said = _kedro(project / "conf/smoke", "paper", "--env=smoke")
    assert code == 1
    missing = project / "data/smoke/08_reporting/summary.json"
    assert said.splitlines()[-1] == f"error: {missing}: no such file; run the study first (kedro run)"


@pytest.mark.parametrize("asked", ["", "1"])
def test_wrong_input_is_told_briefly_and_faults_of_the_program_at_length(
    asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERSISTENCE_TRACEBACK", asked)

    def fail(error: Exception) -> None:
        error.add_note("in a node; `this` continues")
        raise error

    wrong = CliRunner().invoke(StudyCommand("wrong", callback=lambda: fail(PaperError("no figures"))))
    if asked:
        assert isinstance(wrong.exception, PaperError)
    else:
        assert wrong.exit_code == 1 and wrong.output == "error: no figures\nin a node; `this` continues\n"
    fault = CliRunner().invoke(StudyCommand("fault", callback=lambda: fail(ZeroDivisionError("1/0"))))
    assert isinstance(fault.exception, ZeroDivisionError)
