"""Copies of the project in which pipelines really run, as a user runs them."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HANGS = 1800
"""Seconds after which a process hangs for certain; until then the machine may be busy, no fault of the code."""
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def copy_project(target: Path) -> Path:
    """A project folder of its own: configuration copied, code shared, no data."""
    target.mkdir(parents=True)
    shutil.copytree(ROOT / "conf", target / "conf")
    shutil.copy(ROOT / "pyproject.toml", target / "pyproject.toml")
    shutil.copy(ROOT / ".telemetry", target / ".telemetry")
    (target / "src").mkdir()  # the package itself is installed
    return target


def hashes(project: Path) -> dict[str, str]:
    """SHA-256 of every file that runs have written, scratch aside."""
    files = sorted(p for p in (project / "data").rglob("*") if p.is_file() and ".scratch" not in p.parts)
    return {str(p.relative_to(project)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def start_kedro(project: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "kedro", "run", "--env=smoke", *arguments]
    return subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.fixture(scope="session")
def smoke_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy in which the whole smoke study ran; the workers of one run of tests share it."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "smoke"
    shared.mkdir(exist_ok=True)
    project = shared / "project"
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the second worker waits, and finds it
        if not (shared / "made").exists():
            shutil.rmtree(project, ignore_errors=True)  # of a worker that failed here
            process = start_kedro(copy_project(project))
            output, _ = process.communicate(timeout=HANGS)
            assert process.returncode == 0, output[-3000:]
            (project / "output.txt").write_text(output)
            (shared / "made").touch()
    return project


@pytest.fixture
def spoiled(smoke_run: Path, tmp_path: Path) -> Path:
    """A finished project that a test may spoil."""
    target = tmp_path / "project"
    shutil.copytree(smoke_run, target, symlinks=True)
    return target


@pytest.fixture(scope="session")
def kedro_run() -> Run:
    """Runs ``kedro run --env=smoke …`` in a project."""

    def run(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        process = start_kedro(project, *arguments)
        output, _ = process.communicate(timeout=HANGS)
        return subprocess.CompletedProcess(process.args, process.returncode, output, "")

    return run
