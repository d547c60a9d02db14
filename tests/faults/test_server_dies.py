"""A model server killed in mid-rollout: what it had answered is kept, the rest is asked of the next one."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.projects import HANGS, ROOT
from tests.rollout.test_served import CASES, NOTHING

from persistence_pipeline.llm_client import ServingError
from persistence_pipeline.rollout.run import RolloutSettings, roll_out


@contextmanager
def _server(port: int, folder: Path, lives: int) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process and its address."""
    command = [sys.executable, "-m", "tests.faults.careful_server", str(port), str(folder), str(lives)]
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()


def _settings(address: str, journal: Path) -> RolloutSettings:
    served = {"base_url": address, "model": "cell", "concurrency": 4, "retries": 1, "keep_journal": True}
    return RolloutSettings.model_validate(
        {"samples": 1, "max_turn_tokens": 99, "served": served, "journal": journal}
    )


def test_a_server_that_dies_in_mid_rollout_loses_nothing(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with _server(port, tmp_path, lives=9) as (process, address):
        settings = _settings(address, tmp_path / "journal")
        with pytest.raises(ServingError, match=rf"{port}.*(start|attempts)"):
            roll_out(NOTHING, CASES, settings, policy="cell", seed=0)
        assert process.wait(HANGS) == -signal.SIGKILL
    kept = [len(file.read_text().splitlines()) for file in (tmp_path / "journal").iterdir()]
    assert 9 - settings.served.concurrency < sum(kept) <= 9  # an answer on its way when it died may be lost
    with _server(port, tmp_path, lives=0) as (_, again):
        assert again == address
        continued = roll_out(NOTHING, CASES, settings, policy="cell", seed=0)
        asked = int((tmp_path / "answered").read_text())
        whole = roll_out(NOTHING, CASES, _settings(address, tmp_path / "other"), policy="cell", seed=0)
        in_all = int((tmp_path / "answered").read_text()) - asked
    assert continued == whole and len(whole) == len(CASES)
    assert asked == in_all - sum(kept)
