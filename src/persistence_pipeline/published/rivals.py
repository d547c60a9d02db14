"""Persistence without any memory: two references beside the published ratio.

*Order*: the persistences of safety and of helpfulness are read off the same two agents; where the order of the
stages makes no difference, and the agents lie on one line, they sum to one, whatever each is (``analysis.order``).
What S>H scores above H>S says the same without the line.

*Addition*: if the second stage moved the trained agent by what it does to the source, S>H would score
S + H − source, and the persistence of safety would be (S − source) / (S − H). It is near one, or above, wherever
training for helpfulness alone leaves safety where it was; that helpfulness persists less then says only that
safety training costs helpfulness, whenever it comes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from persistence_pipeline.analysis.averages import average, average_ratio
from persistence_pipeline.analysis.bootstrap import Draws
from persistence_pipeline.analysis.order import gradient
from persistence_pipeline.analysis.persistence import ARMS, Group, match, of_metric
from persistence_pipeline.analysis.runs import Floats
from persistence_pipeline.analysis.summary import average_gaps
from persistence_pipeline.orderings import SOURCE
from persistence_pipeline.records import METRICS

MOVES = np.array([[1.0, 0.0, -1.0], [0.0, 1.0, -1.0]]).T
"""From the arm of its own stage, that of the other and the source, to what either stage does."""


def rival_rows(
    draws: Draws, keys: Mapping[str, Mapping[str, Sequence[Group]]], margin: float
) -> list[dict[str, Any]]:
    """One row per beta and average.

    Args:
        draws: Run means.
        keys: By beta and name, the ratios that are averaged.
        margin: Points of 3 below which a gap counts as none.

    Returns:
        ``beta, of, order`` (by metric, what S>H scores above H>S, as made by ``averages.average``),
        ``order_excess`` (persistence of safety plus that of helpfulness, minus one), and by metric ``persistence,
        added`` (what addition would leave) and ``difference`` (persistence minus that), as made by
        ``average_ratio``; ``gain`` (what the stage trained on the metric does to it) and ``side_effect`` (what the
        other stage alone does to it), in points against the source.
    """
    rows = []
    for beta, named in keys.items():
        for name, groups in named.items():
            if {group.metric for group in groups} == set(METRICS):
                both = {metric: _metric(draws, groups, metric) for metric in METRICS}
                order = average_gaps(draws, list(groups), margin)
                total = _excess(draws, groups, both)
                rows.append({"beta": beta, "of": name, "order_excess": total, "order": order, **both})
    return rows


def _excess(draws: Draws, groups: Sequence[Group], both: Mapping[str, Any]) -> dict[str, Any]:
    """Mean over the (source, evaluator)s of the two persistences' sum, minus one."""
    undefined = next((both[m]["persistence"] for m in METRICS if both[m]["persistence"]["estimate"] is None), None)
    if undefined is not None:
        return dict(undefined)
    by_key: dict[tuple[str, str], list[Group]] = {}
    for group in groups:
        by_key.setdefault((group.source, group.evaluator), []).append(group)
    pairs = {key: pair for key, pair in by_key.items() if len(pair) == len(METRICS)}
    parts = [np.concatenate([group.parts for group in pair], axis=1) for pair in pairs.values()]
    at = [draws.point @ part for part in parts]
    values = np.array([_sum_less_one(one) for one in at])
    gradients = [part @ gradient(_sum_less_one, one) for part, one in zip(parts, at, strict=True)]
    found = average(draws, values, np.stack(gradients, axis=1), [source for source, _ in pairs])
    reason = next((both[m]["persistence"]["reason"] for m in METRICS if not both[m]["persistence"]["defined"]), "")
    bounds = {"low": None, "high": None} if reason else {}
    return {**found, **bounds, "defined": not reason, "reason": reason}


def _sum_less_one(at: Floats) -> float:
    """From numerator and denominator of the one persistence, then of the other."""
    return float(at[0] / at[1] + at[2] / at[3] - 1)


def _metric(draws: Draws, groups: Sequence[Group], metric: str) -> dict[str, Any]:
    chosen = [group for group in groups if group.metric == metric]
    moves = [_moves(draws, group) for group in chosen]
    added = [move @ np.array([[1.0, 0.0], [1.0, -1.0]]).T for move in moves]
    beyond = [
        np.stack([group.parts[:, 0] - move[:, 0], group.parts[:, 1]], axis=1)
        for group, move in zip(chosen, moves, strict=True)
    ]
    sources = [group.source for group in chosen]
    found = {}
    for index, name in enumerate(("gain", "side_effect")):
        weights = np.stack([move[:, index] for move in moves], axis=1)
        found[name] = average(draws, draws.point @ weights, weights, sources)
    return {
        "persistence": average_ratio(draws, chosen),
        "added": average_ratio(draws, chosen, added),
        "difference": average_ratio(draws, chosen, beyond),
        **found,
    }


def _moves(draws: Draws, group: Group) -> Floats:
    """(2 × runs, 2) weights of what its own stage and the other one do to a metric, against the source."""
    _, floor, gain = ARMS[group.metric]
    found = match(draws.runs, (gain, floor, SOURCE), group.source, group.evaluator, group.beta)
    if found is None:
        raise ValueError(f"{group.source}, {group.evaluator}: no run of the source on the seeds of its agents")
    return of_metric(found.average @ MOVES, group.metric)
