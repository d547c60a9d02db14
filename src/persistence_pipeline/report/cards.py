"""Model cards: what a checkpoint was trained on, what it scores, where it comes from, how to load it.

A card is text in the format of the Hugging Face hub: YAML front matter, then Markdown. It is written from the
summary, after scoring, and so lies beside the checkpoints of a study; an export puts both into one directory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import yaml

from persistence_pipeline.factors import text
from persistence_pipeline.orderings import label
from persistence_pipeline.records import METRICS
from persistence_pipeline.report.kit.page import render
from persistence_pipeline.report.kit.tables import Column, Table, make_table, markdown_table
from persistence_pipeline.report.kit.text import interval_text
from persistence_pipeline.report.style import headline_split, split_names
from persistence_pipeline.study import parse_policies

SCORES: Sequence[Column] = (
    ("seed", "seed", str),
    ("cases", "cases", str),
    *((metric, metric, partial(interval_text, spec=".2f")) for metric in METRICS),
    ("best_of_both", "3 and 3", ".1%"),
    ("refusal_rate", "did nothing", ".1%"),
    ("invalid_rate", "invalid calls", ".1%"),
)
TAGS = ["agent-safety", "tool-use", "persistence-pipeline"]


def model_cards(summary: Mapping[str, Any]) -> dict[str, str]:
    """A card for every checkpoint of a study, by name."""
    policies = parse_policies(summary["run"]["parameters"]["policies"])
    rows: dict[str, list[Mapping[str, Any]]] = {}
    for cell in summary["cells"]:
        rows.setdefault(policies[cell["cell"]].checkpoint, []).append(cell)
    parents = {name: policies[str(policy.parent)].checkpoint for name, policy in policies.items() if policy.parent}
    return {name: _card(name, of_one, summary, parents.get(name)) for name, of_one in rows.items()}


def _card(name: str, rows: list[Mapping[str, Any]], summary: Mapping[str, Any], parent: str | None) -> str:
    headline = summary["frontier"]["split"]
    stage = next((row for row in summary["audits"]["training"] if row["cell"] == name), None)
    # A card is Markdown, and holds names and numbers of the study's own configuration only.
    return render(
        __package__,
        "card.md.jinja",
        name=name,
        front_matter=yaml.safe_dump(_front_matter(name, rows, summary, stage is not None), sort_keys=False),
        cell=rows[0],
        ordering=label(rows[0]["ordering"]),
        factors=text(rows[0]),
        stage=stage,
        parent=parent,
        scores=markdown_table(_scores(rows, headline, split_names(summary))),
        deltas=_deltas(rows[0]),
        headline=headline_split(summary),
        run=summary["run"],
    )


def _scores(rows: list[Mapping[str, Any]], headline: str, names: Mapping[str, str]) -> Table:
    lines = []
    for cell in rows:
        for split, scores in cell["splits"].items():
            intervals = (cell.get("level") or {}) if split == headline else {}
            means = {m: {**(intervals.get(m) or {}), "estimate": scores[m]} for m in METRICS}
            cases = f"{scores['n_cases']} {names.get(split, split)}"
            lines.append({**scores, **means, "seed": cell["seed"], "cases": cases})
    return make_table(lines, SCORES)


def _deltas(cell: Mapping[str, Any]) -> str:
    if not cell["delta"]:
        return ""
    return " and ".join(f"{interval_text(cell['delta'][metric])} in {metric}" for metric in METRICS)


def _front_matter(
    name: str, rows: list[Mapping[str, Any]], summary: Mapping[str, Any], staged: bool
) -> dict[str, Any]:
    headline = summary["frontier"]["split"]
    scores = rows[0]["splits"][headline]
    metrics = [
        {"type": metric, "name": f"{metric}, 0 to 3", "value": round(scores[metric], 4)}
        for metric in METRICS
        if scores[metric] is not None
    ]
    cases = summary["run"]["parameters"].get("study", {}).get("cases", "tool_world")
    named = {"tool_world": "tool world", "toolemu": "cases in ToolEmu's format"}[cases]
    dataset = {"type": cases.replace("_", "-"), "name": named, "split": headline}
    result = {"task": {"type": "text-generation"}, "dataset": dataset, "metrics": metrics}
    return {
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": [*TAGS, *(["dpo", "trl"] if staged else [])],
        "model-index": [{"name": name, "results": [result]}],
    }
