"""Audits of the published data, each a table: what the scores were given for, and what the pairs teach."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from persistence_pipeline.analysis.paired import agreement
from persistence_pipeline.orderings import in_order
from persistence_pipeline.preferences.audit import BEST, audit_pairs, correlation
from persistence_pipeline.published.layout import POOL
from persistence_pipeline.published.pairs import POOLS
from persistence_pipeline.records import METRICS

TOKEN_LIMIT = "token_limit"  # noqa: S105
STOPPED = (TOKEN_LIMIT, "error")
ALL = "all"
KINDS = ("executed calls only", "executed and fabricated", "fabricated only", "neither")
"""What a trajectory is made of: calls that were executed, observations that were fabricated (wide definition)."""


def audit_tables(
    pool: pd.DataFrame, scores: pd.DataFrame, episodes: pd.DataFrame, pairs: pd.DataFrame, quarantine: pd.DataFrame
) -> dict[str, pd.DataFrame]:
    """Every audit by name.

    Args:
        pool: Scores of the source trajectories.
        scores: Scores of the evaluation sets on the test halves.
        episodes: All imported rows, for what was judged twice.
        pairs: Pair table of all evaluators.
        quarantine: What the import set aside.
    """
    return {
        "fabricated": fabricated(pool, scores),
        "kinds": kinds(pool, scores),
        "best_of_both": best_of_both(pool, scores),
        "stops": stops(scores),
        "pool_scores": joint_scores(pool),
        "pairs": pair_audit(pool, pairs),
        "observations_in_loss": observations_in_loss(pool, pairs),
        "agreement": evaluator_agreement(episodes),
        "quarantine": quarantine_counts(quarantine),
    }


def fabricated(pool: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """Share of trajectories with an observation that the agent wrote itself, and without an executed call.

    ``fabricated``: a line of the agent's own text starts with ``Observation:``; ``fabricated_wide``: also with
    Markdown around the word.
    """
    once = pool.drop_duplicates(["configuration", "case_index", "content_hash"])
    rows = [{"set": name, "ordering": o, **_acted(group)} for name, o, group in _groups(once, scores)]
    return pd.DataFrame(rows, columns=["set", "ordering", *_acted(pool)])


def _groups(pool: pd.DataFrame, scores: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Set, ordering and rows: the pool, then every ordering of every set and all of a set's rows together."""
    if len(pool):
        yield "pool", "source", pool
    for name, rows in scores.groupby("set", sort=True):
        for ordering, group in _orderings(rows):
            yield str(name), ordering, group


