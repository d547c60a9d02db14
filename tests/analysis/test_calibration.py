"""Calibration against simulated judges whose misclassification is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from persistence_pipeline.analysis.calibration import (
    LEVELS,
    Joint,
    bias_by_ordering,
    corrected_draws,
    describe_agreement,
    joint_counts,
    level_shares,
    missing_by_ordering,
)
from persistence_pipeline.analysis.frontier_summary import frontier_summary
from persistence_pipeline.analysis.paired import agreement, quadratic_kappa

LENIENT = np.array([[0.4, 0.1, 0.0, 0.0], [0.4, 0.5, 0.1, 0.0], [0.2, 0.3, 0.6, 0.1], [0.0, 0.1, 0.3, 0.9]])
"""Verdicts (rows) by true score: a judge that grades up."""
ORDERINGS = ("source", "safety", "helpfulness", "both")
TRUTH = {
    "source": ([0.3, 0.2, 0.2, 0.3], [0.2, 0.2, 0.3, 0.3]),
    "safety": ([0.05, 0.05, 0.1, 0.8], [0.5, 0.2, 0.2, 0.1]),
    "helpfulness": ([0.6, 0.2, 0.1, 0.1], [0.0, 0.1, 0.2, 0.7]),
    "both": ([0.2, 0.2, 0.2, 0.4], [0.1, 0.2, 0.2, 0.5]),
}


def simulate(n_cases: int, seed: int, matrices: dict[str, np.ndarray] | None = None, replicates: int = 1) -> Any:
    """True scores of every ordering on shared cases, and a judge's verdicts."""
    rng = np.random.default_rng(seed)
    tables, verdicts = [], []
    for ordering in ORDERINGS:
        matrix = (matrices or {}).get(ordering, LENIENT)
        names = [f"{ordering}/{case}" for case in range(n_cases)]
        table = pd.DataFrame({"trajectory_id": names, "case_id": [f"c{case}" for case in range(n_cases)]})
        table = table.assign(ordering=ordering, source="m", seed=0, evaluator="judge")
        table["beta"] = np.nan if ordering == "source" else 0.1
        for metric, shares in zip(("safety", "helpfulness"), TRUTH[ordering], strict=True):
            truth = rng.choice(LEVELS, n_cases, p=shares)
            table[metric] = truth.astype(float)
            for _ in range(replicates):
                drawn = (rng.random(n_cases) > matrix.cumsum(0)[:, truth]).sum(0).astype(float)
                verdicts.append(pd.DataFrame({"trajectory_id": names, "metric": metric, "score": drawn}))
        tables.append(table)
    truth_table, judgements = pd.concat(tables, ignore_index=True), pd.concat(verdicts, ignore_index=True)
    return truth_table, judgements, truth_table.join(level_shares(judgements), on="trajectory_id")


def joints(judged: pd.DataFrame, n_draws: int = 200) -> dict[str, Joint]:
    return {metric: joint_counts(judged, metric, n_draws, 1) for metric in ("safety", "helpfulness")}


def expected_mean(ordering: str, metric: str) -> float:
    return float(np.arange(LEVELS) @ TRUTH[ordering][metric == "helpfulness"])


def test_correction_recovers_the_truth_where_the_judge_is_far_off() -> None:
    _, _, calibration = simulate(3000, 0)
    _, _, judged = simulate(3000, 1)
    draws = corrected_draws(judged, joints(calibration), 200, 2)
    for metric in ("safety", "helpfulness"):
        for index, run in draws.runs.table.iterrows():
            truth = expected_mean(run["ordering"], metric)
            raw = float(
                judged[judged["ordering"] == run["ordering"]].filter(regex=f"{metric}_").mean() @ range(LEVELS)
            )
            assert draws.means[metric][0, index] == pytest.approx(truth, abs=0.06)
            if truth < 2:
                assert raw - truth > 0.15


def test_intervals_of_the_correction_cover_the_truth() -> None:
    hits, n = 0, 50
    for seed in range(n):
        _, _, calibration = simulate(60, 1000 + seed)
        _, _, judged = simulate(60, 5000 + seed)
        draws = corrected_draws(judged, joints(calibration, 150), 150, 2)
        points = frontier_summary(draws)["points"]
        (point,) = [p for p in points if p["ordering"] == "safety"]
        truth = expected_mean("safety", "safety") - expected_mean("source", "safety")
        hits += point["delta_safety"]["low"] <= truth <= point["delta_safety"]["high"]
    assert hits / n >= 0.87


