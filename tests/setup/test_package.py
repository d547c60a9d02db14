"""The project as a package: what `kedro package` makes runs where there is no project."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
IGNORED = shutil.ignore_patterns("__pycache__", "*.egg-info")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the wheel was installed."""
    project, target = tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("installed")
    shutil.copytree(ROOT / "src", project / "src", ignore=IGNORED)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, project / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", project, project], check=True)
    (wheel,) = project.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", target, wheel], check=True)
    return target


def _run(installed: Path, place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(installed), "COLUMNS": "200"}
    command = [sys.executable, "-m", "persistence_pipeline", *arguments]
    return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True)


def test_the_wheel_holds_every_file_of_the_package(installed: Path) -> None:
    package = ROOT / "src/persistence_pipeline"
    files = {p.relative_to(package) for p in package.rglob("*") if p.is_file() and "__pycache__" not in p.parts}
    missing = {path for path in files if not (installed / "persistence_pipeline" / path).is_file()}
    assert files and not missing


def test_the_package_runs_with_a_configuration_of_its_own(installed: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    done = _run(installed, tmp_path, "--env=smoke", "--pipelines=synthesis", "--namespaces=seed0")
    assert done.returncode == 0, done.stderr
    assert "seed0.make_cases" in done.stdout and "usage data" not in done.stdout + done.stderr
    assert (tmp_path / "data/smoke/03_primary/seed0/cases.jsonl").is_file()


def test_without_a_configuration_it_says_what_is_wanted(installed: Path, tmp_path: Path) -> None:
    done = _run(installed, tmp_path)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert f"there is no configuration at {tmp_path / 'conf'}; --conf-source=PATH" in done.stderr
