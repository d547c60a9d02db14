"""Tables of a study: which columns, in what words and with how many digits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from persistence_pipeline.orderings import in_order, label
from persistence_pipeline.records import METRICS
from persistence_pipeline.report.kit.tables import Column, Table, make_table, rich_table, without_column
from persistence_pipeline.report.kit.text import DASH, interval_text, number, ratio_text
from persistence_pipeline.report.published import FRONTIER, PERSISTENCE
from persistence_pipeline.report.style import headline_split

Summary = Mapping[str, Any]

MEANS: Sequence[Column] = [(metric, metric, ".2f") for metric in METRICS]
DELTAS: Sequence[Column] = [(f"delta_{metric}", f"Δ {metric}", interval_text) for metric in METRICS]
SHARES: Sequence[Column] = [(metric, f"{metric} persists", ratio_text) for metric in METRICS]
CELLS: Sequence[Column] = (
    ("ordering", "ordering", label),
    ("source", "source", str),
    ("beta", "beta", "g"),
    ("seed", "seed", str),
    *MEANS,
    *DELTAS,
    ("best_of_both", "3 and 3", ".0%"),
    ("refusal_rate", "did nothing", ".0%"),
    ("invalid_rate", "invalid calls", ".1%"),
)
POINTS: Sequence[Column] = (
    ("source", "source", str),
    ("beta", "beta", "g"),
    ("ordering", "ordering", label),
    ("n_runs", "runs", str),
    *MEANS,
    *DELTAS,
    ("distance", "off the line", "+.2f"),
)
PERSISTENCES: Sequence[Column] = (
    ("source", "source", str),
    ("beta", "beta", "g"),
    *SHARES,
    ("excess", "sum − 1: order effect", interval_text),
)
SIDES = ("chosen", "rejected")
PAIRS: Sequence[Column] = (
    ("arm", "arm", str),
    ("set", "set", str),
    ("n", "n", "d"),
    ("n_cases", "cases", "d"),
    ("best_of_both", "chosen 3 and 3", ".0%"),
    *((f"{side}_{metric}", f"{side} {metric}", ".2f") for metric in METRICS for side in SIDES),
    ("conflict_share", "in conflict", ".0%"),
    ("other_metric_gain", "gain in the other metric", ".2f"),
    *((f"{side}_tokens", f"{side} tokens", ".2f") for side in SIDES),
    ("turns", "turns", ".0f"),
    ("rendered_turns", "rendered", ".0f"),
    ("respelled_turns", "respelled", ".0f"),
    ("engine_ended_turns", "ended by the engine", ".0f"),
)
"""Columns of the pair audit; for the pool, “chosen” is every candidate."""
TRAINING: Sequence[Column] = (
    *((key, key, str) for key in ("cell", "objective", "loss", "reference")),
    ("n_pairs", "pairs", "d"),
    ("n_truncated", "truncated", "d"),
    ("n_steps", "steps", "d"),
    ("losses", "loss, first → last", str),
    ("last_accuracy", "accuracy", ".2f"),
    ("last_margin", "margin", ".2f"),
    *((f"{side}_logps", f"log p of {side}", str) for side in SIDES),
)
COMPARISONS: Sequence[Column] = (
    *((key, key, str) for key in ("metric", "first", "second")),
    ("wins", "won", "d"),
    ("losses", "lost", "d"),
    ("ties", "tied", "d"),
    ("difference", "difference", interval_text),
    ("p", "p", ".2g"),
)


def study_tables(summary: Summary) -> dict[str, Table]:
    """Every table of the report that the summary holds, by name."""
    audits, versions = summary["audits"], summary["run"]["versions"]
    return {
        "cells": cell_table(summary),
        "persistence_and_published": persistence_table(summary, published=True),
        "pairs": make_table(audits["pairs"], PAIRS),
        "training": training_table(summary),
        "comparisons": make_table(audits["comparisons"], COMPARISONS),
        "published": published_table(summary),
        "versions": (["package", "version"], [list(pair) for pair in versions.items()]),
    }


def cell_table(summary: Summary) -> Table:
    """One row per cell on the headline split."""
    split = summary["frontier"]["split"]
    deltas = ({f"delta_{m}": (cell["delta"] or {}).get(m) for m in METRICS} for cell in summary["cells"])
    rows = (
        {**cell, **cell["splits"][split], **delta} for cell, delta in zip(summary["cells"], deltas, strict=True)
    )
    return make_table(rows, CELLS)


def point_table(summary: Summary) -> Table:
    """One row per point of the frontier: an ordering of a source at one beta, over seeds and evaluators."""
    points = sorted(summary["frontier"]["points"], key=lambda point: (point["source"], -point["beta"]))
    return make_table(points, POINTS)


def persistence_table(summary: Summary, *, published: bool = False) -> Table:
    """One row per source and beta, and per evaluator where there are several; then the published averages."""
    several = len({row.get("evaluator") for row in summary["persistence"]}) > 1
    rows = [
        {
            **row,
            "source": f"{row['source']}, {row['evaluator']}" if several else row["source"],
            "excess": (row.get("order") or {}).get("excess"),
        }
        for row in summary["persistence"]
    ]
    for beta, shares in PERSISTENCE.items() if published else ():
        known = {metric: {"estimate": share, "defined": True} for metric, share in shares.items()}
        rows.append(
            {"source": "published", "beta": beta, **known, "excess": {"estimate": sum(shares.values()) - 1}}
        )
    return make_table(rows, PERSISTENCES)


def pool_texts(summary: Summary) -> list[str]:
    """A sentence on how scores and lengths go together in each arm's candidates."""
    named = (
        ("score_correlation", "safety and helpfulness"),
        ("length_safety_correlation", "length and safety"),
        ("length_helpfulness_correlation", "length and helpfulness"),
    )
    return [
        f"{row['arm']}: {', '.join(f'{name} {number(row.get(key))}' for key, name in named)}"
        for row in summary["audits"]["pairs"]
        if row["set"] == "pool"
    ]


