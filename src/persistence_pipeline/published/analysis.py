"""Frontier and persistence of the evaluation sets: overall, per evaluator, per model, by the study's own code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from persistence_pipeline.analysis.averages import average_ratio
from persistence_pipeline.analysis.bootstrap import Draws, draw_means
from persistence_pipeline.analysis.frontier import ols
from persistence_pipeline.analysis.frontier_summary import frontier_summary
from persistence_pipeline.analysis.intervals import MARGIN
from persistence_pipeline.analysis.persistence import Group, persistence_groups, unmatched
from persistence_pipeline.analysis.runs import Runs
from persistence_pipeline.orderings import SOURCE
from persistence_pipeline.published.published_scheme import GroupDraws, Key, group_draws, published_interval
from persistence_pipeline.published.rivals import rival_rows
from persistence_pipeline.records import METRICS

AVERAGE = "average"
ALL = "all"
UNDEFINED_LINE = dict.fromkeys(("r2", "slope", "intercept", "p"))
"""What a line that cannot be fitted has for numbers; ``undefined`` says why."""


def analyse_set(scores: pd.DataFrame, n_draws: int, seed: int, margin: float = MARGIN) -> dict[str, Any]:
    """Analysis of one evaluation set.

    Returns:
        ``frontier`` (by ``all``, evaluator, model and ``model|evaluator``), ``persistence`` (by beta, then by
        ``average``, model, evaluator and ``model|evaluator``), ``rivals`` (what persistence would be without
        memory), ``single_runs`` (the line through single runs) and ``unmatched`` (ratios whose arms have no seed
        in common).
    """
    draws = draw_means(scores, n_draws, seed)
    frontier = {key: frontier_summary(draws.select(keep), margin) for key, keep in _subsets(draws.runs)}
    ratios = _ratios(draws.runs)
    return {
        "frontier": {key: {**UNDEFINED_LINE, **line["ols"], **line} for key, line in frontier.items()},
        "persistence": _persistence(draws, ratios, n_draws, seed),
        "rivals": rival_rows(draws, ratios, margin),
        "single_runs": single_runs(draws),
        "unmatched": unmatched(draws.runs),
    }


def _subsets(runs: Runs) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    """Names of the subsets of runs that get a line of their own, and their rows."""
    table = runs.table
    yield ALL, np.ones(len(table), bool)
    for column in ("evaluator", SOURCE):
        for value in sorted(table[column].unique()):
            yield str(value), (table[column] == value).to_numpy()
    for source, evaluator in _pairs_of(runs):
        keep = (table["source"] == source) & (table["evaluator"] == evaluator)
        yield f"{source}|{evaluator}", keep.to_numpy()


def _pairs_of(runs: Runs) -> list[tuple[str, str]]:
    pairs = runs.table[["source", "evaluator"]].drop_duplicates().sort_values(["source", "evaluator"])
    return list(pairs.itertuples(index=False, name=None))


def single_runs(draws: Draws) -> dict[str, Any]:
    """The line through single runs, each minus its source on the same seed and evaluator, before averaging.

    Returns:
        As ``frontier.ols``, with ``points``: source, ordering, beta, seed, evaluator and both differences.
    """
    runs, points = draws.runs, []
    for index, row in enumerate(runs.table.to_dict("records")):
        if row["ordering"] == SOURCE:
            continue
        (base,) = runs.index(ordering=SOURCE, **{key: row[key] for key in ("source", "seed", "evaluator")})
        change = {f"delta_{m}": float(draws.means[m][0, index] - draws.means[m][0, base]) for m in METRICS}
        points.append({**{str(key): value for key, value in row.items()}, **change})
    x, y = (np.array([point[f"delta_{m}"] for point in points]) for m in ("helpfulness", "safety"))
    return {**ols(x, y), "points": points}


def _ratios(runs: Runs) -> dict[str, dict[str, list[Group]]]:
    """By beta and name of an average: the ratios in it."""
    groups = persistence_groups(runs)
    result: dict[str, dict[str, list[Group]]] = {}
    for beta in sorted({group.beta for group in groups}):
        here = [group for group in groups if group.beta == beta]
        keys = {AVERAGE: here}
        for name in sorted({g.source for g in here} | {g.evaluator for g in here}):
            keys[name] = [g for g in here if name in (g.source, g.evaluator)]
        for source, evaluator in _pairs_of(runs):
            keys[f"{source}|{evaluator}"] = [g for g in here if (g.source, g.evaluator) == (source, evaluator)]
        result[f"{beta:g}"] = {name: members for name, members in keys.items() if members}
    return result


def _persistence(
    draws: Draws, ratios: Mapping[str, Mapping[str, list[Group]]], n_draws: int, seed: int
) -> dict[str, dict[str, Any]]:
    groups = [group for keys in ratios.values() for group in keys[AVERAGE]]
    published = group_draws(draws.runs, groups, n_draws, seed)
    return {
        beta: {
            key: {metric: _entry(draws, members, published, metric) for metric in METRICS}
            for key, members in keys.items()
        }
        for beta, keys in ratios.items()
    }


def _entry(
    draws: Draws, members: list[Group], published: Mapping[Key, GroupDraws], metric: str
) -> dict[str, Any] | None:
    """Persistence of one metric over some (model, evaluator) groups, with both schemes' intervals."""
    chosen = [group for group in members if group.metric == metric]
    if not chosen:
        return None
    return {
        **average_ratio(draws, chosen),
        "published_interval": published_interval([published[g.key] for g in members], metric),
    }
