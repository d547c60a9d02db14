"""Persistence: the share of a stage's gain that survives the next stage.

Safety: (Safety(S>H) − Safety(H)) / (Safety(S) − Safety(H)); helpfulness likewise with the letters exchanged.
It is a ratio: its interval is Fieller's, and where that is none it is undefined. Arms are compared on the seeds
that all of them have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from persistence_pipeline.analysis.bootstrap import Draws
from persistence_pipeline.analysis.errors import Errors, errors_of
from persistence_pipeline.analysis.runs import Floats, Levels, Runs, average_over
from persistence_pipeline.factors import text
from persistence_pipeline.orderings import SOURCE, sequence
from persistence_pipeline.records import METRICS

ARMS = {
    "safety": (sequence("safety", "helpfulness"), "helpfulness", "safety"),
    "helpfulness": (sequence("helpfulness", "safety"), "safety", "helpfulness"),
}
"""By metric: the arm trained on it first, the arm never trained on it, the arm trained on nothing else."""
RATIO = np.array([[1.0, -1.0, 0.0], [0.0, -1.0, 1.0]]).T
"""From the three arms to numerator and denominator."""


@dataclass(frozen=True)
class Matched:
    """Runs of several arms of one (source, evaluator, factors) on the seeds that all of them have."""

    average: Floats
    """(runs, arms) matrix to the mean scores of the arms."""
    seeds: tuple[int, ...]
    left_out: tuple[str, ...]
    """Seeds that an arm lacks, each with that arm."""


@dataclass(frozen=True)
class Group:
    """The runs of one (source, evaluator, factors) for one metric's ratio."""

    source: str
    evaluator: str
    beta: float
    metric: str
    average: Floats
    """(runs, 3) matrix to the mean scores of the three arms of ``ARMS``."""
    seeds: tuple[int, ...] = ()
    left_out: tuple[str, ...] = ()
    levels: Levels = ()

    @property
    def key(self) -> tuple[str, str, float, str]:
        """Source, evaluator, beta and metric."""
        return self.source, self.evaluator, self.beta, self.metric

    @property
    def parts(self) -> Floats:
        """(2 × runs, 2) weights of the numerator and the denominator."""
        return of_metric(self.average @ RATIO, self.metric)


def of_metric(weights: Floats, metric: str, metrics: Sequence[str] = METRICS) -> Floats:
    """(metrics × runs, q) weights of statistics of one metric, from those of its (runs, q)."""
    return np.concatenate([weights if name == metric else np.zeros_like(weights) for name in metrics])


def match(
    runs: Runs, arms: Sequence[str], source: str, evaluator: str, beta: float, levels: Levels = ()
) -> Matched | None:
    """The arms' runs on common seeds; None where there is no seed that all have."""
    rows = {}
    for arm in arms:
        keys: dict[str, Any] = {"source": source, "evaluator": evaluator, "ordering": arm}
        found = runs.index(**keys) if arm == SOURCE else runs.index(**keys, beta=beta, **dict(levels))
        rows[arm] = {int(runs.columns["seed"][row]): row for row in found}
    every = sorted(set().union(*rows.values()))
    seeds = [seed for seed in every if all(seed in own for own in rows.values())]
    if not seeds:
        return None
    lacking = [(seed, [arm for arm in arms if seed not in rows[arm]]) for seed in every if seed not in seeds]
    average = average_over(len(runs.table), [np.array([rows[arm][seed] for seed in seeds]) for arm in arms])
    return Matched(average, tuple(seeds), tuple(f"seed {seed}: no {' nor '.join(none)}" for seed, none in lacking))


def persistence_groups(runs: Runs) -> list[Group]:
    """Every (source, evaluator, factors, metric) for which all three arms exist on a common seed."""
    groups = []
    for source, evaluator, beta, levels in persistence_keys(runs):
        for metric, arms in ARMS.items():
            found = match(runs, arms, source, evaluator, beta, levels)
            if found is not None:
                key = (source, evaluator, beta, metric)
                groups.append(Group(*key, found.average, found.seeds, found.left_out, levels))
    return groups


def unmatched(runs: Runs) -> list[str]:
    """Ratios that all arms are there for, but on no common seed."""
    said = []
    for source, evaluator, beta, levels in persistence_keys(runs):
        here = {"source": source, "evaluator": evaluator, "beta": beta, **dict(levels)}
        for metric, arms in ARMS.items():
            present = all(len(runs.index(**here, ordering=arm)) for arm in arms)
            if present and match(runs, arms, source, evaluator, beta, levels) is None:
                said.append(
                    f"persistence of {metric}, {source}, {evaluator}, {text(here)}: no seed has all of "
                    f"{', '.join(arms)}"
                )
    return said


def persistence_keys(runs: Runs) -> list[tuple[str, str, float, Levels]]:
    """Source, evaluator, beta and other levels of all that was trained."""
    trained = runs.table.dropna(subset=["beta"])
    columns = ["source", "evaluator", "beta", *runs.further]
    keys = trained[columns].drop_duplicates().sort_values(columns).itertuples(index=False, name=None)
    return [
        (str(source), str(evaluator), float(beta), tuple(zip(runs.further, levels, strict=True)))
        for source, evaluator, beta, *levels in keys
    ]


def ratio(draws: Draws, group: Group, level: float = 0.95) -> dict[str, Any]:
    """A persistence ratio with Fieller's interval: see ``ratio_of``."""
    return ratio_of(draws.point @ group.parts, errors_of(draws, group.parts), level)


def ratio_of(parts: Floats, errors: Errors, level: float = 0.95) -> dict[str, Any]:
    """The first of two numbers over the second.

    Returns:
        ``estimate, low, high, kind``, ``parts`` (of its variance, by linearisation), ``numerator, denominator``
        (what survived and what was gained, each an interval), ``fieller`` (the whole set), ``defined`` (the set is
        an interval and the gain positive) and ``reason``.
    """
    top, bottom = (float(value) for value in parts)
    gain = errors.interval(bottom, np.array([0.0, 1.0]), level)
    found = errors.ratio(top, bottom, level)
    defined = bool(bottom > 0 and found["kind"] == "bounded")
    return {
        "estimate": top / bottom if bottom else None,
        "low": found["low"] if defined else None,
        "high": found["high"] if defined else None,
        "kind": errors.kind,
        "parts": errors.parts(np.array([1.0, -top / bottom]) / bottom) if defined else None,
        "numerator": errors.interval(top, np.array([1.0, 0.0]), level).as_dict(),
        "denominator": gain.as_dict(),
        "fieller": found,
        "defined": defined,
        "reason": "" if defined else no_gain(gain.reason, gain.low, gain.high),
    }


def no_gain(reason: str, low: float, high: float) -> str:
    """Why there is no ratio."""
    return reason or f"the gain's interval [{low:.3f}, {high:.3f}] does not lie above zero"
