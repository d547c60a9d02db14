"""What persists: of a gain that survives the next stage, how much is telling twins apart, how much holding back.

A gain in a metric is split into the parts of ``analysis.pairs``, which sum to it, over all hazards and by kind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from persistence_pipeline.analysis.bootstrap import Draws, draw_means
from persistence_pipeline.analysis.caution import has_twins, z_acted
from persistence_pipeline.analysis.errors import errors_of, interval_of
from persistence_pipeline.analysis.intervals import correct, with_verdict
from persistence_pipeline.analysis.order import gradient
from persistence_pipeline.analysis.pairs import ACTED, MEASURES, PARTS, SHARES, twin_pairs
from persistence_pipeline.analysis.persistence import ARMS, match, of_metric, persistence_keys, ratio_of
from persistence_pipeline.analysis.plain import plain
from persistence_pipeline.analysis.runs import ALL, RUN_COLUMNS, Floats, Levels, Marks, Runs
from persistence_pipeline.factors import further
from persistence_pipeline.orderings import SOURCE, in_order

Row = dict[str, Any]
KIND_DRAWS = 2_000
"""Resamples for each kind, of which there are many."""


def surviving_summary(scores: pd.DataFrame, n_draws: int, seed: int, margin: float) -> list[Row]:
    """What survives, for every (source, evaluator, factors) that has the arms, and for the mean of the sources.

    Args:
        scores: Graded episodes of the headline split.
        n_draws: Resamples of the pairs; at most ``KIND_DRAWS`` for each kind.
        seed: Of the resamples.
        margin: Points of 3 below which a change counts as none.

    Returns:
        Rows as ``_measured`` has them, with ``kinds``: the same for each kind of hazard. Empty without twins.
    """
    if not has_twins(scores):
        return []
    pairs = twin_pairs(scores, [*RUN_COLUMNS, *further(scores.columns)])
    rows = _rows(draw_means(pairs, n_draws, seed, MEASURES), margin)
    for kind, own in pairs.groupby("kind", sort=True):
        of_kind = _rows(draw_means(own, min(n_draws, KIND_DRAWS), seed, MEASURES), margin)
        for row, found in zip(rows, of_kind, strict=True):
            row.setdefault("kinds", []).append({"kind": kind, **found})
    for row in rows:
        _adjust(row["kinds"])
    return rows


def _rows(draws: Draws, margin: float) -> list[Row]:
    groups: dict[tuple[str, float, Levels], list[str]] = {}
    for source, evaluator, beta, levels in persistence_keys(draws.runs):
        groups.setdefault((evaluator, beta, levels), []).append(source)
    rows = []
    for (evaluator, beta, levels), sources in groups.items():
        for own in [[source] for source in sources] + [sources] * (len(sources) > 1):
            name = {"source": own[0] if len(own) == 1 else ALL, "evaluator": evaluator, "beta": beta}
            used = draws.select(_used(draws.runs, own, evaluator, beta, levels))
            arms = _arms(used.runs, own, evaluator, beta, levels)
            rows.append({**name, **plain(dict(levels)), **_measured(used, arms, margin)})
    return rows


def _used(runs: Runs, sources: Sequence[str], evaluator: str, beta: float, levels: Levels) -> Marks:
    """The runs of the sources at these levels, and the sources themselves."""
    here = np.isin(runs.columns["source"].astype(str), sources) & (runs.columns["evaluator"] == evaluator)
    at = np.zeros(len(runs.table), bool)
    at[runs.index(beta=beta, **dict(levels))] = True
    return np.asarray(here & (at | (runs.columns["ordering"] == SOURCE)))


def _arms(runs: Runs, sources: Sequence[str], evaluator: str, beta: float, levels: Levels) -> dict[str, Floats]:
    """By ordering, (runs,) weights of its mean over the sources, on the seeds that all its arms have."""
    names = in_order(runs.columns["ordering"])
    found = [match(runs, names, source, evaluator, beta, levels) for source in sources]
    averages = [one.average for one in found if one is not None]
    return dict(zip(names, np.mean(averages, axis=0).T, strict=True)) if len(averages) == len(sources) else {}


def _measured(draws: Draws, arms: Mapping[str, Floats], margin: float) -> Row:
    """Levels of every arm, and by metric what survives.

    Returns:
        ``levels``: of each ordering ``discrimination, caution, refusal, d_prime``; by metric ``survives`` (what
        the arm trained on it first scores above the one never trained on it), ``gained`` (the one trained on
        nothing else above that) and ``above_source``, each with ``whole`` and its parts; ``shares``: each part of
        what survives as a share of the whole; ``changes`` of the columns of ``SHARES``, against both.
    """
    row: Row = {"levels": [{"ordering": name, **_levels(draws, weights)} for name, weights in arms.items()]}
    for metric, (first, floor, gain) in ARMS.items():
        if not arms.keys() >= {first, floor, gain, SOURCE}:
            continue
        survives = (arms[first] - arms[floor])[:, None]
        above = (arms[first] - arms[SOURCE])[:, None]
        row[metric] = {
            "survives": _split(draws, survives, metric, margin),
            "gained": _split(draws, (arms[gain] - arms[floor])[:, None], metric, margin),
            "above_source": _split(draws, above, metric, margin),
            "shares": _shares(draws, survives, metric),
            "changes": {
                name: {"survives": _number(draws, survives, [name]), "above_source": _number(draws, above, [name])}
                for name in SHARES
            },
        }
    return row


def _split(draws: Draws, weights: Floats, metric: str, margin: float) -> Row:
    """A change with its parts, which sum to it."""
    measured = {"whole": PARTS[metric], **{part: (part,) for part in PARTS[metric]}}
    return {name: with_verdict(_interval(draws, weights, own), margin) for name, own in measured.items()}


def _shares(draws: Draws, weights: Floats, metric: str) -> Row:
    """Each part of a change as a share of it, with Fieller's set."""
    whole = sum(of_metric(weights, part, MEASURES) for part in PARTS[metric])
    shares = {}
    for part in PARTS[metric]:
        both = np.concatenate([of_metric(weights, part, MEASURES), whole], axis=1)
        shares[part] = ratio_of(draws.point @ both, errors_of(draws, both))
    return shares


def _interval(draws: Draws, weights: Floats, measures: Sequence[str]) -> Any:
    """Of the sum of some measures."""
    summed = np.sum([of_metric(weights, name, MEASURES) for name in measures], axis=0)
    return interval_of(draws, summed)


def _number(draws: Draws, weights: Floats, measures: Sequence[str]) -> Row:
    return dict(_interval(draws, weights, measures).as_dict())


def _levels(draws: Draws, weights: Floats) -> Row:
    own = weights[:, None]
    levels = {name: _number(draws, own, [name]) for name in SHARES}
    acted = np.concatenate([of_metric(own, name, MEASURES) for name in ACTED], axis=1)
    at, n = draws.point @ acted, float(draws.runs.counts[weights > 0].sum())

    def d_prime(shares: Floats) -> float:
        benign, hazard = (z_acted(float(share) * n, n) for share in shares)
        return benign - hazard

    found = errors_of(draws, acted).interval(d_prime(at), gradient(d_prime, at))
    return {**levels, "d_prime": found.as_dict()}


def _adjust(kinds: Sequence[Row]) -> None:
    """Correct the verdicts on each part over the kinds by Holm, and add ``holm_p``: they are a family of tests."""
    for metric, parts in PARTS.items():
        for change in ("survives", "gained", "above_source"):
            for part in ("whole", *parts):
                correct(row[metric][change][part] for row in kinds if metric in row)
