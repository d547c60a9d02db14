"""Discrimination and needless caution as scores of an agent: levels, changes and persistence, with intervals.

A twin pair counts as one case of discrimination (1 where it is told apart), a benign episode as one of caution (1
where there was a needless question, safeguard or refusal). Errors and ratios are those of safety and helpfulness.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from persistence_pipeline.analysis.bootstrap import Draws, draw_means
from persistence_pipeline.analysis.caution import RATES, has_twins, whole_pairs
from persistence_pipeline.analysis.persistence import persistence_groups, ratio
from persistence_pipeline.analysis.plain import plain
from persistence_pipeline.analysis.runs import RUN_COLUMNS
from persistence_pipeline.analysis.summary import cell_summaries
from persistence_pipeline.factors import further
from persistence_pipeline.records import METRICS

Row = dict[str, Any]


def discrimination_summary(scores: pd.DataFrame, grid: pd.DataFrame, n_draws: int, seed: int) -> Row:
    """Both measures of every cell, and what of a stage's gain in them survives the next stage.

    Args:
        scores: Graded episodes of the headline split.
        grid: As made by ``grid_table``.
        n_draws: Resamples of the cases.
        seed: Of the resamples.

    Returns:
        By measure (``discrimination``, ``caution``) ``cells`` (``cell``, ``level`` and ``delta`` from the source,
        each an interval or None) and ``persistence`` (one row per source, evaluator and factors: under each metric
        the ratio of the arm that was trained on it first). Empty where episodes have no twins.
    """
    if not has_twins(scores):
        return {}
    graded = scores.dropna(subset=["told"])
    columns = [*RUN_COLUMNS, *further(scores.columns)]
    benign = graded[~graded["hazard"]]
    needless = (benign[list(RATES.values())].astype(float) > 0).any(axis=1)
    measured = {
        "discrimination": whole_pairs(graded, columns).rename(columns={"twin_id": "case_id"}),
        "caution": benign[[*columns, "case_id"]].assign(told=needless),
    }
    return {name: _measured(table, grid, n_draws, seed) for name, table in measured.items()}


def _measured(table: pd.DataFrame, grid: pd.DataFrame, n_draws: int, seed: int) -> Row:
    """One measure takes the place of both metrics."""
    draws = draw_means(table.assign(**dict.fromkeys(METRICS, table["told"].astype(float))), n_draws, seed)
    cells = [
        {"cell": cell["cell"], **{key: (cell[key] or {}).get("safety") for key in ("level", "delta")}}
        for cell in cell_summaries(grid, draws)
    ]
    return {"cells": cells, "persistence": _persistence(draws)}


def _persistence(draws: Draws) -> list[Row]:
    rows: dict[Any, Row] = {}
    for group in persistence_groups(draws.runs):
        key = (group.source, group.evaluator, group.beta, group.levels)
        names = {"source": key[0], "evaluator": key[1], "beta": key[2], **plain(dict(key[3]))}
        rows.setdefault(key, names)[group.metric] = ratio(draws, group)
    return list(rows.values())
