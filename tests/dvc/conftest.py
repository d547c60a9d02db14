"""A copy of the project with a study small enough to reproduce in a test, under Git and DVC, and studies of each
further kind that are only expanded."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from tests.dvc.kinds import Place, expand, make_kind
from tests.projects import HANGS

ROOT = Path(__file__).resolve().parents[2]
COPIED = (
    "conf",
    "src",
    "pyproject.toml",
    ".telemetry",
    ".gitignore",
    ".dvcignore",
    ".dvc/config",
    ".dvc/.gitignore",
)
TINY: dict[str, Any] = {
    "world": {"twins_per_group": {"train": 1, "test_iid": 1, "test_combination": 1, "test_domain": 1}},
    "warm_start": {"twins_per_group": 12, "steps": 120, "batch_size": 32},
    "candidates": {"samples": 4},
    "rollout": {"samples": 1},
    "pairing": {name: {"min_gap": 1, "min_chosen": 0, "max_per_case": 2} for name in ("safety", "helpfulness")},
    "training": {name: {"batch_size": 2, "save_every": 3} for name in ("safety", "helpfulness")},
    "analysis": {"n_draws": 50},
}
TINY_MODEL = {"hidden_size": 64, "layers": 2, "heads": 2}
SAFETY, THEN = "llama_b0p1_s0_safety", "llama_b0p1_s0_safety_then_helpfulness"


@dataclass(frozen=True)
class Project:
    """A clone of the tiny project."""

    root: Path

    def run(self, *command: str, check: bool = True) -> str:
        """Output of a command run in the project."""
        done = subprocess.run(
            command,
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert not check or done.returncode == 0, done.stdout[-3000:]
        return done.stdout

    def dvc(self, *arguments: str, check: bool = True) -> str:
        """Output of a DVC command."""
        return self.run(sys.executable, "-m", "dvc", *arguments, check=check)

    def repro(self, *arguments: str) -> list[str]:
        """Names of the stages that a ``dvc repro`` ran."""
        lines = self.dvc("repro", *arguments).splitlines()
        return [line.split("'")[1] for line in lines if line.startswith("Running stage")]

    def changed(self) -> set[str]:
        """Names of the stages that DVC calls changed."""
        import json

        return set(json.loads(self.dvc("status", "--json")))

    def expand(self, *arguments: str) -> None:
        """Expand the spec, as `kedro cells` does."""
        self.run("kedro", "cells", *arguments)

    def commit(self, message: str) -> None:
        """Commit everything."""
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", message)

    def edit(self, file: str, changes: Mapping[str, Any]) -> None:
        """Change values of a YAML file."""
        path = self.root / file
        path.write_text(yaml.safe_dump(_merged(yaml.safe_load(path.read_text()), changes), sort_keys=False))

    def hashes(self) -> dict[str, str]:
        """What `dvc.lock` says of every output."""
        lock = yaml.safe_load((self.root / "dvc.lock").read_text())
        return {out["path"]: out["md5"] for stage in lock["stages"].values() for out in stage.get("outs", [])}

    @property
    def environment(self) -> dict[str, str]:
        """The user's, with this clone's code and this environment's programs first."""
        own = {
            "PYTHONPATH": str(self.root / "src"),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "DVC_GLOBAL_CONFIG_DIR": str(self.root.parent / "dvc-global"),
            "DVC_SITE_CACHE_DIR": str(self.root.parent / "dvc-site"),
            "OMP_NUM_THREADS": "1",
        }
        names = {
            f"GIT_{who}_{what}": f"{who}@example.org"
            for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        }
        return {**os.environ, **own, **names}


def _merged(value: Any, changes: Any) -> Any:
    if not isinstance(value, dict) or not isinstance(changes, Mapping):
        return changes
    return {**value, **{key: _merged(value.get(key), change) for key, change in changes.items()}}


@pytest.fixture(scope="session")
def of_kind(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Place]:
    """The expanded project of a kind, which tests leave as it is."""

    @cache
    def made(kind: str) -> Place:
        place = make_kind(tmp_path_factory.mktemp(kind), kind)
        expand(place)
        return place

    return made


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The tiny project, committed; nothing has run."""
    project = Project(tmp_path_factory.mktemp("dvc") / "first")
    others = {path.parent.name for path in (ROOT / "conf").glob("*/study.yml")} - {"base"}
    for name in COPIED:
        source, target = ROOT / name, project.root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "dvc.lock", *others)
        shutil.copytree(source, target, ignore=ignored) if source.is_dir() else shutil.copy(source, target)
    project.edit("conf/base/parameters.yml", TINY)
    project.edit(
        "conf/base/parameters_sources.yml", {"sources": {"llama": {"model": TINY_MODEL, "per_seed": False}}}
    )
    project.edit("conf/base/study.yml", {"seeds": [0], "orderings": ["safety", "safety>helpfulness"]})
    project.run("git", "init", "--quiet")
    project.expand()
    project.commit("A tiny study")
    return project


def _stop_parallel(project: Project) -> str:
    """Start the same command, stop it while the source is being trained; what it says. Nothing of it stays."""
    command = [sys.executable, "-m", "kedro", "repro", "--jobs=2"]
    process = subprocess.Popen(
        command,
        cwd=project.root,
        env=project.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    log = project.root / ".dvc/tmp/parallel/llama.txt"
    deadline = time.monotonic() + HANGS
    while not (log.is_file() and "kedro run" in log.read_text()):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.terminate()
    output, _ = process.communicate(timeout=HANGS)
    assert process.returncode == 1
    left = [p for p in psutil.process_iter(["cwd", "cmdline"]) if p.info["cwd"] == str(project.root)]
    assert left == [], [p.info["cmdline"] for p in left]
    return output


@pytest.fixture(scope="session")
def reproduced(fresh: Project) -> Project:
    """The tiny project, reproduced by two processes side by side, committed."""
    assert "stopped; run the same command to go on" in _stop_parallel(fresh)
    output = fresh.run("kedro", "repro", "--jobs=2")
    (fresh.root.parent / "parallel.txt").write_text(output)
    fresh.commit("Reproduced")
    return fresh
