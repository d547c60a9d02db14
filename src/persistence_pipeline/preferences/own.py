"""Preference pairs that the user brings: what can be checked and told of them without scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from persistence_pipeline.records import PreferencePair


class OwnPairsError(ValueError):
    """A file of pairs cannot be trained on; the message names file, pair and what was expected."""


def check_own_pairs(pairs: Mapping[str, Sequence[PreferencePair]], files: Mapping[str, str]) -> dict[str, Any]:
    """Check that there are pairs, that they are of their objective, and that no two have one id.

    Args:
        pairs: By objective.
        files: Where each objective's came from.

    Returns:
        A report: each check with the number of rows it looked at.

    Raises:
        OwnPairsError: for the first check that fails.
    """
    checks = []
    for objective, of_one in pairs.items():
        if not of_one:
            raise OwnPairsError(f"{files[objective]}: there are no pairs in it")
        seen: set[str] = set()
        for pair in of_one:
            if pair.objective != objective:
                raise OwnPairsError(
                    f"{files[objective]}: pair {pair.pair_id!r}: field objective: expected {objective!r}, for "
                    f"study.own_pairs names this file under it; found {pair.objective!r}"
                )
            if pair.pair_id in seen:
                raise OwnPairsError(f"{files[objective]}: two pairs have the id {pair.pair_id!r}")
            seen.add(pair.pair_id)
        checks += [
            {"check": f"{objective}: pairs are of the objective", "rows": len(of_one)},
            {"check": f"{objective}: pair ids are unique", "rows": len(of_one)},
        ]
    return {"passed": len(checks), "checks": checks}


def audit_own_pairs(pairs: Mapping[str, Sequence[PreferencePair]]) -> pd.DataFrame:
    """A row for each objective's pairs; the columns are those of ``audit_pairs`` that need no scores."""
    return pd.DataFrame([_row(objective, of_one) for objective, of_one in pairs.items()])


def _row(objective: str, pairs: Sequence[PreferencePair]) -> dict[str, Any]:
    turns = [
        message for pair in pairs for message in (*pair.chosen, *pair.rejected) if message.role == "assistant"
    ]
    return {
        "set": objective,
        "n": len(pairs),
        "n_cases": len({pair.case_id for pair in pairs}),
        "turns": len(turns),
        "rendered_turns": sum(turn.sampled is None for turn in turns),
    }