def test_values_solve_the_matrix_and_leave_a_perfect_judge_alone() -> None:
    counts = np.stack([LENIENT * [10, 20, 30, 40], np.eye(LEVELS) * 7])
    values = Joint(counts).values()
    assert LENIENT.T @ values[0] == pytest.approx(np.arange(LEVELS))
    assert values[1] == pytest.approx(np.arange(LEVELS))


def test_true_scores_that_never_occur_and_judges_without_information_are_left_alone() -> None:
    no_twos = LENIENT * [10, 20, 0, 40]
    constant = np.zeros((LEVELS, LEVELS))
    constant[2] = 5
    values = Joint(np.stack([no_twos, constant])).values()
    assert (LENIENT.T @ values[0])[[0, 1, 3]] == pytest.approx([0, 1, 3])
    assert np.isfinite(values).all() and abs(values[1] - np.arange(LEVELS)).max() < 1


def test_bias_by_ordering_tells_a_judge_that_favours_one() -> None:
    _, _, calibration = simulate(2000, 0)
    fair = simulate(2000, 3)[2]
    upwards = np.array([[0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1.0]])
    partial = simulate(2000, 4, {"both": upwards})[2]
    joint = joint_counts(calibration, "safety", 200, 1)
    for row in bias_by_ordering(fair, joint, "safety", 200, 2):
        assert row["left"]["low"] - 0.03 < 0 < row["left"]["high"] + 0.03
    rows = {row["ordering"]: row for row in bias_by_ordering(partial, joint, "safety", 200, 2)}
    assert rows["both"]["left"]["low"] > 0.1
    assert abs(rows["safety"]["left"]["estimate"]) < 0.1


def test_agreement_is_described_with_intervals() -> None:
    truth, judgements, judged = simulate(400, 5)
    described = describe_agreement(joint_counts(judged, "safety", 300, 0))
    given = judgements[judgements["metric"] == "safety"].set_index("trajectory_id")["score"]
    direct = agreement(given, truth.set_index("trajectory_id")["safety"])
    assert described["kappa"]["estimate"] == pytest.approx(direct["kappa"])
    assert described["bias"]["estimate"] == pytest.approx(direct["bias"])
    assert described["confusion"] == direct["confusion"]
    assert described["kappa"]["low"] < direct["kappa"] < described["kappa"]["high"]


def test_kappa_against_hand_values() -> None:
    assert quadratic_kappa(np.eye(LEVELS)) == pytest.approx(1)
    assert quadratic_kappa(np.ones((LEVELS, LEVELS))) == pytest.approx(0)
    assert quadratic_kappa(np.eye(LEVELS)[::-1]) == pytest.approx(-1)
    one = np.zeros((LEVELS, LEVELS))
    one[3, 3] = 5
    assert np.isnan(quadratic_kappa(one))


def test_replicates_count_in_shares_and_missing_ones_are_counted() -> None:
    verdicts = pd.DataFrame(
        {
            "trajectory_id": ["a"] * 4 + ["b"] * 2,
            "metric": ["safety", "safety", "helpfulness", "safety", "safety", "helpfulness"],
            "score": [0.0, 3.0, 1.0, np.nan, np.nan, 2.0],
        }
    )
    shares = level_shares(verdicts)
    assert list(shares.loc["a", ["safety_0", "safety_3", "helpfulness_1"]]) == [0.5, 0.5, 1.0]
    assert shares.loc["b"].isna()["safety_0"] and shares.loc["b", "helpfulness_2"] == 1
    assert missing_by_ordering(verdicts, ["s"] * 4 + ["h"] * 2) == [
        {"ordering": "h", "n": 2, "n_missing": 1},
        {"ordering": "s", "n": 4, "n_missing": 1},
    ]


def test_nothing_in_common_is_an_error() -> None:
    _, _, judged = simulate(2, 0)
    with pytest.raises(ValueError, match="no trajectory has both"):
        joint_counts(judged.assign(safety=np.nan), "safety", 10, 0)
