"""A study killed in every long step, each time in another folder, clock and locale, ends with the same bytes."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from itertools import cycle
from pathlib import Path

import pytest
from tests.exhausting import EXHAUST
from tests.projects import HANGS, copy_project, hashes

KILLER = Path(__file__).parent / "killer"
STUDY = "persistence_pipeline"
STAGE = "training.trainer:AgentTokensCollator.torch_call"
TURN = "rollout.batched:BatchedPolicy._take_token"
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
KILLS: list[tuple[str, str, dict[str, str], str]] = [
    # the call that the process dies in, how, the environment it runs in, what it was doing
    (
        "training.cloning:_backward:150",
        "SIGTERM",
        ASCII | {"TZ": "Pacific/Kiritimati"},
        "llama.warm_start_source",
    ),
    ("training.progress:Progress.save:1", "SIGKILL", {"LC_ALL": "tr_TR.UTF-8"}, "llama.warm_start_source"),
    ("datasets._atomic:_fsync:5", "SIGKILL", {}, "while the source's checkpoint is moved to its place"),
    (f"{TURN}:400", "SIGTERM", {"TZ": "America/St_Johns"}, "llama_s0.roll_out"),
    (f"{TURN}:900", "SIGKILL", {"LC_ALL": "tr_TR.UTF-8"}, "llama_s0.roll_out"),
    (f"{STAGE}:6", "SIGKILL", ASCII, ".train_cell"),
    (f"{STAGE}:9", "SIGTERM", {"TZ": "America/St_Johns"}, ".train_cell"),
    (f"{TURN}:60", "SIGKILL", {}, ".roll_out"),
    (f"{TURN}:90", "SIGTERM", {}, ".roll_out"),
]
"""Each long step is killed twice; `make test` kills it once."""
FAKED = {"SIGTERM": "1970-01-02 03:04:05", "SIGKILL": "2100-12-31 23:59:50"}


def _at(date: str) -> dict[str, str]:
    """The environment in which a process believes in a date; empty where ``faketime`` is not installed."""
    if not shutil.which("faketime"):
        return {}
    shown = subprocess.run(["faketime", date, "env"], capture_output=True, text=True, check=True).stdout
    variables = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    return {name: variables[name] for name in ("LD_PRELOAD", "FAKETIME")}


def _kedro(project: Path, folder: str, environment: dict[str, str]) -> tuple[int, str]:
    command = [sys.executable, "-m", "kedro", "run", "--env=smoke", "--only-missing-outputs"]
    path = f"{KILLER}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    output = (project / "output.txt").open("w")
    with output:
        done = subprocess.run(
            command,
            cwd=project / folder,
            env={**os.environ, **environment, "PYTHONPATH": path},
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=HANGS,
        )
    return done.returncode, (project / "output.txt").read_text(errors="replace")


@pytest.mark.slow
def test_a_study_killed_in_every_long_step_ends_with_the_same_bytes(smoke_run: Path, tmp_path: Path) -> None:
    project = copy_project(tmp_path / "killed")
    whole, kills = hashes(smoke_run), KILLS if EXHAUST else KILLS[::2]
    for (place, name, environment, doing), folder in zip(kills, cycle(("src", "conf/base", "")), strict=False):
        fault = {"FAULT_AT": f"{STUDY}.{place}", "FAULT_SIGNAL": name}
        code, output = _kedro(project, folder, environment | fault | _at(FAKED[name]))
        number = signal.Signals[name]
        assert code in (-number, 128 + number), (place, output[-3000:])
        if name == "SIGTERM":
            assert re.search(
                rf"stopped in \S*{re.escape(doing)}\S*; `kedro run --env=smoke --only-missing-outputs` continues",
                output,
            )
        kept = hashes(project)
        assert all(whole[path] == digest for path, digest in kept.items() if not _debris(path)), place
    code, output = _kedro(project, "conf", {})
    assert code == 0, output[-3000:]
    ended = hashes(project)
    times = "data/smoke/08_reporting/times.json"
    assert ended.pop(times) != whole.pop(times)
    assert ended == whole and sum(name.endswith("model.safetensors") for name in whole) == 6
    assert [path.parent for path in project.rglob(".scratch")] == [project / "data/smoke"]


def _debris(path: str) -> bool:
    """A file that is not in its place yet; the next run clears it away."""
    return any(part.startswith(".") for part in Path(path).parts)
