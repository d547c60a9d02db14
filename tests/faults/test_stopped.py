"""A run that was stopped says the whole command that goes on, and that makes all that it would have made."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from tests.projects import HANGS, hashes

KILLER = Path(__file__).parent / "killer"
TURN = "persistence_pipeline.rollout.batched:BatchedPolicy._take_token"
CELL = "llama_b0p1_s0_safety"
OPTIONS = (
    "--runner=SequentialRunner",
    "--from-nodes=llama_b0p1_s0_both.train_cell",
    "--params=training.both.learning_rate=0.002,training.both.epochs=2",
)


def _typed(project: Path, *words: str, **environment: str) -> tuple[int, str]:
    """Exit status and output of a command; the environment is named by KEDRO_ENV alone."""
    path = f"{KILLER}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    variables = {**os.environ, "KEDRO_ENV": "smoke", "PYTHONPATH": path, **environment}
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=project, env=variables, capture_output=True, text=True, timeout=HANGS
    )
    return done.returncode, done.stdout + done.stderr


def _advised(output: str) -> list[str]:
    (command,) = set(re.findall(r"`(kedro run [^`]*)` continues", output))
    return shlex.split(command)


def _without_times(project: Path) -> dict[str, str]:
    return {path: digest for path, digest in hashes(project).items() if not path.endswith("times.json")}


@pytest.mark.slow
def test_a_stopped_run_is_continued_by_the_command_that_it_names(spoiled: Path) -> None:
    """Ctrl-C, then a kill, then to the end: nothing of another parameter is left in the result."""
    stop = {"FAULT_AT": f"{TURN}:40", "FAULT_SIGNAL": "SIGINT"}
    code, output = _typed(spoiled, "kedro", "run", *OPTIONS, **stop)
    assert code == 130, output[-3000:]
    assert "stopped in llama_b0p1_s0_both.roll_out; `" in output and "Aborted!" not in output
    advised = _advised(output)
    assert advised == ["kedro", "run", *OPTIONS, "--env=smoke", "--only-missing-outputs"]
    notice = spoiled / "data/smoke/08_reporting/OUTDATED.txt"
    assert shlex.join(advised) in notice.read_text()

    kill = {"FAULT_AT": f"{TURN}:20", "FAULT_SIGNAL": "SIGKILL"}
    code, output = _typed(spoiled, *advised, **kill)
    assert code == -9 and "outdated, made again: " in output
    code, output = _typed(spoiled, *advised)
    assert code == 0, output[-3000:]
    told = " ".join(output.split())
    assert f"A run was killed; `{shlex.join(advised)}` continues it: this run does." in told
    assert "Not up to date" not in output and "Report: " in output
    assert not notice.exists()
    continued = _without_times(spoiled)
    code, output = _typed(spoiled, "kedro", "run", *OPTIONS)
    assert code == 0
    assert _without_times(spoiled) == continued, "as a run that nobody stopped makes it"


@pytest.mark.slow
def test_a_part_of_a_study_made_anew_is_not_shown_as_the_study(spoiled: Path) -> None:
    """The rest is outdated, it is said, and the command that is named brings it up to date."""
    scores = f"{CELL}.score"
    table = spoiled / f"data/smoke/07_model_output/rollouts/{CELL}/trajectories.jsonl"
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join([*lines[1:], lines[0]]))  # as if it had been played anew
    code, output = _typed(spoiled, "kedro", "run", f"--nodes={scores}")
    told = " ".join(output.split())
    assert code == 0
    assert f"Not checked, for it is not known what they were made from: outputs of {CELL}.roll_out" in told
    assert "Now outdated: outputs of " in told and f"study.collect_scores ({CELL}.scores has changed)" in told
    code, output = _typed(spoiled, "kedro", "run", "--nodes=study.write_report")
    told = " ".join(output.split())
    assert "Report: " in told and "Not up to date: this run stands on study.collect_scores" in told
    reporting = spoiled / "data/smoke/08_reporting"
    assert "study.collect_scores" in (reporting / "OUTDATED.txt").read_text()
    code, output = _typed(spoiled, "kedro", "paper")
    assert code == 1 and f"error: {reporting / 'OUTDATED.txt'}: " in output and "Traceback" not in output
    (again,) = set(re.findall(r"`(kedro run [^`]*)` makes", told))
    assert again == "kedro run --env=smoke --only-missing-outputs"
    code, output = _typed(spoiled, *shlex.split(again))
    assert code == 0 and "Not up to date" not in output and not (reporting / "OUTDATED.txt").exists()


def test_an_error_names_the_command_too(spoiled: Path) -> None:
    scores = spoiled / "data/smoke/04_feature/llama_s0/candidate_scores.parquet"
    pd.read_parquet(scores).assign(safety=1.0).to_parquet(scores)
    code, output = _typed(
        spoiled, "kedro", "run", "--nodes=llama_s0.make_pairs_safety", "--params=pairing.safety.max_per_case=1"
    )
    assert code == 1 and "\nin llama_s0.make_pairs_safety; once that is mended, `" in output
    assert _advised(output)[2:] == [
        "--nodes=llama_s0.make_pairs_safety",
        "--params=pairing.safety.max_per_case=1",
        "--env=smoke",
        "--only-missing-outputs",
    ]
