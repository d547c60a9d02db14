"""Audits of a whole study: paired comparisons of every two cells."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pandas as pd

from persistence_pipeline.analysis.paired import paired_comparison
from persistence_pipeline.records import METRICS


def cell_comparisons(scores: pd.DataFrame) -> list[dict[str, Any]]:
    """Paired comparison of every two cells of one seed and evaluator, for both metrics: they share their cases.

    Two cells without a case that both have a score on are left out.
    """
    rows = []
    for (seed, evaluator), group in scores.groupby(["seed", "evaluator"], sort=True):
        cells = dict(list(group.groupby("cell", sort=False)))
        for first, second in combinations(cells, 2):
            for metric in METRICS:
                if not _share_cases(cells[first], cells[second], metric):
                    continue
                compared = paired_comparison(cells[first], cells[second], metric)
                identity = {"seed": int(str(seed)), "evaluator": evaluator}
                rows.append({**identity, "first": first, "second": second, "metric": metric, **compared})
    return rows


def _share_cases(first: pd.DataFrame, second: pd.DataFrame, metric: str) -> bool:
    graded = [set(table.loc[table[metric].notna(), "case_id"]) for table in (first, second)]
    return not graded[0].isdisjoint(graded[1])
