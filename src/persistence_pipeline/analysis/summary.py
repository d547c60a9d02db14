"""The analysis of a whole study from its score table: cells, frontier, persistence."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from persistence_pipeline.analysis import order, persistence
from persistence_pipeline.analysis.averages import average, average_ratio
from persistence_pipeline.analysis.bootstrap import Draws
from persistence_pipeline.analysis.errors import errors_of, interval_of
from persistence_pipeline.analysis.grid import IDENTITY
from persistence_pipeline.analysis.intervals import MARGIN
from persistence_pipeline.analysis.plain import plain
from persistence_pipeline.analysis.runs import Levels
from persistence_pipeline.factors import further
from persistence_pipeline.orderings import SOURCE
from persistence_pipeline.records import METRICS

Row = dict[str, Any]


def persistence_summary(draws: Draws, margin: float = MARGIN) -> list[Row]:
    """Persistence of both metrics, and the order effect, for every (source, evaluator, factors) that has the arms.

    Beside each ratio stands, by arm, what the agent trained on the metric first and then on the other scores
    ``against`` the source and the two agents of one stage.
    """
    rows: dict[tuple[str, str, float, Levels], Row] = {}
    for group in persistence.persistence_groups(draws.runs):
        key = (group.source, group.evaluator, group.beta, group.levels)
        row = rows.setdefault(key, {"source": key[0], "evaluator": key[1], "beta": key[2], **plain(dict(key[3]))})
        seeds = {"seeds": list(group.seeds), "left_out": list(group.left_out)}
        against = _against(draws, group, margin)
        row[group.metric] = {**persistence.ratio(draws, group), "against": against, **seeds}
    for (source, evaluator, beta, levels), row in rows.items():
        effect = order.order_effect(draws, source, evaluator, beta, margin, levels)
        if effect is not None and all(metric in row for metric in METRICS):
            row["order"] = effect
    order.adjust(list(rows.values()))
    return list(rows.values())


def _against(draws: Draws, group: persistence.Group, margin: float) -> Row:
    """By arm: what the agent of two stages scores above it in the metric of its first stage."""
    first, *others = persistence.ARMS[group.metric]
    compared = {}
    for arm in (SOURCE, *others):
        found = persistence.match(
            draws.runs, (first, arm), group.source, group.evaluator, group.beta, group.levels
        )
        if found is not None:
            weights = persistence.of_metric(found.average @ order.GAP, group.metric)
            gap = float((draws.point @ weights)[0])
            compared[arm] = order.gap_of(errors_of(draws, weights), gap, np.ones(1), margin)
    return compared


def persistence_averages(draws: Draws, margin: float = MARGIN) -> list[Row]:
    """Averages over sources and evaluators, where there are several: a row for each level of every factor.

    Returns:
        ``beta`` and further factors, by metric the mean ratio (see ``average_ratio``), and ``order``: by metric
        the mean gap.
    """
    groups = persistence.persistence_groups(draws.runs)
    rows = []
    for beta, levels in sorted({(group.beta, group.levels) for group in groups}, reverse=True):
        here = [group for group in groups if (group.beta, group.levels) == (beta, levels)]
        if len({(g.source, g.evaluator) for g in here}) < 2 or {g.metric for g in here} != set(METRICS):
            continue
        ratios = {m: average_ratio(draws, [g for g in here if g.metric == m]) for m in METRICS}
        rows.append({"beta": beta, **plain(dict(levels)), **ratios, "order": average_gaps(draws, here, margin)})
    return rows


def average_gaps(draws: Draws, groups: list[persistence.Group], margin: float) -> Row:
    """By metric, the mean over the groups' (source, evaluator)s of what S>H scores above H>S."""
    keys = sorted({(group.source, group.evaluator, group.beta, group.levels) for group in groups})
    found = [(key[0], gaps[0]) for key in keys if (gaps := order.order_gaps(draws, *key)) is not None]
    result = {}
    for index, metric in enumerate(METRICS):
        weights = np.stack([gaps[:, index] for _, gaps in found], axis=1)
        sources = [source for source, _ in found]
        result[metric] = average(draws, draws.point @ weights, weights, sources, margin=margin)
    return result


def cell_summaries(grid: pd.DataFrame, draws: Draws) -> list[Row]:
    """One entry per cell: its splits, and on the draws' split its level and its difference from the source.

    Where several evaluators have scored, by the first of them; the frontier averages over all. A cell is one
    training run: its intervals are over cases.
    """
    cells = []
    for name, rows in grid.groupby("cell", sort=False):
        first = rows.iloc[0]
        group = rows[rows["evaluator"] == first["evaluator"]]
        splits = {str(row["split"]): _measures(row) for row in group.to_dict("records")}
        identity = {
            "cell": str(name),
            "source": first["source"],
            "ordering": first["ordering"],
            "beta": plain(float(first["beta"])),
            **{name: plain(first[name]) for name in further(grid.columns)},
            "seed": int(first["seed"]),
        }
        evaluator = str(first["evaluator"])
        cells.append({**identity, "splits": splits, **_intervals(identity, evaluator, draws)})
    return cells


def _measures(row: dict[Any, Any]) -> Row:
    return dict(plain({key: value for key, value in row.items() if key not in IDENTITY and not further([key])}))


def _intervals(identity: Row, evaluator: str, draws: Draws) -> Row:
    """Mean scores of a cell and their difference from its source (None for the source)."""
    shared = {"source": identity["source"], "seed": identity["seed"], "evaluator": evaluator}
    base = draws.runs.index(**shared, ordering=SOURCE)
    if identity["beta"] is None:
        return {"level": _metrics(draws, base), "delta": None}
    levels = {name: identity[name] for name in draws.runs.further}
    cell = draws.runs.index(**shared, ordering=identity["ordering"], beta=identity["beta"], **levels)
    return {"level": _metrics(draws, cell), "delta": _metrics(draws, cell, base)}


def _metrics(draws: Draws, run: npt.NDArray[np.int64], base: npt.NDArray[np.int64] | None = None) -> Any:
    """Interval by metric of a run's mean, or of its difference from another run; None unless each is one run."""
    if len(run) != 1 or (base is not None and len(base) != 1):
        return None
    weights = np.zeros((len(draws.runs.table), 1))
    weights[run[0]] = 1
    if base is not None:
        weights[base[0]] -= 1
    found = {}
    for metric in METRICS:
        own = persistence.of_metric(weights, metric)
        found[metric] = interval_of(draws, own).as_dict()
    return found
