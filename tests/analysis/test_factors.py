"""A factor beside beta parts runs, points, ratios and rows as beta does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.analysis.test_exact_numbers import study

from persistence_pipeline.analysis.bootstrap import draw_means
from persistence_pipeline.analysis.frontier_summary import frontier_summary
from persistence_pipeline.analysis.grid import grid_table
from persistence_pipeline.analysis.headline import frontier_table, headline_metrics
from persistence_pipeline.analysis.missing import missing_summary
from persistence_pipeline.analysis.summary import cell_summaries, persistence_averages, persistence_summary

RATE = "factor_learning_rate"
COUNTS = dict.fromkeys(("n_calls", "n_invalid", "n_failed", "n_questions", "n_tokens"), 1)
FLAGS = dict.fromkeys(("refused", "fabricated"), False)


def _analysis(scores: pd.DataFrame) -> dict[str, Any]:
    draws = draw_means(scores, 50, 0)
    found = {"frontier": frontier_summary(draws), "persistence": persistence_summary(draws)}
    grid = grid_table(scores.assign(**COUNTS, **FLAGS))
    return {
        **found,
        "averages": persistence_averages(draws),
        "cells": cell_summaries(grid, draws),
        "missing": missing_summary(scores)["rows"],
        "table": frontier_table(found),
        "metrics": headline_metrics({**found, "discrimination": {}}),
    }


def _turned(found: Any) -> Any:
    """With the learning rate in the place of beta, in keys and in words; sums depend on the order of runs."""
    if isinstance(found, dict):
        swapped = {key: _turned(value) for key, value in found.items()}
        if RATE in found:
            assert found["beta"] in (7.0, None)  # none: the source's
            swapped["beta"] = swapped.pop(RATE)
        return {_words(key): value for key, value in swapped.items()}
    if isinstance(found, float | np.floating):
        return pytest.approx(float(found), rel=1e-6, abs=1e-9, nan_ok=True)
    return [_turned(value) for value in found] if isinstance(found, list | tuple) else found


def _words(key: Any) -> Any:
    return key.replace("beta 7, learning rate", "beta") if isinstance(key, str) else key


@pytest.mark.parametrize("levels", [(0.5, 0.1), (0.2,)])
def test_a_learning_rate_parts_what_beta_parts(levels: tuple[float, ...]) -> None:
    by_beta = study(betas=levels)
    by_beta.loc[by_beta.index[::17], "safety"] = np.nan
    trained = by_beta["beta"].notna()
    by_rate = by_beta.assign(**{RATE: by_beta["beta"], "beta": by_beta["beta"].where(~trained, 7.0)})
    found = _analysis(by_rate)
    assert len(found["frontier"]["points"]) == 2 * 5 * len(levels)
    assert len(found["persistence"]) == 2 * 2 * len(levels)
    assert _turned(found) == _analysis(by_beta)
