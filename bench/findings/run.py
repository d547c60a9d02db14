"""The README's first screen: what a run of the default study prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.findings._words import described
from persistence_pipeline.report.agents import agent_table
from persistence_pipeline.report.kit.tables import markdown_table, without_column


def blocks(files: Mapping[str, Any]) -> dict[str, str]:
    """``run``: where the table comes from; ``run-table``: an agent a row."""
    if "base" not in files:
        return {}
    return {"run": described(files["base"]["run"]), "run-table": agents(files["base"])}


def agents(study: Mapping[str, Any]) -> str:
    """The table that the run printed, of a study with one source and one setting."""
    numbers = study["numbers"]
    shown = agent_table(numbers["frontier"], numbers["surviving"], study["cells"])
    return markdown_table(without_column(without_column(shown, "source"), "beta")).rstrip()
