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

from persistence_pipeline.analysis.bootstrap import interval
from persistence_pipeline.analysis.order import excess, order_gap
from persistence_pipeline.analysis.persistence import ARMS, Group, average_ratio, ratio_parts
from persistence_pipeline.analysis.runs import Floats, Runs, average_over
from persistence_pipeline.analysis.summary import Draws
from persistence_pipeline.orderings import SOURCE
from persistence_pipeline.records import METRICS

ADDED = ("gain", "side_effect")


def rival_rows(draws: Draws, keys: Mapping[str, Mapping[str, Sequence[Group]]]) -> list[dict[str, Any]]:
    """One row per beta and average.

    Args:
        draws: Point estimate and draws of every run.
        keys: By beta and name, the ratios that are averaged.

    Returns:
        ``beta, of, order_excess`` (persistence of safety plus that of helpfulness, minus one), ``order`` (by
        metric, what S>H scores above H>S, an interval in points), and by metric ``persistence, added`` (what
        addition would leave) and ``difference`` (persistence minus that), as made by ``average_ratio``; ``gain``
        (what the stage trained on the metric does to it) and ``side_effect`` (what the other stage alone does to
        it), in points against the source.
    """
    rows = []
    for beta, named in keys.items():
        for name, groups in named.items():
            if {group.metric for group in groups} == set(METRICS):
                order = {metric: _order(draws, groups, metric) for metric in METRICS}
                both = {metric: _metric(draws, groups, metric) for metric in METRICS}
                total = excess(draws.means, groups)
                rows.append({"beta": beta, "of": name, "order_excess": total, "order": order, **both})
    return rows


def _order(draws: Draws, groups: Sequence[Group], metric: str) -> dict[str, float | None]:
    """What S>H scores above H>S, averaged over the (model, evaluator)s."""
    keys = sorted({(g.source, g.evaluator, g.beta) for g in groups})
    gaps = [order_gap(draws.runs, draws.means[metric], *key) for key in keys]
    gap = np.mean([gap for gap in gaps if gap is not None], axis=0)  # both orders: the caller looked
    return interval(gap[0], gap[1:]).as_dict()


def _metric(draws: Draws, groups: Sequence[Group], metric: str) -> dict[str, Any]:
    chosen = [group for group in groups if group.metric == metric]
    means = draws.means[metric]
    moved = [_moves(draws.runs, means, group) for group in chosen]
    parts = [ratio_parts(means, group) for group in chosen]
    added = [(gain, gain - side) for gain, side in moved]
    beyond = [(top - gain, bottom) for (top, bottom), (gain, _) in zip(parts, moved, strict=True)]
    averaged = {name: np.mean([pair[i] for pair in moved], axis=0) for i, name in enumerate(ADDED)}
    return {
        "persistence": average_ratio(parts),
        "added": average_ratio(added),
        "difference": average_ratio(beyond),
        **{name: interval(values[0], values[1:]).as_dict() for name, values in averaged.items()},
    }


def _moves(runs: Runs, means: Floats, group: Group) -> tuple[Floats, Floats]:
    """What its own stage and what the other one do to a metric, against the source on the same seeds."""
    _, floor, gain = ARMS[group.metric]
    keys = {"source": group.source, "evaluator": group.evaluator}
    sources = runs.index(ordering=SOURCE, **keys)
    moves = []
    for arm in (gain, floor):
        rows = runs.index(ordering=arm, beta=group.beta, **keys)
        seeds = set(runs.table.loc[rows, "seed"])
        base = sources[[runs.table.loc[row, "seed"] in seeds for row in sources]]
        moves.append(means @ average_over(len(runs.table), [rows, base]) @ np.array([1.0, -1.0]))
    return moves[0], moves[1]
