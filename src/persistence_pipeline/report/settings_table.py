"""The settings that made the agents of a study, a column for each objective of a stage."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from persistence_pipeline.factors import words
from persistence_pipeline.records import OBJECTIVES
from persistence_pipeline.report.kit.tables import Table, linked
from persistence_pipeline.report.kit.text import DASH
from persistence_pipeline.report.links import Links
from persistence_pipeline.study import Policy
from persistence_pipeline.study.policies import parse_policies

GROUPS = {"training": "", "pairing": "pairs: "}
"""Groups of parameters by objective, with what stands before the names of their settings."""


def settings_table(parameters: Mapping[str, Any], links: Links) -> Table:
    """What varies between agents, what all stages share, and what each objective's stage and pairs have.

    Args:
        parameters: Of the run; those that a kind of study does not read may be missing.
        links: A setting leads to the agents whose last stage had it.
    """
    policies = parse_policies(parameters["policies"]).values()
    shown = [name for name in OBJECTIVES if name in {policy.objective for policy in policies}]
    rows: dict[str, dict[str, str]] = {}
    for name in shown:
        for key, level in _levels(policy for policy in policies if policy.objective == name):
            cell = rows.setdefault(key, {}).setdefault(name, level)
            rows[key][name] = cell if level in cell.split(", ") else f"{cell}, {level}"
        for group, before in GROUPS.items():
            given = (parameters.get(group) or {}).get(name)
            for key, value in leaves(given) if given else ():
                rows.setdefault(f"{before}{words(key)}", {}).setdefault(name, value)
    lead = {name: links.last_stage(name) for name in shown}
    lines = [[key, *(linked(row.get(name, DASH), lead[name]) for name in shown)] for key, row in rows.items()]
    return ["setting", *shown], lines


def _levels(policies: Iterable[Policy]) -> Iterator[tuple[str, str]]:
    """Every setting that the study varies or sets in the last stages of policies, with its level."""
    for policy in policies:
        for path, level in policy.levels().items():
            yield words(".".join(path)), as_written(level)


def leaves(value: Any, path: str = "") -> list[tuple[str, str]]:
    """Every value of nested mappings with the way to it."""
    if isinstance(value, Mapping) and value:
        return [leaf for key, inner in value.items() for leaf in leaves(inner, f"{path}.{key}" if path else key)]
    return [(path, as_written(value))]


def as_written(value: Any) -> str:
    """A parameter as files have it."""
    return value if isinstance(value, str) else json.dumps(value)
