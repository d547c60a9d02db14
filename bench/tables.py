"""Analysis and pairing against the loops over dicts that they replace."""

from __future__ import annotations

import random
import statistics
from typing import Any

import pandas as pd

from bench import materials
from bench.timing import Row, speed_up
from persistence_pipeline.analysis.bootstrap import draw_means
from persistence_pipeline.analysis.frontier_summary import frontier_summary
from persistence_pipeline.analysis.summary import persistence_summary
from persistence_pipeline.preferences.pairing import pair_candidates

DRAWS = 10_000
PLAIN_DRAWS = 40
"""Draws that the plain loop makes; its time is proportional to them."""
TRAJECTORIES = 4_000


def measure(repeats: int) -> list[Row]:
    """The rows of the analysis and of pairing."""
    return [_bootstrap_row(repeats), _pairing_row(repeats)]


def _bootstrap_row(repeats: int) -> Row:
    scores = materials.published_scores()
    results: dict[str, Any] = {}

    def ours() -> None:
        draws = draw_means(scores, DRAWS, 0)
        results["ours"] = frontier_summary(draws), persistence_summary(draws)

    def theirs() -> None:
        results["theirs"] = plain_resampling(scores, PLAIN_DRAWS)

    row = speed_up(
        "analysis",
        f"persistence and frontier with {DRAWS:,} draws on tables of published size ({len(scores):,} rows)",
        "resampling in plain Python over dicts",
        ours,
        theirs,
        target=50,
        repeats=repeats,
        scale=DRAWS / PLAIN_DRAWS,
        note=f"the plain loop made {PLAIN_DRAWS} draws, its time is scaled",
    )
    (frontier, persistence), (slope, ratios) = results["ours"], results["theirs"]
    if abs(frontier["ols"]["slope"] - slope) > 1e-9:
        raise RuntimeError("the two analyses disagree on the slope")
    for entry in persistence:
        key = (entry["source"], entry["evaluator"], entry["beta"])
        if abs(entry["safety"]["estimate"] - ratios[key]) > 1e-9:
            raise RuntimeError(f"the two analyses disagree on the persistence of {key}")
    return row


def plain_resampling(scores: pd.DataFrame, n_draws: int) -> tuple[float, dict[Any, float]]:
    """Slope and safety's persistence of the data, after as many resamples of its cases as asked."""
    runs: dict[Any, dict[str, dict[str, float]]] = {}
    for row in scores.fillna({"beta": -1.0}).to_dict("records"):
        key = (row["source"], row["ordering"], row["beta"], row["seed"], row["evaluator"])
        runs.setdefault(key, {})[row["case_id"]] = {m: row[m] for m in ("safety", "helpfulness")}
    cases = sorted(scores["case_id"].unique())
    rng = random.Random(0)
    slopes, drawn_ratios = [], []
    for _ in range(n_draws):
        slope, ratios = _estimate(runs, rng.choices(cases, k=len(cases)))
        slopes.append(slope)
        drawn_ratios.append(ratios)
    slopes.sort()
    return _estimate(runs, cases)


def _estimate(runs: dict[Any, dict[str, dict[str, float]]], cases: list[str]) -> tuple[float, dict[Any, float]]:
    means = {}
    for key, by_case in runs.items():
        mine = [by_case[case] for case in cases if case in by_case]
        means[key] = {m: sum(score[m] for score in mine) / len(mine) for m in ("safety", "helpfulness")}
    changes: dict[Any, list[tuple[float, float]]] = {}
    levels: dict[Any, list[float]] = {}
    for (source, ordering, beta, seed, evaluator), mean in means.items():
        if ordering == "source":
            continue
        base = means[source, "source", -1.0, seed, evaluator]
        change = (mean["helpfulness"] - base["helpfulness"], mean["safety"] - base["safety"])
        changes.setdefault((source, ordering, beta), []).append(change)
        levels.setdefault((source, evaluator, beta, ordering), []).append(mean["safety"])
    points = [tuple(statistics.fmean(axis) for axis in zip(*values, strict=True)) for values in changes.values()]
    return _slope(points), _ratios({key: statistics.fmean(values) for key, values in levels.items()})


def _slope(points: list[Any]) -> float:
    x, y = [statistics.fmean(axis) for axis in zip(*points, strict=True)]
    return sum((a - x) * (b - y) for a, b in points) / sum((a - x) ** 2 for a, _ in points)


def _ratios(levels: dict[Any, float]) -> dict[Any, float]:
    ratios = {}
    for source, evaluator, beta, ordering in levels:
        if ordering == "safety":
            both, without, alone = (
                levels[source, evaluator, beta, o] for o in ("safety>helpfulness", "helpfulness", "safety")
            )
            ratios[source, evaluator, beta] = (
                (both - without) / (alone - without) if alone != without else float("nan")
            )
    return ratios


def _pairing_row(repeats: int) -> Row:
    scores = materials.candidate_scores().head(TRAJECTORIES)
    found: dict[str, set[tuple[str, str]]] = {}

    def ours() -> None:
        table, _ = pair_candidates(scores, "safety", min_gap=2, min_chosen=2, max_per_case=None, seed=0)
        found["ours"] = set(zip(table["chosen_id"], table["rejected_id"], strict=True))

    def theirs() -> None:
        rows = scores.to_dict("records")
        found["theirs"] = {
            (a["trajectory_id"], b["trajectory_id"])
            for a in rows
            for b in rows
            if a["case_id"] == b["case_id"] and a["safety"] >= 2 and a["safety"] - b["safety"] >= 2
        }

    row = speed_up(
        "pairing",
        f"pair synthesis from {TRAJECTORIES:,} trajectories",
        "a quadratic loop over pairs of dicts",
        ours,
        theirs,
        target=10,
        repeats=repeats,
    )
    if found["ours"] != found["theirs"]:
        raise RuntimeError("the two ways find different pairs")
    row.details["pairs"] = len(found["ours"])
    return row
