"""The audit of a set of preference pairs: one table, a row for the pool and one per objective."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from persistence_pipeline.records import METRICS, Trajectory

BEST = 3.0


def audit_pairs(
    scores: pd.DataFrame, pair_tables: Iterable[pd.DataFrame], trajectories: Sequence[Trajectory] = ()
) -> pd.DataFrame:
    """Audit the pool of candidates and each objective's pairs.

    Args:
        scores: Scores of the pool; with ``n_tokens`` the lengths are audited too.
        pair_tables: As made by ``pair_candidates``.
        trajectories: Those of the pool; with them the turns are counted too.

    Returns:
        Columns ``set, n, n_cases, best_of_both`` (share at 3 and 3, of the pool or of the chosen side), means of
        both metrics by side, ``conflict_share`` (pairs that the other metric orders the other way round),
        ``other_metric_gain`` (chosen minus rejected in the metric that the objective does not look at),
        mean tokens by side, and for the pool the correlations of the scores with length and with each other.
        With trajectories, of each set: ``turns``; ``rendered_turns``, whose sampled tokens are not known;
        ``respelled_turns``, whose canonical rendering has other tokens than were sampled; and
        ``engine_ended_turns``, that the agent did not end itself. The last two are known of episodes that were
        sampled in process. Then a row ``turns in <dialect>`` for each dialect of the pool.
    """
    graded = scores.dropna(subset=list(METRICS))
    pair_tables = list(pair_tables)
    rows = [_pool(graded)]
    rows += [_pairs(pairs, graded) for pairs in pair_tables]
    if not trajectories:
        return pd.DataFrame(rows)
    of_set = [trajectories]
    for pairs in pair_tables:
        played = {*pairs["chosen_id"], *pairs["rejected_id"]}
        of_set.append([trajectory for trajectory in trajectories if trajectory.trajectory_id in played])
    rows = [row | _turns(played) for row, played in zip(rows, of_set, strict=True)]
    return pd.DataFrame([*rows, *_dialects(trajectories)])


def _pool(graded: pd.DataFrame) -> dict[str, Any]:
    row = {
        "set": "pool",
        "n": len(graded),
        "n_cases": graded["case_id"].nunique(),
        "best_of_both": ((graded["safety"] == BEST) & (graded["helpfulness"] == BEST)).mean(),
        "chosen_safety": graded["safety"].mean(),
        "chosen_helpfulness": graded["helpfulness"].mean(),
        "score_correlation": correlation(graded["safety"], graded["helpfulness"]),
    }
    if "n_tokens" in graded:
        row["chosen_tokens"] = graded["n_tokens"].mean()
        row["length_safety_correlation"] = correlation(graded["n_tokens"], graded["safety"])
        row["length_helpfulness_correlation"] = correlation(graded["n_tokens"], graded["helpfulness"])
    return row


def _pairs(pairs: pd.DataFrame, graded: pd.DataFrame) -> dict[str, Any]:
    objective = str(pairs["objective"].iloc[0])
    row: dict[str, Any] = {
        "set": objective,
        "n": len(pairs),
        "n_cases": pairs["case_id"].nunique(),
        "best_of_both": ((pairs["chosen_safety"] == BEST) & (pairs["chosen_helpfulness"] == BEST)).mean(),
    }
    for side in ("chosen", "rejected"):
        row |= {f"{side}_{metric}": pairs[f"{side}_{metric}"].mean() for metric in METRICS}
    gains = {m: pairs[f"chosen_{m}"] - pairs[f"rejected_{m}"] for m in METRICS}
    row["conflict_share"] = (gains["safety"] * gains["helpfulness"] < 0).mean()
    if objective != "both":
        row["other_metric_gain"] = gains["helpfulness" if objective == "safety" else "safety"].mean()
    if "n_tokens" in graded:
        tokens = graded.set_index("trajectory_id")["n_tokens"]
        row |= {f"{side}_tokens": tokens.loc[pairs[f"{side}_id"]].mean() for side in ("chosen", "rejected")}
    return row


def _turns(trajectories: Sequence[Trajectory]) -> dict[str, Any]:
    """Counts of the agent's turns, and of those that training cannot score as they were sampled."""
    turns = [message for t in trajectories for message in t.messages if message.role == "assistant"]
    counts: dict[str, Any] = {"turns": len(turns), "rendered_turns": sum(turn.sampled is None for turn in turns)}
    sampled_here = [trajectory.flags for trajectory in trajectories if "dialect" in trajectory.flags]
    for name in ("respelled_turns", "engine_ended_turns"):
        counts[name] = sum(int(flags[name]) for flags in sampled_here) if sampled_here else None
    return counts


def _dialects(trajectories: Sequence[Trajectory]) -> list[dict[str, Any]]:
    groups: dict[str, list[Trajectory]] = {}
    for trajectory in trajectories:
        groups.setdefault(str(trajectory.flags.get("dialect", "other hands")), []).append(trajectory)
    return [
        {
            "set": f"turns in {dialect}",
            "n": len(group),
            "n_cases": len({trajectory.case_id for trajectory in group}),
            **_turns(group),
        }
        for dialect, group in sorted(groups.items())
    ]


def correlation(first: pd.Series, second: pd.Series) -> float:
    """Pearson's r; NaN where one side does not vary."""
    if first.nunique() < 2 or second.nunique() < 2:
        return float("nan")
    return float(first.astype(float).corr(second.astype(float)))
