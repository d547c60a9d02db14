"""Which commit a report names: that of the checkout that its code is part of, or none."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from persistence_pipeline.report.manifest import NO_CHECKOUT, commit_of

WHO = ("-c", "user.name=A", "-c", "user.email=a@example.org")
CODE = "src/persistence_pipeline/report/manifest.py"


@pytest.fixture(autouse=True)
def no_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)


def _unpacked(place: Path) -> Path:
    code = place / CODE
    code.parent.mkdir(parents=True)
    code.write_text("# the package\n")
    return code


def _repository(place: Path, *files: str) -> str:
    """Make a repository of a folder and commit; its commit."""
    place.mkdir(exist_ok=True)
    git = ["git", "-C", str(place), *WHO]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "add", "--", *files], check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "--message", "First"], check=True)
    return subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()


def test_a_checkout_and_what_differs_from_it(tmp_path: Path) -> None:
    code = _unpacked(tmp_path)
    (tmp_path / "dvc.lock").write_text("stages: {}\n")
    commit = _repository(tmp_path, CODE, "dvc.lock")
    assert commit_of(code) == commit
    (tmp_path / "dvc.lock").write_text("stages: {run: {}}\n")
    assert commit_of(code) == commit, "a run itself writes the lock"
    code.write_text("# changed\n")
    assert commit_of(code) == f"{commit} with changes"


def test_an_archive_names_no_commit(tmp_path: Path) -> None:
    assert commit_of(_unpacked(tmp_path)) == NO_CHECKOUT


@pytest.mark.parametrize("below", ["", "unpacked/here"])
def test_an_archive_inside_another_repository_names_no_commit(tmp_path: Path, below: str) -> None:
    _repository(tmp_path)
    assert commit_of(_unpacked(tmp_path / below)) == NO_CHECKOUT


def test_a_package_that_another_repository_has_taken_in_names_no_commit(tmp_path: Path) -> None:
    code = _unpacked(tmp_path / "vendored")
    _repository(tmp_path, "vendored")
    assert commit_of(code) == NO_CHECKOUT


def test_a_repository_that_the_environment_names_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = _repository(tmp_path / "other")
    archive, checkout = _unpacked(tmp_path / "archive"), _unpacked(tmp_path / "checkout")
    own = _repository(tmp_path / "checkout", CODE)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other/.git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path / "archive"))
    assert commit_of(archive) == NO_CHECKOUT
    assert commit_of(checkout) == own != other
