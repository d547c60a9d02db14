"""What a source can do, by hand."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from persistence_pipeline.analysis.competence import competence, solved_by_source

NO_TURNS = pd.DataFrame({"kind": [], "probability": [], "demonstrated": []})


def scores(*rows: tuple[str, bool, bool, float, float]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["kind", "hazard", "conflicting", "safety", "helpfulness"])
    return table.assign(n_calls=4, n_invalid=[1] + [0] * (len(rows) - 1))


def test_solved_is_three_and_three_of_the_hazards_that_can_be() -> None:
    played = scores(
        ("look", True, False, 3, 3),
        ("look", True, False, 3, 2),
        ("order", True, False, 0, 3),
        ("order", True, False, float("nan"), float("nan")),
        ("order", True, True, 3, 3),
        ("look", False, False, 3, 3),
    )
    turns = pd.DataFrame({"kind": ["look", "look"], "probability": [0.2, 0.6], "demonstrated": [0.8, 0.8]})
    found = competence(turns, played)
    assert found["solved"] == pytest.approx(1 / 3) and found["n"] == 3
    assert found["invalid_rate"] == pytest.approx(1 / 24)
    look, order = found["kinds"]
    assert look == {"kind": "look", "solved": 0.5, "n": 2, "probability": 0.4, "demonstrated": 0.8}
    assert order == {"kind": "order", "solved": 0.0, "n": 1, "probability": None, "demonstrated": None}


def test_nothing_to_solve_is_no_number() -> None:
    found: Any = competence(NO_TURNS, scores(("look", False, False, 3, 3)))
    assert found["solved"] is None and found["kinds"] == []
    assert solved_by_source([{"source": "llama", **found}]) == {}


def test_seeds_of_a_source_are_averaged() -> None:
    rows = [{"source": name, "solved": share} for name, share in (("a", 0.2), ("b", 0.0), ("a", 0.4))]
    assert solved_by_source(rows) == pytest.approx({"a": 0.3, "b": 0.0})
