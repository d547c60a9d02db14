"""The project unpacked from an archive: what works without Git, and what says what it needs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from persistence_pipeline.dvc.command import StudyDvc

ROOT = Path(__file__).resolve().parents[2]
ASKED = "is in none: `git init` makes one here, `dvc config --local core.no_scm true` does without"


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    """The project without its repository."""
    shutil.copytree(
        ROOT / ".dvc", tmp_path / ".dvc", ignore=shutil.ignore_patterns("tmp", "cache", "config.local")
    )
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    (tmp_path / "src").mkdir()
    for name in ("dvc.yaml", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_without_a_repository_one_line_says_what_to_do(unpacked: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-m", "kedro", "repro", "--jobs=1"]
    done = subprocess.run(command, cwd=unpacked, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.strip()]
    assert line == f"error: DVC works in a Git repository, and {unpacked} {ASKED}"


NO_SCM = [sys.executable, "-m", "dvc", "config", "--local", "core.no_scm", "true"]


@pytest.mark.parametrize("command", [["git", "init", "--quiet"], NO_SCM], ids=["git", "alone"])
def test_what_the_line_names_helps(unpacked: Path, command: list[str]) -> None:
    subprocess.run(command, cwd=unpacked, check=True)
    dvc = StudyDvc(unpacked, "base")
    dvc.require_repository()
    assert dvc.run("status", "--json", capture_output=True).returncode == 0, "DVC itself is content"


def test_an_archive_without_hidden_files_is_noticed(unpacked: Path) -> None:
    shutil.rmtree(unpacked / ".dvc")
    with pytest.raises(SystemExit, match=r"\.dvc is missing"):
        StudyDvc(unpacked, "base").require_repository()
