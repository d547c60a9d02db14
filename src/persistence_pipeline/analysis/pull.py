"""Pull against order: the gaps between the orders where both stages pull equally.

A stage *pulls* by what it alone gains in its own metric over the source. Where one stage pulls harder, the agents
of two stages lie nearer to it whatever the order, and what is lost and kept says little of order. A study that
varies a setting of the stages has several pairs of pulls; between two of them that enclose equal pull, the gaps
are interpolated to it. Equal has two readings: *points*, S gains as many points of safety as H of helpfulness;
*shares*, as large a share of the one gain persists as of the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from persistence_pipeline.analysis.bootstrap import Draws
from persistence_pipeline.analysis.errors import errors_of, interval_of
from persistence_pipeline.analysis.intervals import correct, with_verdict
from persistence_pipeline.analysis.order import ARMS, gradient, more
from persistence_pipeline.analysis.persistence import match, of_metric, persistence_keys
from persistence_pipeline.analysis.plain import plain
from persistence_pipeline.analysis.runs import ALL, Floats, Levels
from persistence_pipeline.factors import text
from persistence_pipeline.orderings import SOURCE

Row = dict[str, Any]
NAMES = (*ARMS, SOURCE)
S, H, SH, HS, BASE = range(len(NAMES))
SAFETY, HELPFULNESS = range(2)


@dataclass(frozen=True)
class Level:
    """One level of the factors."""

    beta: float
    further: Levels
    weights: Floats
    """(metrics × runs, metrics × arms) to the means of ``NAMES``, by metric."""


def points(at: Floats) -> float:
    """What H gains in helpfulness less what S gains in safety; ``at`` is (metrics, arms)."""
    return float(at[HELPFULNESS, H] - at[HELPFULNESS, BASE] - at[SAFETY, S] + at[SAFETY, BASE])


def shares(at: Floats) -> float:
    """Persistence of helpfulness less persistence of safety; ``at`` is (metrics, arms)."""
    return -more(at[[SAFETY, HELPFULNESS], :BASE].ravel())


DIALS: dict[str, Callable[[Floats], float]] = {"points": points, "shares": shares}
"""By reading of equal pull, a number that is zero there and above it where helpfulness pulls harder."""


def pull_summary(draws: Draws, margin: float) -> list[Row]:
    """Pulls and gaps at every level of the factors, and the gaps at equal pull.

    Args:
        draws: Run means of safety, helpfulness, and further measures that gaps are asked of.
        margin: Points of 3 below which a gap counts as none.

    Returns:
        A row for each source and evaluator, and for the mean of the sources where there are several: ``levels``,
        each with its factors, ``pull`` (``safety, helpfulness``), ``gap`` (S>H minus H>S by measure) and by
        reading of equal pull how far the level is from it; ``equal``: by reading the ``gap`` by measure at equal
        pull and ``between``, the levels that enclose it, or ``reason``, why there is none.
    """
    groups = _groups(draws)
    rows: list[Row] = []
    for (source, evaluator), own in groups.items():
        measured = [_level(draws, one, margin) for one in own]
        equal = {name: _equal(draws, [own], [measured], name, margin) for name in DIALS}
        rows.append({"source": source, "evaluator": evaluator, "levels": measured, "equal": equal})
    for evaluator in dict.fromkeys(evaluator for _, evaluator in groups):
        here = [row for row in rows if row["evaluator"] == evaluator]
        if len(here) > 1:
            several = [groups[row["source"], evaluator] for row in here]
            each = [row["levels"] for row in here]
            equal = {name: _equal(draws, several, each, name, margin) for name in DIALS}
            rows.append({"source": ALL, "evaluator": evaluator, "levels": [], "equal": equal})
    _adjust(rows)
    return rows


def _groups(draws: Draws) -> dict[tuple[str, str], list[Level]]:
    """By source and evaluator, the levels that have all arms."""
    groups: dict[tuple[str, str], list[Level]] = {}
    for source, evaluator, beta, levels in persistence_keys(draws.runs):
        found = match(draws.runs, NAMES, source, evaluator, beta, levels)
        if found is not None:
            metrics = list(draws.means)
            weights = np.concatenate([of_metric(found.average, metric, metrics) for metric in metrics], axis=1)
            groups.setdefault((source, evaluator), []).append(Level(beta, levels, weights))
    return groups


def _level(draws: Draws, level: Level, margin: float) -> Row:
    """Pulls and gaps at one level."""
    names, n, weights = list(draws.means), len(NAMES), level.weights
    row: Row = {"beta": level.beta, **plain(dict(level.further))}

    def change(measure: int, arm: int, other: int) -> Any:
        own = (weights[:, measure * n + arm] - weights[:, measure * n + other])[:, None]
        return interval_of(draws, own)

    pull = {"safety": change(SAFETY, S, BASE).as_dict(), "helpfulness": change(HELPFULNESS, H, BASE).as_dict()}
    gap = {name: with_verdict(change(index, SH, HS), margin) for index, name in enumerate(names)}
    at, errors = draws.point @ weights, errors_of(draws, weights)
    dials = {}
    for name, dial in DIALS.items():
        by = _flat(dial, len(names))
        dials[name] = errors.interval(by(at), gradient(by, at)).as_dict()
    return {**row, "pull": pull, "gap": gap, **dials}


def _flat(dial: Callable[[Floats], float], n_measures: int) -> Callable[[Floats], float]:
    return lambda at: dial(at.reshape(n_measures, len(NAMES)))


def _equal(
    draws: Draws,
    groups: Sequence[Sequence[Level]],
    levels: Sequence[Sequence[Mapping[str, Any]]],
    name: str,
    margin: float,
) -> Row:
    """The gaps where one dial is zero, averaged over groups that each have levels on both sides of it."""
    chosen: list[Floats] = []
    between: list[list[str]] = []
    for own, found in zip(groups, levels, strict=True):
        ordered = sorted(range(len(own)), key=lambda index: found[index][name]["estimate"])
        enclosing = [
            (low, high)
            for low, high in pairwise(ordered)
            if found[low][name]["estimate"] < 0 <= found[high][name]["estimate"]
        ]
        if not enclosing:
            return {"reason": "no two levels of the study have equal pull between them"}
        chosen += [own[index].weights for index in enclosing[0]]
        between.append([text(found[index]) for index in enclosing[0]])
    weights = np.concatenate(chosen, axis=1)
    errors, at, measures = errors_of(draws, weights), draws.point @ weights, list(draws.means)
    shape = (len(groups), 2, len(measures), len(NAMES))

    def gap_at(measure: int) -> Callable[[Floats], float]:
        def found(flat: Floats) -> float:
            return float(
                np.mean([_between(pair[0], pair[1], DIALS[name], measure) for pair in flat.reshape(shape)])
            )

        return found

    gaps = {}
    for index, measure in enumerate(measures):
        number = gap_at(index)
        gaps[measure] = with_verdict(errors.interval(number(at), gradient(number, at)), margin)
    return {"gap": gaps, "between": between, "reason": ""}


def _between(low: Floats, high: Floats, dial: Callable[[Floats], float], measure: int) -> float:
    """The gap of a measure where the dial is zero, by interpolation between two levels, each (metrics, arms)."""
    first, last = dial(low), dial(high)
    share = -first / (last - first)
    gaps = [at[measure, SH] - at[measure, HS] for at in (low, high)]
    return float(gaps[0] + share * (gaps[1] - gaps[0]))


def _adjust(rows: Sequence[Row]) -> None:
    """Correct the verdicts on gaps at equal pull by Holm, by reading, and add ``holm_p``."""
    for name in DIALS:
        correct(gap for row in rows if row["source"] != ALL for gap in row["equal"][name].get("gap", {}).values())