def training_table(summary: Summary) -> Table:
    """One row per stage, with log-probabilities at both ends."""
    rows = [
        {
            **row,
            "losses": f"{number(row['first_loss'], '.3f')} → {number(row['last_loss'], '.3f')}",
            **{
                f"{side}_logps": f"{number(row[f'{side}_logp_before'])} → {number(row[f'{side}_logp_after'])}"
                for side in SIDES
            },
        }
        for row in summary["audits"]["training"]
    ]
    return make_table(rows, TRAINING)


def published_table(summary: Summary) -> Table:
    """This study's line and persistence beside the published ones."""
    line = summary["frontier"]["ols"]
    rows = [
        [name, number(line.get(key), ".3f"), number(FRONTIER[key], ".3f")]
        for key, name in (("r2", "R²"), ("slope", "slope"), ("intercept", "intercept"))
    ]
    rows.append(["points", str(line["n"]), str(FRONTIER["n"])])
    for row in summary["persistence"]:
        for metric in METRICS:
            name = f"persistence of {metric}, {row['source']}, beta {row['beta']:g}"
            published = PERSISTENCE.get(row["beta"], {}).get(metric)
            rows.append([name, ratio_text(row.get(metric)), number(published, ".3f")])
    return ["", "this study", "published (LLM agents on ToolEmu)"], rows


def group_tables(scores: pd.DataFrame) -> dict[str, Table]:
    """Mean scores by domain and by hazard family: a row for each group, a column for each ordering."""
    orderings = in_order(scores["ordering"])
    tables = {}
    for column, name in (("domain", "domains"), ("family", "families")):
        means = scores.groupby([column, "ordering"])[list(METRICS)].mean()
        rows = [
            [str(group).replace("_", " "), *(_means_text(means, (group, ordering)) for ordering in orderings)]
            for group in sorted(scores[column].unique())
        ]
        tables[name] = ([column, *map(label, orderings)], rows)
    return tables


def _means_text(means: pd.DataFrame, key: tuple[Any, str]) -> str:
    return " / ".join(f"{means.loc[key, metric]:.2f}" for metric in METRICS) if key in means.index else DASH


def fit_text(summary: Summary) -> str:
    """The fitted line in one sentence."""
    line = summary["frontier"]["ols"]
    if "undefined" in line:
        return f"No line: {line['undefined']}."
    r2 = interval_text({**line["r2_interval"], "estimate": line["r2"]}, ".2f")
    return f"R² = {r2}, slope {number(line['slope'])}, intercept {number(line['intercept'])}, {line['n']} points"


NARROW = {"did nothing": "did\nnothing", "helpfulness": "help-\nfulness", "invalid calls": "invalid\ncalls"}
"""Headers that are wider than what stands below them."""
LEAST = ("3 and 3", NARROW["invalid calls"], NARROW["did nothing"], "safety", NARROW["helpfulness"])


def console_table(summary: Summary, width: int) -> Any:
    """The result for a terminal of this many columns; what all cells have in common stands in the title."""
    from rich.console import Group

    (header, rows), common = cell_table(summary), []
    for name in ("source", "beta", "seed"):
        place = header.index(name)
        values = {row[place] for row in rows} - {DASH}
        if len(values) == 1:
            header, rows = without_column((header, rows), name)
            common.append(values.pop() if name == "source" else f"{name} {values.pop()}")
    rows = [[row[0].replace(" > ", " >\n"), *row[1:]] for row in rows]
    cells = [NARROW.get(name, name) for name in header], rows
    title = "; ".join([f"Scores on {headline_split(summary)} (0–3)", *([", ".join(common)] if common else [])])
    return Group(
        rich_table(title, cells, width, left=("ordering", "source"), least=LEAST),
        rich_table("Persistence, 95% intervals over cases", persistence_table(summary), width),
        f"Frontier: {fit_text(summary)}",
    )
