"""The published bootstrap, against its definition written out with loops."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from persistence_pipeline.analysis.persistence import ARMS, persistence_groups
from persistence_pipeline.analysis.runs import Runs, gather
from persistence_pipeline.published.published_scheme import group_draws, published_interval

N_DRAWS = 300
SEEDS = (0, 1)
MEANS = {"source": 1.5, "safety": 2.4, "helpfulness": 0.9, "safety>helpfulness": 1.8, "helpfulness>safety": 1.9}


def scores(gain: float) -> pd.DataFrame:
    """Scores of 8 cases for each seed; safety differs between the arms by ``gain`` times what ``MEANS`` says."""
    rng = np.random.default_rng(1)
    rows = []
    for seed in SEEDS:
        for ordering, mean in MEANS.items():
            for case in range(8):
                noise = rng.normal(0, 0.7, 2)
                level = {"safety": 1.5 + gain * (mean - 1.5), "helpfulness": 3 - mean}
                both = {m: float(np.clip(v + e, 0, 3)) for (m, v), e in zip(level.items(), noise, strict=True)}
                rows.append({"ordering": ordering, "seed": seed, "case_id": f"c{case + 4 * seed}", **both})
    beta = [np.nan if row["ordering"] == "source" else 0.1 for row in rows]
    return pd.DataFrame(rows).assign(source="m", evaluator="e", beta=beta)


def by_loops(runs: Runs, metric: str, draws: dict[int, np.ndarray]) -> list[float]:
    """Ratios of every draw, from resampled (seed, case) pairs."""
    ratios = []
    for number in range(N_DRAWS):
        means = []
        for ordering in ARMS[metric]:
            drawn = []
            for seed, picked in draws.items():
                (row,) = runs.index(seed=seed, ordering=ordering)
                cases = np.flatnonzero(runs.counts[row])
                drawn += [runs.sums[metric][row, cases[i]] for i in picked[number]]
            means.append(np.mean(drawn))
        top, floor, gain = means
        ratios.append((top - floor) / (gain - floor) if gain - floor > 1e-9 else np.nan)
    return ratios


def test_draws_are_those_of_the_definition() -> None:
    runs = gather(scores(1))
    found = group_draws(runs, persistence_groups(runs), N_DRAWS, 7)
    rng = np.random.default_rng(7)
    draws = {seed: rng.integers(0, 8, (N_DRAWS, 8)) for seed in SEEDS}
    for metric in ("safety", "helpfulness"):
        assert found["m", "e", 0.1, metric].draws == pytest.approx(by_loops(runs, metric, draws), nan_ok=True)


def test_undefined_ratios_are_dropped_or_left_out_as_published() -> None:
    clear, doubtful = (scores(gain) for gain in (1, 0.1))
    runs = gather(pd.concat([clear, doubtful.assign(evaluator="f")]))
    found = group_draws(runs, persistence_groups(runs), N_DRAWS, 7)
    undefined = int(np.isnan(found["m", "f", 0.1, "safety"].draws).sum())
    assert 0 < undefined < N_DRAWS
    alone = published_interval([found["m", "f", 0.1, m] for m in ("safety", "helpfulness")], "helpfulness")
    assert alone["n_dropped"] == undefined
    both = published_interval([found[key] for key in found], "safety")
    assert (both["n_dropped"], both["n_partial"]) == (0, undefined)
    means = np.nanmean([found["m", e, 0.1, "safety"].draws for e in ("e", "f")], axis=0)
    assert [both["low"], both["high"]] == pytest.approx(np.quantile(means, [0.025, 0.975]).tolist())


def test_without_any_defined_draw_there_is_no_interval() -> None:
    table = scores(1)
    flat = table.assign(safety=1.0)
    runs = gather(flat)
    found = group_draws(runs, persistence_groups(runs), N_DRAWS, 7)
    bounds = published_interval(list(found.values()), "safety")
    assert (bounds["low"], bounds["high"], bounds["n_dropped"]) == (None, None, N_DRAWS)
