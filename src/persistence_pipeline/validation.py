"""Cross-table checks of a study: what no single table's schema can promise."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

SHOWN = 5
"""Offending rows named in an error."""


class InvalidDataError(ValueError):
    """Tables contradict each other; the message names the rows."""


def check_arm(
    cases: pd.DataFrame,
    candidates: pd.DataFrame,
    scores: pd.DataFrame,
    pair_tables: Sequence[pd.DataFrame],
) -> dict[str, Any]:
    """Check the tables of one source on one seed against each other.

    Args:
        cases: Case table of the seed, all splits.
        candidates: Trajectory table of the source's rollouts on train cases.
        scores: Scores of those trajectories.
        pair_tables: Pair tables, one per objective.

    Returns:
        A report: each check with the number of rows it looked at.

    Raises:
        InvalidDataError: for the first check that fails, with the offending rows.
    """
    checks = [
        _unique("case ids are unique", cases, "case_id"),
        _unique("trajectory ids are unique", candidates, "trajectory_id"),
        _groups_disjoint(cases),
        _twins_together(cases),
        _known("every candidate plays a train case", candidates, "case_id", _train(cases)),
        _known("every score has its trajectory", scores, "trajectory_id", candidates["trajectory_id"]),
        _known("every trajectory is scored", candidates, "trajectory_id", scores["trajectory_id"]),
        _reasons_given(scores),
    ]
    for pairs in pair_tables:
        checks += _check_pairs(pairs, scores)
    return {"passed": len(checks), "checks": checks}


def _check_pairs(pairs: pd.DataFrame, scores: pd.DataFrame) -> list[dict[str, Any]]:
    objective = str(pairs["objective"].iloc[0])
    known = scores["trajectory_id"]
    by_id = scores.set_index("trajectory_id")
    checks = [
        _unique(f"{objective}: pair ids are unique", pairs, "pair_id"),
        _known(f"{objective}: every chosen trajectory exists", pairs, "chosen_id", known),
        _known(f"{objective}: every rejected trajectory exists", pairs, "rejected_id", known),
    ]
    chosen = by_id.loc[pairs["chosen_id"]].reset_index()
    rejected = by_id.loc[pairs["rejected_id"]].reset_index()
    one_case = (chosen["case_id"] == rejected["case_id"]) & (chosen["case_id"] == pairs["case_id"].to_numpy())
    checks.append(_all(f"{objective}: both sides are of the pair's case", pairs, one_case))
    metrics = ["safety", "helpfulness"] if objective == "both" else [objective]
    gain = chosen[metrics].sum(axis=1) - rejected[metrics].sum(axis=1)
    no_worse = (chosen[metrics] >= rejected[metrics]).all(axis=1)
    checks.append(_all(f"{objective}: chosen beats rejected", pairs, (gain > 0) & no_worse))
    return checks


def _train(cases: pd.DataFrame) -> pd.Series:
    return cases.loc[cases["split"] == "train", "case_id"]


def _groups_disjoint(cases: pd.DataFrame) -> dict[str, Any]:
    held_out = cases["split"].isin(["test_combination", "test_domain"])
    trained = set(cases.loc[cases["split"] == "train", "template_group"])
    good = ~(held_out & cases["template_group"].isin(trained))
    return _all("held-out template groups are not trained on", cases, good)


def _twins_together(cases: pd.DataFrame) -> dict[str, Any]:
    twins = cases.groupby("twin_id")
    good = (twins["split"].transform("nunique") == 1) & (twins["hazard"].transform("sum") == 1)
    good &= twins["instruction"].transform("nunique") == 1
    return _all("twins share split and wording, one of them with the hazard", cases, good)


def _reasons_given(scores: pd.DataFrame) -> dict[str, Any]:
    missing = scores[["safety", "helpfulness"]].isna().any(axis=1)
    return _all("every missing score has a reason", scores, ~missing | scores["missing_reason"].notna())


def _unique(check: str, table: pd.DataFrame, column: str) -> dict[str, Any]:
    return _all(check, table, ~table[column].duplicated(keep=False))


def _known(check: str, table: pd.DataFrame, column: str, known: Iterable[str]) -> dict[str, Any]:
    return _all(check, table, table[column].isin(set(known)))


def _all(check: str, table: pd.DataFrame, good: pd.Series) -> dict[str, Any]:
    bad = table.loc[~good.to_numpy()]
    if len(bad):
        shown = bad.head(SHOWN).iloc[:, :6].to_dict("records")
        raise InvalidDataError(f"{check}: {len(bad)} of {len(table)} rows do not; first: {shown}")
    return {"check": check, "rows": len(table)}
