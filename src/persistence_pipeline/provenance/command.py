"""The command of this run, as a user would type it again, and that which goes on from there."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ONLY_MISSING = "--only-missing-outputs"
OPTIONS = {
    "pipeline_names": "--pipelines",
    "tags": "--tags",
    "node_names": "--nodes",
    "namespaces": "--namespaces",
    "from_nodes": "--from-nodes",
    "to_nodes": "--to-nodes",
    "from_inputs": "--from-inputs",
    "to_outputs": "--to-outputs",
}
"""Options of ``kedro run`` by what Kedro's sessions call them."""
SELECTING = ("--pipeline", "-p", "-n", "-t", "-ns", *OPTIONS.values())
"""Options that choose a part of a study."""


def in_dvc() -> bool:
    """True if this run is a stage of DVC."""
    return "DVC_STAGE" in os.environ


def typed(run: Mapping[str, Any], arguments: Sequence[str] = ()) -> list[str]:
    """Words of the command that started a run, the environment among them wherever that came from.

    Args:
        run: ``run_params`` of Kedro's hooks.
        arguments: Of this program, its name first; left out: ``sys.argv``.
    """
    import click

    arguments = arguments or (sys.argv if click.get_current_context(silent=True) else ())
    words = _words(arguments) if arguments else ["kedro", "run", *_from_session(run)]
    named = any(word in ("--env", "-e") or word.startswith("--env=") for word in words)
    return words if named or not run.get("env") else [*words, f"--env={run['env']}"]


def _words(arguments: Sequence[str]) -> list[str]:
    if arguments[1:2] == ["run"]:
        return ["kedro", *arguments[1:]]
    return ["python", "-m", __name__.partition(".")[0], *arguments[1:]]


def _from_session(run: Mapping[str, Any]) -> list[str]:
    """Options of a session that no command line has opened."""
    words = [f"{option}={','.join(run[name])}" for name, option in OPTIONS.items() if run.get(name)]
    parameters = ",".join(f"{name}={value}" for name, value in _flat(run.get("runtime_params") or {}))
    return [*words, *([f"--params={parameters}"] if parameters else [])]


def _flat(values: Mapping[str, Any], within: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in values.items():
        inner = isinstance(value, Mapping)
        found += _flat(value, f"{within}{name}.") if inner else [(f"{within}{name}", value)]
    return found


def continuing(words: Sequence[str]) -> str:
    """The command that goes on where a run was stopped."""
    return shlex.join(words if ONLY_MISSING in words else [*words, ONLY_MISSING])


def advice(words: Sequence[str], project: Path, env: str) -> str:
    """The command that goes on, which is DVC's where this run is one of its stages."""
    from persistence_pipeline.dvc.command import StudyDvc

    return f"dvc repro {StudyDvc(project, env).file}" if in_dvc() else continuing(words)


def whole(words: Sequence[str]) -> str:
    """The command that brings the whole study up to date under the same configuration."""
    kept, skip = list[str](), False
    for word in words:
        if not skip and word.partition("=")[0] not in SELECTING:
            kept.append(word)
        skip = not skip and word in SELECTING
    return continuing(kept)
