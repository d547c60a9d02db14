"""Audits of a whole study: paired comparisons of every two cells."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pandas as pd

from persistence_pipeline.analysis.paired import paired_comparison
from persistence_pipeline.analysis.runs import METRICS


def cell_comparisons(scores: pd.DataFrame) -> list[dict[str, Any]]:
    """Paired comparison of every two cells of one source, seed and evaluator, for both metrics."""
    rows = []
    for (source, seed, evaluator), group in scores.groupby(["source", "seed", "evaluator"], sort=True):
        cells = dict(list(group.groupby("cell", sort=False)))
        for first, second in combinations(cells, 2):
            for metric in METRICS:
                compared = paired_comparison(cells[first], cells[second], metric)
                identity = {"source": source, "seed": int(str(seed)), "evaluator": evaluator}
                rows.append({**identity, "first": first, "second": second, "metric": metric, **compared})
    return rows
