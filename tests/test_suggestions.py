"""Wrong names on the command line are answered with the right ones, in one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from persistence_pipeline.suggestions import UnknownNameError, check_pipelines, explain, unknown

ROOT = Path(__file__).resolve().parents[1]


def test_the_nearest_name_is_suggested_and_few_names_are_listed() -> None:
    assert str(unknown("tool", "fnd", ["find", "send"])) == (
        "no tool is named 'fnd'; did you mean 'find'? Known: find, send"
    )
    assert str(unknown("tool", "zzz", ["find"])) == "no tool is named 'zzz'. Known: find"
    many = [f"node{n}" for n in range(100)]
    assert str(unknown("node", "nod7", many)).count("node") < 5


def test_a_pipeline_that_there_is_not_is_named() -> None:
    known = ["__default__", "safety", "sequential", "reporting"]
    check_pipelines([], known)
    check_pipelines(["__default__", "sequential", "reporting"], known)
    with pytest.raises(UnknownNameError, match="did you mean 'sequential'"):
        check_pipelines(["safety", "sequentail"], known)


def test_other_errors_are_left_alone(tmp_path: Path) -> None:
    assert explain(ValueError("something else")) is None
    (tmp_path / "smoke").mkdir()
    error = OSError(
        f"Given configuration path either does not exist or is not a valid directory: {tmp_path / 'smok'}"
    )
    assert str(explain(error)) == "no environment is named 'smok'; did you mean 'smoke'? Known: smoke"


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("--pipeline=sequentail", "error: no pipeline is named 'sequentail'; did you mean 'sequential'?"),
        ("--nodes=study.summarize", "error: no node is named 'study.summarize'; did you mean 'study.summarise'?"),
        (
            "--tags=trainig",
            "error: no node passes all of these filters. Tags there are: analysis, candidates, checkpoints",
        ),
    ],
)
def test_kedro_run_says_what_was_meant(argument: str, expected: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-m", "kedro", "run", argument]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode != 0 and "Traceback" not in done.stdout + done.stderr
    assert done.stderr.splitlines()[-1].startswith(expected)


def test_make_alone_lists_what_there_is() -> None:
    done = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True)
    listed = [line.split()[1] for line in done.stdout.splitlines()]
    assert {"run", "smoke", "test", "viz", "figures"} <= set(listed)
