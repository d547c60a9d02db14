"""Power by formula against simulation, and what a pilot's scores say about the seeds that are needed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from tests.analysis.test_intervals import scores

from persistence_pipeline.analysis.bootstrap import draw_means
from persistence_pipeline.analysis.planning import PlanningError, questions
from persistence_pipeline.analysis.power import (
    highest_spread,
    power_of_difference,
    power_of_equivalence,
    seeds_for_equivalence,
    seeds_needed,
    smallest_effect,
)
from persistence_pipeline.analysis.settings import AnalysisSettings
from persistence_pipeline.analysis.summary import persistence_summary
from persistence_pipeline.judging.cost import PlanSettings
from persistence_pipeline.pipelines.plan.nodes import seeds
from persistence_pipeline.strict import SettingError

N = 40_000


def test_power_is_the_share_of_simulated_studies() -> None:
    rng = np.random.default_rng(0)
    for effect, spread, n in ((0.1, 0.1, 5), (0.05, 0.1, 30), (0.3, 0.1, 3)):
        found = rng.normal(effect, spread, (N, n))
        told = (stats.ttest_1samp(found, 0, axis=1).pvalue < 0.05) & (found.mean(1) > 0)
        assert told.mean() == pytest.approx(power_of_difference(effect, spread, n), abs=0.01)
        none = rng.normal(0, spread, (N, n))
        inside = np.abs(none.mean(1)) + stats.t.ppf(0.95, n - 1) * none.std(1, ddof=1) / n**0.5 < effect
        assert inside.mean() == pytest.approx(power_of_equivalence(effect, spread, n), abs=0.01)


def test_as_many_seeds_as_needed_and_not_one_more() -> None:
    for effect, spread in ((0.05, 0.1), (0.1, 0.19), (0.5, 0.04)):
        n = seeds_needed(effect, spread, 0.8)
        assert n is not None and power_of_difference(effect, spread, n) >= 0.8
        assert n == 2 or power_of_difference(effect, spread, n - 1) < 0.8
        assert smallest_effect(spread, n, 0.8) <= effect
        m = seeds_for_equivalence(effect, spread, 0.8)
        assert m is not None and power_of_equivalence(effect, spread, m) >= 0.8
        assert m == 2 or power_of_equivalence(effect, spread, m - 1) < 0.8
    assert seeds_needed(1e-6, 1.0, 0.8) is None


def test_the_highest_spread_is_exceeded_in_one_of_twenty() -> None:
    spreads = np.random.default_rng(0).normal(0, 2.0, (N, 4)).std(1, ddof=1)
    assert np.mean([highest_spread(s, 4) < 2.0 for s in spreads[:2000]]) == pytest.approx(0.05, abs=0.02)


def test_a_pilot_says_how_many_seeds_its_questions_need(tmp_path: Path) -> None:
    table = scores(40, n_cases=60, training=0.1)
    table["split"], path = "test_combination", tmp_path / "scores.parquet"
    table.to_parquet(path)
    plan = PlanSettings(pilot=str(path), order_effect=0.2, persistence_difference=0.3)
    rows = {(row.what.split(":")[0], row.quantity): row for row in seeds(plan, AnalysisSettings(n_draws=2000))}
    assert {what for what, _ in rows} == {
        "order effect of 0.2 in safety",
        "order effect of 0.2 in helpfulness",
        "persistences 0.3 apart",
    }
    safety = {quantity: row for (what, quantity), row in rows.items() if what.endswith("safety")}
    spread = safety["standard deviation between chains"].value
    expected = (2 * 0.1**2 + 2 * 0.3**2 / 60) ** 0.5
    assert spread is not None and spread == pytest.approx(expected, rel=0.25)
    assert safety["to see it, with as many cases"].value == seeds_needed(0.2, spread, 0.8, 0.025)
    fewer = [row.value for quantity, row in safety.items() if quantity.startswith("to see it")]
    assert fewer == sorted(fewer, reverse=True) and safety["to see it, with 4 × the cases"].unit == "seeds"


def test_pilots_that_cannot_say_are_refused(tmp_path: Path) -> None:
    one, orderless = scores(1), scores(3).query("ordering in ('source', 'safety', 'helpfulness')")
    for table, expected in ((one, "one seed"), (orderless, "no order effect")):
        with pytest.raises(PlanningError, match=expected):
            questions(persistence_summary(draw_means(table, 100, 0)), 0.05, 0.1, 0.8)
    (tmp_path / "x.parquet").write_text("no table")
    for pilot in ("x.parquet", "missing.parquet"):
        with pytest.raises(SettingError, match=r"plan\.pilot: .*not the scores\.parquet of a study"):
            seeds(PlanSettings(pilot=str(tmp_path / pilot)), AnalysisSettings())
