"""Two runs at once in one project, and a data folder that may not be written to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.projects import HANGS, Run, hashes

from persistence_pipeline.hooks.locks import DataFolderError, DataLock

HOLD = (
    "import sys; from pathlib import Path; from persistence_pipeline.hooks.locks import DataLock\n"
    "DataLock(Path(sys.argv[1])).acquire(sys.argv[2].split(), sys.argv[3].split())\n"
    "print('locked', flush=True); sys.stdin.read()"
)


@contextmanager
def _another_run(lock: Path, written: str, read: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLD, str(lock), written, read]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    yield process
    process.kill()
    process.wait()


def test_what_another_run_works_on_is_refused_and_the_rest_is_free(tmp_path: Path) -> None:
    path = tmp_path / "data" / "lock"
    mine = DataLock(path)
    with _another_run(path, "a.scores b.scores", "cases") as other:
        refused = rf"another run \(process {other.pid}\) is working on "
        with pytest.raises(DataFolderError, match=refused + r"a\.scores: wait until"):
            mine.acquire({"a.scores"}, {"cases"})
        with pytest.raises(DataFolderError, match=refused + r"b\.scores"):
            mine.acquire({"c.scores"}, {"b.scores"})
        with pytest.raises(DataFolderError, match=refused + "cases"):
            mine.acquire({"cases"}, set())
        mine.acquire({"c.scores", "d.scores"}, {"cases", "e"})
        mine.release()
    other.send_signal(signal.SIGKILL)
    mine.acquire({"a.scores", "cases"}, {"b.scores"})  # a killed run leaves no lock
    mine.release()


def test_a_busy_folder_names_three_and_counts_the_rest(tmp_path: Path) -> None:
    names = [f"d{n}" for n in range(6)]
    with (
        _another_run(tmp_path / "lock", " ".join(names), ""),
        pytest.raises(DataFolderError, match=r"d0, d1, d2 and 3 more"),
    ):
        DataLock(tmp_path / "lock").acquire(names, set())


@pytest.mark.slow
def test_the_second_of_two_runs_in_one_project_is_refused(spoiled: Path, kedro_run: Run) -> None:
    command = [sys.executable, "-m", "kedro", "run", "--env=smoke", "--nodes=llama.warm_start_source"]
    command += ["--params=warm_start.steps=5000"]
    lock = spoiled / "data/smoke/.scratch/lock"
    lock.unlink()
    before = hashes(spoiled)
    first = subprocess.Popen(command, cwd=spoiled, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(lambda: lock.exists() and _is_held(lock))
        second = kedro_run(spoiled, "--pipelines=training")
        assert second.returncode == 1 and "Traceback" not in second.stdout
        errors = [line for line in second.stdout.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1, second.stdout[-2000:]
        assert f"another run (process {first.pid}) is working on llama.checkpoint: wait until" in errors[0]
        beside = kedro_run(spoiled, "--nodes=study.summarise_grid")
        assert beside.returncode == 0, beside.stdout[-2000:]
    finally:
        first.send_signal(signal.SIGTERM)
        assert first.wait(HANGS) == 128 + signal.SIGTERM
    after = hashes(spoiled)
    assert {k: v for k, v in after.items() if "times" not in k} == {
        k: v for k, v in before.items() if "times" not in k
    }


def _is_held(lock: Path) -> bool:
    try:
        DataLock(lock).acquire({"llama.checkpoint"}, set())
    except DataFolderError:
        return True
    return False


def _wait_for(condition: object, seconds: float = HANGS) -> None:
    ends = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < ends
        time.sleep(0.2)


@pytest.mark.slow
def test_a_read_only_data_folder_is_named_before_anything_is_computed(spoiled: Path, kedro_run: Run) -> None:
    data = spoiled / "data"
    if subprocess.run(["mount", "--bind", "-o", "ro", data, data], capture_output=True).returncode:
        pytest.skip("may not mount a file system here")
    try:
        with pytest.raises(OSError, match="Read-only"):
            (data / "x").write_text("")
        done = kedro_run(spoiled, "--pipelines=training")
    finally:
        subprocess.run(["umount", data], check=True)
    assert done.returncode == 1 and "Traceback" not in done.stdout
    assert "error: the data folder cannot be written to: Read-only file system: " in done.stdout, done.stdout[
        -2000:
    ]
    assert "DPO" not in done.stdout
    assert os.access(data, os.W_OK)
