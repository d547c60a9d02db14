"""The settings that made the agents of a study, a column for each objective of a stage."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from persistence_pipeline.factors import words
from persistence_pipeline.orderings import SOURCE, objective
from persistence_pipeline.records import OBJECTIVES
from persistence_pipeline.report.kit.tables import Table, linked
from persistence_pipeline.report.kit.text import DASH
from persistence_pipeline.report.links import Links

GROUPS = {"training": "", "pairing": "pairs: "}
"""Groups of parameters by objective, with what stands before the names of their settings."""


def settings_table(parameters: Mapping[str, Any], links: Links) -> Table:
    """What varies between agents, what all stages share, and what each objective's stage and pairs have.

    Args:
        parameters: Of the run; those that a kind of study does not read may be missing.
        links: A setting leads to the agents whose last stage had it.
    """
    policies = [one for one in parameters["policies"].values() if one and one["ordering"] != SOURCE]
    trained = {objective(policy["ordering"]) for policy in policies}
    shown = [name for name in OBJECTIVES if name in trained]
    rows: dict[str, dict[str, str]] = {}
    for name in shown:
        own = [policy for policy in policies if objective(policy["ordering"]) == name]
        found = [
            (words(key), value)
            for policy in own
            for part in ("factors", "settings")
            for key, value in policy[part].items()
        ]
        for key in dict.fromkeys(key for key, _ in found):
            levels = dict.fromkeys(plain_text(value) for other, value in found if other == key)
            rows.setdefault(key, {})[name] = ", ".join(levels)
        for group, before in GROUPS.items():
            for key, value in leaves((parameters.get(group) or {}).get(name) or {}):
                rows.setdefault(f"{before}{key.replace('_', ' ')}", {})[name] = value
    lead = {name: links.last_stage(name) for name in shown}
    lines = [[key, *(linked(row.get(name, DASH), lead[name]) for name in shown)] for key, row in rows.items()]
    return ["setting", *shown], lines


def leaves(value: Any, path: str = "") -> list[tuple[str, str]]:
    """Every value of nested mappings with the way to it."""
    if isinstance(value, Mapping) and value:
        return [leaf for key, inner in value.items() for leaf in leaves(inner, f"{path}.{key}" if path else key)]
    return [(path, plain_text(value))]


def plain_text(value: Any) -> str:
    """A parameter as files have it."""
    return value if isinstance(value, str) else json.dumps(value)
