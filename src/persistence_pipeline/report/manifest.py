"""What a run was: code, versions, parameters and seeds. Nothing here changes between two runs of one commit."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel

PACKAGES = ("persistence-pipeline", "kedro", "torch", "transformers", "trl", "peft", "numpy", "scipy", "pandas")
WRITTEN = ("dvc.lock", "*/dvc.lock", "data")
"""Tracked files that runs themselves write."""


def describe_run(parameters: dict[str, Any], scores: pd.DataFrame) -> dict[str, Any]:
    """Manifest of a study.

    Args:
        parameters: The parameters of the run, as Kedro read them.
        scores: The study's score table, whose hash stands for all its results.
    """
    written = json.dumps(parameters, sort_keys=True, default=_plain)
    return {
        "commit": _commit(),
        "versions": {name: _version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "machine": platform.machine(),
        "parameters": json.loads(written),
        "parameters_sha256": hashlib.sha256(written.encode()).hexdigest(),
        "scores_sha256": _table_hash(scores),
        "seeds": sorted({int(seed) for seed in scores["seed"]}),
        "sources": sorted(map(str, scores["source"].unique())),
    }


def _plain(value: Any) -> Any:
    """Parameters that were already turned into settings, as they are written."""
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    """Commit of the working tree, marked where tracked files differ from it."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)  # noqa: S603
        status = [*git, "status", "--porcelain", "-uno", "--", *(f":(top,exclude){path}" for path in WRITTEN)]
        dirty = subprocess.run(status, capture_output=True, text=True, check=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit.stdout.strip() + (" with changes" if dirty.stdout.strip() else "")


def _table_hash(table: pd.DataFrame) -> str:
    rows = pd.util.hash_pandas_object(table, index=False).to_numpy()
    return hashlib.sha256(rows.tobytes()).hexdigest()
