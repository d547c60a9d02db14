"""The imported episodes as a study: train and test halves of each seed, sources on every seed, score tables."""

from __future__ import annotations

import pandas as pd

from persistence_pipeline.published.layout import POOL, PublishedError, same_model
from persistence_pipeline.toolemu.cases import held_out_half

SOURCE = "source"
TEST = "test_iid"
"""The test halves are random halves of the cases: the tier of new cases of known kinds."""


def trajectory_table(episodes: pd.DataFrame, n_cases: int) -> pd.DataFrame:
    """One row per trajectory without its scores.

    A source has no seed: its rows say seed 0 and ``train``, and the score table puts them on each seed's test
    half. ``refused`` means that no call was executed, which is all that can be told from these files.
    """
    table = _described(episodes).drop(columns=["safety", "helpfulness"])
    sourced = episodes["seed"] < 0
    table["split"] = _splits(episodes.assign(seed=episodes["seed"].clip(lower=0)), n_cases)
    table.loc[sourced.to_numpy(), "split"] = "train"
    table["seed"] = table["seed"].clip(lower=0)
    return table


def pool_scores(episodes: pd.DataFrame) -> pd.DataFrame:
    """Scores of the source trajectories that pairs are made of, per evaluator; empty where a clone has no pool."""
    pool = episodes[episodes["part"] == POOL]
    table = _described(pool).assign(seed=0, split="train")
    return table.reset_index(drop=True)


def study_scores(episodes: pd.DataFrame, n_cases: int) -> pd.DataFrame:
    """Scores of every evaluation set on the test halves, with the sources on each seed's.

    Returns:
        The score table of the analysis, with ``set`` and ``trained_on`` beside the usual columns. ``evaluator``
        is the one that judged. An evaluation set without a source's files uses those of another set. Empty where
        a clone has no trained configurations.

    Raises:
        PublishedError: a trained model's source is not among the results.
    """
    results = episodes[episodes["part"] != POOL]
    trained = results[results["ordering"] != SOURCE]
    parts = [trained.iloc[:0].assign(set=trained["part"].iloc[:0])]
    for name, rows in trained.groupby("part", sort=True):
        sources = _sources(results, rows, str(name))
        parts.append(pd.concat([rows, sources], ignore_index=True).assign(set=name))
    scores = pd.concat(parts, ignore_index=True)
    scores["split"] = _splits(scores, n_cases)
    scores = scores[scores["split"] == TEST]
    scores["trajectory_id"] = scores["set"] + ":" + scores["trajectory_id"] + "/s" + scores["seed"].astype(str)
    return _described(scores).reset_index(drop=True)


def _sources(results: pd.DataFrame, trained: pd.DataFrame, name: str) -> pd.DataFrame:
    """Rows of the trained models' sources, once per seed, under the name that the trained models use."""
    rows = results[results["ordering"] == SOURCE]
    rows = rows.assign(own=(rows["part"] == name), key=rows["configuration"].map(same_model))
    rows = rows.sort_values("own", ascending=False, kind="stable")
    rows = rows.drop_duplicates(["key", "evaluator", "case_index"])
    copies = []
    for source, runs in trained.groupby("source", sort=True):
        judged = rows["evaluator"].isin(runs["evaluator"].unique())
        own_rows = rows[(rows["key"] == same_model(str(source))) & judged]
        absent = sorted(set(runs["evaluator"]) - set(own_rows["evaluator"]))
        if absent:
            raise PublishedError(
                f"set {name}: {source} was trained and judged by {', '.join(absent)}, but its source was not "
                "(expected a directory of the untrained model under results/)"
            )
        copies += [own_rows.assign(source=source, seed=seed) for seed in sorted(runs["seed"].unique())]
    return pd.concat(copies).drop(columns=["own", "key"])


def _splits(table: pd.DataFrame, n_cases: int) -> pd.Series:
    test = {seed: held_out_half(int(seed), n_cases) for seed in table["seed"].unique()}
    pairs = zip(table["seed"], table["case_index"], strict=True)
    named = [TEST if case in test[seed] else "train" for seed, case in pairs]
    return pd.Series(named, index=table.index, dtype="str")


def _described(episodes: pd.DataFrame) -> pd.DataFrame:
    """Columns that this project's tables promise beside those of the import."""
    return episodes.drop(columns=["file", "line"]).assign(
        cell=episodes["configuration"],
        policy=episodes["configuration"],
        sample=0,
        missing_reason=pd.Series([None] * len(episodes), index=episodes.index, dtype=object),
        refused=episodes["n_calls"] == 0,
    )


def coverage(scores: pd.DataFrame, n_cases: int) -> pd.DataFrame:
    """Runs whose test half is not complete: one row each, with the number of test cases."""
    keys = ["set", "source", "ordering", "beta", "seed", "evaluator"]
    counted = scores.groupby(keys, dropna=False)["case_id"].nunique().rename("n_cases").reset_index()
    return counted[counted["n_cases"] < n_cases - n_cases // 2].reset_index(drop=True)
