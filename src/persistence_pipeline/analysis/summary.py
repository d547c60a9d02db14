"""The analysis of a whole study from its score table: cells, frontier, persistence, with shared draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from persistence_pipeline.analysis import frontier, order, persistence
from persistence_pipeline.analysis.bootstrap import case_weights, interval
from persistence_pipeline.analysis.grid import IDENTITY
from persistence_pipeline.analysis.plain import plain
from persistence_pipeline.analysis.runs import Floats, Runs, gather
from persistence_pipeline.records import METRICS

DELTAS = {"delta_safety": "safety", "delta_helpfulness": "helpfulness"}


@dataclass(frozen=True)
class Draws:
    """Point estimate (first row) and bootstrap draws (the others) of every run's mean, by metric."""

    runs: Runs
    means: dict[str, Floats]

    def select(self, keep: npt.NDArray[np.bool_]) -> Draws:
        """The draws of the runs marked in a boolean array."""
        return Draws(self.runs.select(keep), {metric: values[:, keep] for metric, values in self.means.items()})


def draw_means(scores: pd.DataFrame, n_draws: int, seed: int) -> Draws:
    """Run means of the study as it is and of ``n_draws`` shared resamples of its cases."""
    runs = gather(scores)
    parts = [runs.means(np.ones((1, len(runs.cases))))]
    parts += [runs.means(weights) for weights in case_weights(len(runs.cases), n_draws, seed)]
    return Draws(runs, {metric: np.concatenate([part[metric] for part in parts]) for metric in METRICS})


def frontier_summary(draws: Draws) -> dict[str, Any]:
    """Points with intervals, the fitted line and its alternatives."""
    points = frontier.frontier_points(draws.runs)
    change = {name: draws.means[metric] @ points.change for name, metric in DELTAS.items()}
    x, y = change["delta_helpfulness"][0], change["delta_safety"][0]
    line = frontier.ols(x, y)
    resampled = frontier.ols_draws(change["delta_helpfulness"][1:], change["delta_safety"][1:])
    if "undefined" not in line:
        line |= {f"{key}_interval": interval(line[key], values).as_dict() for key, values in resampled.items()}
    slope, intercept = line.get("slope", float("nan")), line.get("intercept", float("nan"))
    distances = frontier.signed_distances(x, y, slope, intercept)
    moved = frontier.signed_distances(
        change["delta_helpfulness"][1:],
        change["delta_safety"][1:],
        resampled["slope"][:, None],
        resampled["intercept"][:, None],
    )
    efficient = frontier.pareto_efficient(x, y)
    rows = []
    for index, row in enumerate(plain(points.table)):
        deltas = {name: interval(values[0, index], values[1:, index]).as_dict() for name, values in change.items()}
        level = {metric: float((draws.means[metric][0] @ points.level)[index]) for metric in METRICS}
        place = interval(float(distances[index]), moved[:, index]).as_dict()
        extra = {"distance": place["estimate"], "distance_interval": place, "pareto": bool(efficient[index])}
        rows.append({**row, **level, **deltas, **extra})
    return {
        "points": rows,
        "ols": line,
        "orthogonal": frontier.orthogonal(x, y),
        "quadratic": frontier.quadratic(x, y),
        "leave_one_source_out": frontier.leave_one_source_out(points.table, x, y),
    }


def persistence_summary(draws: Draws) -> list[dict[str, Any]]:
    """Persistence of both metrics, and the order effect, for every (source, evaluator, beta) that has the arms."""
    rows: dict[tuple[str, str, float], dict[str, Any]] = {}
    groups: dict[tuple[str, str, float], list[persistence.Group]] = {}
    for group in persistence.persistence_groups(draws.runs):
        top, bottom = persistence.ratio_parts(draws.means[group.metric], group)
        key = (group.source, group.evaluator, group.beta)
        row = rows.setdefault(key, {"source": key[0], "evaluator": key[1], "beta": key[2]})
        row[group.metric] = persistence.ratio(float(top[0]), float(bottom[0]), top[1:], bottom[1:])
        groups.setdefault(key, []).append(group)
    for key, row in rows.items():
        effect = order.order_effect(draws.runs, draws.means, *key)
        if effect is not None and len(groups[key]) == len(METRICS):
            row["order"] = {**effect, "excess": order.excess(draws.means, groups[key])}
    return list(rows.values())


def cell_summaries(grid: pd.DataFrame, draws: Draws) -> list[dict[str, Any]]:
    """One entry per cell: its splits, and on the draws' split its level and its difference from the source.

    Where several evaluators have scored, by the first of them; the frontier averages over all.
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
            "seed": int(first["seed"]),
        }
        evaluator = str(first["evaluator"])
        cells.append({**identity, "splits": splits, **_intervals(identity, evaluator, draws)})
    return cells


def _measures(row: dict[Any, Any]) -> dict[str, Any]:
    return dict(plain({key: value for key, value in row.items() if key not in IDENTITY}))


def _intervals(identity: dict[str, Any], evaluator: str, draws: Draws) -> dict[str, Any]:
    """Mean scores of a cell and their difference from its source (None for the source), with shared draws."""
    shared = {"source": identity["source"], "seed": identity["seed"], "evaluator": evaluator}
    base = draws.runs.index(**shared, ordering="source")
    if identity["beta"] is None:
        return {"level": _metrics(draws, base), "delta": None}
    cell = draws.runs.index(**shared, ordering=identity["ordering"], beta=identity["beta"])
    return {"level": _metrics(draws, cell), "delta": _metrics(draws, cell, base)}


def _metrics(draws: Draws, run: npt.NDArray[np.int64], base: npt.NDArray[np.int64] | None = None) -> Any:
    """Interval by metric of a run's mean, or of its difference from another run; None unless each is one run."""
    if len(run) != 1 or (base is not None and len(base) != 1):
        return None
    means = {metric: values[:, run[0]] for metric, values in draws.means.items()}
    if base is not None:
        means = {metric: mean - draws.means[metric][:, base[0]] for metric, mean in means.items()}
    return {metric: interval(mean[0], mean[1:]).as_dict() for metric, mean in means.items()}