def _orderings(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    for ordering in in_order(rows["ordering"]):
        yield ordering, rows[rows["ordering"] == ordering]
    yield ALL, rows


def _acted(group: pd.DataFrame) -> dict[str, Any]:
    return {
        "n": len(group),
        "fabricated": group["fabricated"].mean(),
        "fabricated_wide": group["fabricated_wide"].mean(),
        "zero_calls": (group["n_calls"] == 0).mean(),
    }


def kinds(pool: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """Scores of trajectories that really called tools, and of those that only tell of it.

    Columns ``set, ordering, kind, n, share, safety, helpfulness, best_of_both`` (share of the kind at 3 and 3).
    """
    rows = []
    for name, ordering, group in _groups(pool, scores):
        for kind, chosen in _by_kind(group):
            best = (chosen["safety"] == BEST) & (chosen["helpfulness"] == BEST)
            means = {metric: chosen[metric].mean() for metric in METRICS}
            size = {"n": len(chosen), "share": len(chosen) / len(group)}
            rows.append(
                {"set": name, "ordering": ordering, "kind": kind, **size, **means, "best_of_both": best.mean()}
            )
    columns = ["set", "ordering", "kind", "n", "share", "safety", "helpfulness", "best_of_both"]
    return pd.DataFrame(rows, columns=columns)


def _by_kind(group: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    called, fabricated = group["n_calls"] > 0, group["fabricated_wide"]
    masks = (called & ~fabricated, called & fabricated, ~called & fabricated, ~called & ~fabricated)
    for kind, mask in zip(KINDS, masks, strict=True):
        yield kind, group[mask]


def best_of_both(pool: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """Among the trajectories at safety 3 and helpfulness 3: how many executed no call at all."""
    rows = []
    for name, table in [("pool", pool), *((str(n), g) for n, g in scores.groupby("set", sort=True))]:
        for evaluator, group in table.groupby("evaluator", sort=True):
            best = group[(group["safety"] == BEST) & (group["helpfulness"] == BEST)]
            rows.append(
                {
                    "set": name,
                    "evaluator": evaluator,
                    "n": len(group),
                    "best_of_both": len(best) / len(group),
                    "n_best": len(best),
                    "zero_calls_among_best": (best["n_calls"] == 0).mean(),
                    "fabricated_among_best": best["fabricated"].mean(),
                    "fabricated_wide_among_best": best["fabricated_wide"].mean(),
                }
            )
    return pd.DataFrame(rows)


def stops(scores: pd.DataFrame) -> pd.DataFrame:
    """Share of trained runs that were cut off at the token limit, and their scores against the others'."""
    rows = []
    trained = scores[scores["ordering"] != "source"]
    for name, part in trained.groupby("set", sort=True):
        rows.append({"set": name, "source": ALL, "ordering": ALL, **_stopped(part)})
        for model, runs in part.groupby("source", sort=True):
            for ordering, group in _orderings(runs):
                rows.append({"set": name, "source": model, "ordering": ordering, **_stopped(group)})
    return pd.DataFrame(rows)


def _stopped(group: pd.DataFrame) -> dict[str, Any]:
    cut = group["stop_reason"] == TOKEN_LIMIT
    return {
        "n": len(group),
        "token_limit": cut.mean(),
        "out_of_memory": (group["stop_reason"] == "error").mean(),
        "safety_at_limit": group.loc[cut, "safety"].mean(),
        "helpfulness_at_limit": group.loc[cut, "helpfulness"].mean(),
        "safety_otherwise": group.loc[~cut, "safety"].mean(),
        "helpfulness_otherwise": group.loc[~cut, "helpfulness"].mean(),
    }


def joint_scores(pool: pd.DataFrame) -> pd.DataFrame:
    """Joint distribution of the pool's scores: one row per evaluator, safety and helpfulness."""
    counts = pool.groupby(["evaluator", "safety", "helpfulness"]).size().rename("n").reset_index()
    correlations = {
        name: correlation(rows["safety"], rows["helpfulness"]) for name, rows in pool.groupby("evaluator")
    }
    return counts.assign(correlation=counts["evaluator"].map(correlations))


def pair_audit(pool: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """Audit of each evaluator's pool and pairs, with and without fabrication.

    ``other_metric_gain`` of the helpfulness pairs is how much safer their chosen side is: where it is positive,
    training on helpfulness also teaches safety, and safety may persist without any memory of training on it.
    """
    tables = []
    for evaluator, rows in pool.groupby("evaluator", sort=True):
        for name in POOLS:
            mine = pairs[(pairs["evaluator"] == evaluator) & (pairs["pool"] == name)]
            candidates = rows if name == POOLS[0] else rows[~rows["fabricated_wide"]]
            sets = [group for _, group in mine.groupby("objective", sort=True)]
            table = audit_pairs(candidates, sets)
            table.insert(0, "pool", name)
            table.insert(0, "evaluator", evaluator)
            tables.append(table)
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def observations_in_loss(pool: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """Share of the chosen side's characters that are observations, which the published loss trains on.

    ``observation_share`` is of all characters together, ``mean_observation_share`` the mean over pairs.
    """
    sizes = pool.set_index("trajectory_id")[["n_characters", "n_observation_characters"]]
    rows = []
    for (evaluator, name, objective), group in pairs.groupby(["evaluator", "pool", "objective"], sort=True):
        chosen = sizes.loc[group["chosen_id"]].sum()
        total = chosen["n_characters"] + chosen["n_observation_characters"]
        share = chosen["n_observation_characters"] / total if total else float("nan")
        each = sizes.loc[group["chosen_id"]]
        shares = each["n_observation_characters"] / each.sum(axis=1)
        identity = {"evaluator": evaluator, "pool": name, "objective": objective}
        rows.append({**identity, "observation_share": share, "mean_observation_share": shares.mean()})
    return pd.DataFrame(rows)


def evaluator_agreement(episodes: pd.DataFrame) -> pd.DataFrame:
    """Agreement of every two evaluators on trajectories that both judged (equal text).

    Columns ``part, first, second, metric, n, kappa`` (quadratic-weighted), ``bias`` (first minus second) and the
    confusion matrix row by row. Empty where nothing was judged twice.
    """
    keys = ["configuration", "case_index", "content_hash"]
    rows = []
    pooled = episodes["part"] == POOL
    for part, table in ((POOL, episodes[pooled]), ("sets", episodes[~pooled])):
        once = table.drop_duplicates([*keys, "evaluator"])
        evaluators = sorted(once["evaluator"].unique())
        for i, first in enumerate(evaluators):
            for second in evaluators[i + 1 :]:
                rows += _agreements(part, once, keys, (first, second))
    return pd.DataFrame(rows, columns=["part", "first", "second", "metric", "n", "kappa", "bias", "confusion"])


def _agreements(part: str, table: pd.DataFrame, keys: list[str], names: Sequence[str]) -> list[dict[str, Any]]:
    first, second = (table[table["evaluator"] == name] for name in names)
    both = first.merge(second, on=keys, suffixes=("_first", "_second"))
    if both.empty:
        return []
    rows = []
    for metric in METRICS:
        agreed = agreement(both[f"{metric}_first"], both[f"{metric}_second"])
        rows.append({"part": part, "first": names[0], "second": names[1], "metric": metric, **agreed})
    return rows


def quarantine_counts(quarantine: pd.DataFrame) -> pd.DataFrame:
    """Faults and lost trajectories by kind."""
    grouped = quarantine.groupby("kind", sort=True)["n_trajectories"]
    return grouped.agg(["size", "sum"]).set_axis(["n_faults", "n_trajectories"], axis=1).reset_index()
