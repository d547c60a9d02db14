"""What `make` does before anything is installed: the Python it finds, an environment that was left half made."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WANTED = re.compile(
    r"error: this needs Python 3\.11 to 3\.13, and \S+ is (.+); name another one: make run PYTHON=\S+"
)
FAKE = """\
#!{python}
import sys
sys.version_info = {version}
assert sys.argv[1] == "-c", "a Python of the wrong version is asked for its version and nothing else"
exec(sys.argv[2])
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A project folder in which nothing was installed."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def _make(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`make`, with a `pip install` that only says what it was asked for."""
    path = f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "MAKEFLAGS": ""}
    command = ["make", "INSTALL=echo pip", *arguments]
    return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("version", [(3, 10, 12, "final", 0), (3, 14, 0, "final", 0), (2, 7, 18, "final", 0)])
def test_a_python_of_another_version_is_named_and_nothing_is_left(
    place: Path, version: tuple[object, ...]
) -> None:
    (place / "bin").mkdir()
    fake = place / "bin/python3"
    fake.write_text(FAKE.format(python=sys.executable, version=version))
    fake.chmod(0o755)
    done = _make(place, "run")
    found = WANTED.search(done.stderr)
    assert done.returncode and found, done.stderr
    assert found[1] == ".".join(map(str, version[:3]))
    assert "Traceback" not in done.stderr and not (place / ".venv").exists()


def test_a_python_that_is_not_there(place: Path) -> None:
    done = _make(place, "run", "PYTHON=no-such-python")
    found = WANTED.search(done.stderr)
    assert done.returncode and found and found[1] == "not there"


def test_the_makefile_wants_what_the_package_requires(place: Path) -> None:
    assert 'requires-python = ">=3.11,<3.14"' in (place / "pyproject.toml").read_text()
    assert "(3, 11) <= sys.version_info[:2] <= (3, 13)" in (place / "Makefile").read_text()


def test_a_half_made_environment_is_made_anew_and_a_whole_one_is_kept(place: Path) -> None:
    python = f"PYTHON={sys.executable}"
    half = place / ".venv/bin"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place / ".venv"], check=True)  # as one stopped
    assert "pip --editable ." in _make(place, ".venv/installed", python).stdout
    assert (half / "pip").exists()
    kept = place / ".venv/kept"
    kept.touch()

    assert "pip" not in _make(place, ".venv/installed", python).stdout
    assert "pip --editable .[dvc]" in _make(place, ".venv/installed-dvc", python).stdout
    assert kept.exists(), "another set of packages goes into the same environment"

    failing = _make(place, ".venv/installed-dev", python, "INSTALL=false")
    assert failing.returncode and kept.exists()
    _make(place, ".venv/installed", python)
    assert kept.exists(), "an installation that failed by itself has left what was there"

    (place / ".venv/installing").touch()  # what a killed one leaves
    assert "-m venv --clear" in _make(place, "--dry-run", ".venv/installed", python).stdout
    (place / ".venv/installing").unlink()
    assert "-m venv" not in _make(place, "--dry-run", ".venv/installed", python).stdout
    (half / "python").unlink()
    (half / "python").symlink_to("/no/such/python")  # the system's Python was upgraded
    assert "-m venv --clear" in _make(place, "--dry-run", ".venv/installed", python).stdout
