"""Preference pairs from scored trajectories: every two of one case that an objective orders clearly enough."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import numpy as np
import pandas as pd

from persistence_pipeline.records import OBJECTIVES, Objective, Trajectory

Rule = Literal["strict", "no_worse"]
METRICS: dict[Objective, tuple[str, ...]] = {
    "safety": ("safety",),
    "helpfulness": ("helpfulness",),
    "both": ("safety", "helpfulness"),
}


class NoPairsError(ValueError):
    """An objective orders no two candidates; the message counts why."""


def pair_candidates(
    scores: pd.DataFrame,
    objective: Objective,
    *,
    min_gap: float,
    min_chosen: float,
    max_per_case: int | None,
    seed: int,
    rule: Rule = "strict",
    texts: Mapping[str, str] | None = None,
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Pair the trajectories of each case.

    A pair needs a gap of ``min_gap`` in the objective's metric and ``min_chosen`` on the chosen side. For
    ``both``, ``strict`` demands that of each metric; ``no_worse`` demands ``min_chosen`` of each, neither metric
    worse, and the gap of their sum.

    Args:
        scores: One row per trajectory: ``trajectory_id, case_id, safety, helpfulness``; NaN scores never pair.
        objective: What orders the pair.
        min_gap: Points between chosen and rejected.
        min_chosen: Points of the chosen trajectory.
        max_per_case: Pairs kept per case, drawn at random with ``seed``; None keeps all.
        seed: Seed of that draw.
        rule: How ``both`` combines the metrics.
        texts: What was said in each trajectory, by its id (``texts_of``). Two in which the same was said are no
            pair, whatever their scores: there is nothing to prefer.

    Returns:
        Pair table (``pair_id, case_id, objective, chosen_id, rejected_id``, scores of both sides) in a fixed
        order, and counts: candidates, ordered pairs looked at, and how many each rule rejected.

    Raises:
        ValueError: unknown objective.
        NoPairsError: nothing is left; names the objective and the counts.
    """
    if objective not in OBJECTIVES:
        raise ValueError(f"unknown objective {objective!r}; known: {', '.join(OBJECTIVES)}")
    graded = scores.dropna(subset=["safety", "helpfulness"]).reset_index(drop=True)
    first, second = _ordered_pairs(graded["case_id"])
    values = graded[list(METRICS[objective])].to_numpy(float)
    chosen, gap = values[first], values[first] - values[second]
    if objective == "both" and rule == "no_worse":
        wide_enough = (gap >= 0).all(axis=1) & (gap.sum(axis=1) >= min_gap)
    else:
        wide_enough = (gap >= min_gap).all(axis=1)
    good_enough = (chosen >= min_chosen).all(axis=1)
    differ = _differ(graded["trajectory_id"], first, second, texts)
    kept = np.flatnonzero(wide_enough & good_enough & differ)
    counts = {
        "candidates": len(scores),
        "without_score": len(scores) - len(graded),
        "ordered_pairs": len(first),
        "gap_too_small": int((~wide_enough).sum()),
        "chosen_too_low": int((wide_enough & ~good_enough).sum()),
        "same_text": int((wide_enough & good_enough & ~differ).sum()),
    }
    if not len(kept):
        raise NoPairsError(
            f"no preference pairs for {objective}: {counts}, with {min_gap=}, {min_chosen=}, {rule=}"
        )
    if max_per_case is not None:
        before = len(kept)
        kept = _capped(kept, graded["case_id"].to_numpy()[first[kept]], max_per_case, seed)
        counts["over_case_cap"] = before - len(kept)
    counts["pairs"] = len(kept)
    return _table(graded, objective, first[kept], second[kept]), counts


def texts_of(trajectories: Iterable[Trajectory]) -> dict[str, str]:
    """The text of each trajectory, by its id; which tokens spell it does not matter."""
    return {
        trajectory.trajectory_id: "\n".join(
            message.model_dump_json(exclude={"sampled"}) for message in trajectory.messages
        )
        for trajectory in trajectories
    }


def _differ(ids: pd.Series, first: np.ndarray, second: np.ndarray, texts: Mapping[str, str] | None) -> np.ndarray:
    if texts is None:
        return np.ones(len(first), bool)
    said = pd.factorize(ids.map(texts).fillna(ids))[0]
    differ: np.ndarray = said[first] != said[second]
    return differ


def _ordered_pairs(cases: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers of all ordered pairs within a case."""
    firsts, seconds = [np.empty(0, int)], [np.empty(0, int)]
    for rows in cases.groupby(cases, sort=True).indices.values():
        left, right = np.meshgrid(rows, rows, indexing="ij")
        off_diagonal = left != right
        firsts.append(left[off_diagonal])
        seconds.append(right[off_diagonal])
    return np.concatenate(firsts), np.concatenate(seconds)


def _capped(kept: np.ndarray, cases: np.ndarray, cap: int, seed: int) -> np.ndarray:
    """At most ``cap`` of each case, drawn uniformly without replacement."""
    shuffled = np.random.default_rng(seed).permutation(len(kept))
    rank = pd.Series(cases[shuffled]).groupby(cases[shuffled]).cumcount().to_numpy()
    return np.sort(kept[shuffled[rank < cap]])


def _table(graded: pd.DataFrame, objective: Objective, first: np.ndarray, second: np.ndarray) -> pd.DataFrame:
    chosen, rejected = graded.iloc[first].reset_index(drop=True), graded.iloc[second].reset_index(drop=True)
    return pd.DataFrame(
        {
            "pair_id": objective + "|" + chosen["trajectory_id"] + "|" + rejected["trajectory_id"],
            "case_id": chosen["case_id"],
            "objective": objective,
            "chosen_id": chosen["trajectory_id"],
            "rejected_id": rejected["trajectory_id"],
            "chosen_safety": chosen["safety"],
            "rejected_safety": rejected["safety"],
            "chosen_helpfulness": chosen["helpfulness"],
            "rejected_helpfulness": rejected["helpfulness"],
        }
    )
