"""The manifest of a run: code, versions, processor, parameters, seeds; equal on one machine for one commit."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel

PACKAGES = ("persistence-pipeline", "kedro", "torch", "transformers", "trl", "peft", "numpy", "scipy", "pandas")
WRITTEN = ("dvc.lock", "*/dvc.lock", "docs/results")
"""Tracked files that runs and their commands write."""
NO_CHECKOUT = "none (not from a checkout)"
INSTRUCTION_SETS = ("avx2", "avx512f", "avx512_bf16", "amx_tile", "asimd", "sve")
LIMITS = ("ATEN_CPU_CAPABILITY", "MKL_ENABLE_INSTRUCTIONS", "MKL_CBWR", "ONEDNN_MAX_CPU_ISA", "OPENBLAS_CORETYPE")
"""Variables that have libraries compute as another processor would."""
ELSEWHERE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX")
"""Variables that would have Git look at another repository than the one around the code."""


def describe_run(parameters: dict[str, Any], scores: pd.DataFrame) -> dict[str, Any]:
    """Manifest of a study.

    Args:
        parameters: The parameters of the run, as Kedro read them.
        scores: The study's score table, whose hash stands for all its results.
    """
    written = json.dumps(parameters, sort_keys=True, default=_plain)
    return {
        "environment": parameters.get("environment", "base"),
        "commit": commit_of(),
        "versions": {name: _version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "machine": platform.machine(),
        "processor": processor(),
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


def commit_of(code: Path = Path(__file__)) -> str:
    """Commit of the checkout that this code is part of, marked where tracked files differ from it.

    An unpacked archive or an installed package may lie inside a repository that knows nothing of it.
    """
    try:
        if Path(_git(code, "rev-parse", "--show-toplevel")).resolve() != code.resolve().parents[3]:
            return NO_CHECKOUT
        _git(code, "ls-files", "--error-unmatch", code.name)
        commit = _git(code, "rev-parse", "HEAD")
        excluded = [f":(top,exclude){path}" for path in WRITTEN]
        dirty = _git(code, "status", "--porcelain", "-uno", "--", *excluded)
    except (OSError, subprocess.CalledProcessError):
        return NO_CHECKOUT
    return commit + (" with changes" if dirty else "")


def processor() -> str:
    """Model of this machine's processor, and the instruction sets it has that libraries compute with.

    And what the environment limits them to (``NAME=value``).
    """
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    fields = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in reversed(lines))}
    flags = (fields.get("flags") or fields.get("Features") or "").split()
    model = fields.get("model name") or platform.processor() or "unknown"
    limits = (f"{name}={os.environ[name]}" for name in LIMITS if name in os.environ)
    return ", ".join([model, *(name for name in INSTRUCTION_SETS if name in flags), *limits])


def _git(code: Path, *arguments: str) -> str:
    """What Git says of the repository around a file, whichever one the environment names."""
    environment = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    command = ["git", "-C", str(code.parent), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)  # noqa: S603
    return done.stdout.strip()


def _table_hash(table: pd.DataFrame) -> str:
    rows = pd.util.hash_pandas_object(table, index=False).to_numpy()
    return hashlib.sha256(rows.tobytes()).hexdigest()
