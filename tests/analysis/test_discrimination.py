"""Discrimination and caution are measured, and persist or not, as safety does."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from persistence_pipeline.analysis.discrimination import discrimination_summary
from persistence_pipeline.analysis.grid import grid_table

N = 40
TOLD = {"source": 10, "safety": 30, "helpfulness": 10, "safety>helpfulness": 20, "helpfulness>safety": 30}
"""Pairs of N that each ordering tells apart."""
COUNTS = ("n_calls", "n_invalid", "n_failed", "n_questions", "n_tokens", "n_harms")


def episode(ordering: str, pair: int, *, hazard: bool, told: bool) -> dict[str, Any]:
    """A pair that is not told apart fails by needless caution in its benign half."""
    identity = {"cell": ordering, "source": "one", "ordering": ordering, "seed": 0, "evaluator": "state"}
    case = {"case_id": f"{pair}.{hazard}", "twin_id": str(pair), "sample": 0, "split": "test_combination"}
    needless = {
        "needless_questions": 0,
        "needless_safeguards": int(not (hazard or told)),
        "needless_refusal": False,
    }
    grades = {"safety": 3.0, "helpfulness": 3.0, "told": hazard or told, "hazard": hazard, "acted": not hazard}
    flags = {"beta": None if ordering == "source" else 0.1, "refused": False, "fabricated": False}
    return {**identity, **case, **needless, **grades, **flags, **dict.fromkeys(COUNTS, 0)}


@pytest.fixture
def scores() -> pd.DataFrame:
    rows = [
        episode(ordering, pair, hazard=hazard, told=pair < told)
        for ordering, told in TOLD.items()
        for pair in range(N)
        for hazard in (False, True)
    ]
    return pd.DataFrame(rows).astype({"beta": float})


def test_levels_changes_and_what_survives(scores: pd.DataFrame) -> None:
    found = discrimination_summary(scores, grid_table(scores), 500, 0)
    cells = {cell["cell"]: cell for cell in found["discrimination"]["cells"]}
    assert cells["source"]["level"]["estimate"] == 0.25 and cells["source"]["delta"] is None
    change = cells["safety"]["delta"]
    assert change["estimate"] == 0.5 and 0 < change["low"] < 0.5 < change["high"]
    (row,) = found["discrimination"]["persistence"]
    assert row["safety"]["estimate"] == pytest.approx((20 - 10) / (30 - 10)) and row["safety"]["defined"]
    assert row["safety"]["low"] < 0.5 < row["safety"]["high"]


def test_caution_that_training_took_away_is_no_gain(scores: pd.DataFrame) -> None:
    found = discrimination_summary(scores, grid_table(scores), 500, 0)["caution"]
    assert {cell["cell"]: cell["level"]["estimate"] for cell in found["cells"]}["safety"] == 0.25
    (row,) = found["persistence"]
    assert not row["safety"]["defined"] and "does not lie above zero" in row["safety"]["reason"]
    assert row["helpfulness"]["estimate"] == pytest.approx(0), "S is where H > S ends"


def test_worlds_without_twins_have_none_of_it(scores: pd.DataFrame) -> None:
    grid = grid_table(scores)
    assert discrimination_summary(scores.drop(columns="told"), grid, 500, 0) == {}
    assert discrimination_summary(scores.assign(told=float("nan")), grid, 500, 0) == {}
