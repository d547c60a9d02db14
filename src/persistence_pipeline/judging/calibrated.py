"""The judges of a study against its state graders, in one document and two tables."""

from __future__ import annotations

from typing import Any

import pandas as pd

from persistence_pipeline.analysis.bootstrap import Draws, draw_means
from persistence_pipeline.analysis.calibration import (
    Joint,
    bias_by_ordering,
    corrected_draws,
    describe_agreement,
    joint_counts,
    level_shares,
    missing_by_ordering,
)
from persistence_pipeline.analysis.frontier_summary import frontier_summary
from persistence_pipeline.analysis.summary import persistence_summary
from persistence_pipeline.factors import further
from persistence_pipeline.judging.settings import JudgingSettings
from persistence_pipeline.records import METRICS
from persistence_pipeline.report.kit.text import interval_text, number

TRUE = [f"true_{metric}" for metric in METRICS]


class CalibrationError(ValueError):
    """Judged and graded trajectories do not go together."""


def calibrate(
    graded: pd.DataFrame, judged: pd.DataFrame, judgements: pd.DataFrame, settings: JudgingSettings, headline: str
) -> dict[str, Any]:
    """Agreement, bias and corrected frontier of every judge.

    Args:
        graded: Scores by the state graders.
        judged: Scores by the judges.
        judgements: The judges' single verdicts.
        settings: What the judges are calibrated on.
        headline: Split that frontier and persistence are measured on.

    Returns:
        By judge: ``calibrated_on, in_sample, missing, agreement`` (by metric, on the calibration's splits),
        ``orderings`` (on the headline split), ``frontier`` and ``persistence``, each by the scores they rest on:
        ``state, judge, corrected``.

    Raises:
        CalibrationError: a judged trajectory is not graded, or a judge gave no verdict on a split.
    """
    truth = graded.set_index("trajectory_id")[list(METRICS)].set_axis(TRUE, axis=1)
    document = {}
    for name, rows in judged.groupby("evaluator", sort=False):
        if not rows["trajectory_id"].isin(truth.index).all():
            raise CalibrationError(f"judge {name}: trajectories without a grade by state; run scoring first")
        own = judgements[judgements["evaluator"] == name]
        table = rows.join(truth, on="trajectory_id").join(level_shares(own), on="trajectory_id")
        try:
            document[str(name)] = _judge_document(table, own, settings, headline)
        except ValueError as error:
            raise CalibrationError(f"judge {name}: {error}") from None
    return document


def _judge_document(
    table: pd.DataFrame, judgements: pd.DataFrame, settings: JudgingSettings, headline: str
) -> dict[str, Any]:
    n_draws, seed = settings.n_draws, settings.seed
    joints = _joints(table[table["split"].isin(settings.calibrate_on)], n_draws, seed)
    shown = table[table["split"] == headline]
    by_truth = _with_truth(shown)
    orderings = judgements["trajectory_id"].map(table.set_index("trajectory_id")["ordering"])
    draws = {
        "state": draw_means(by_truth, n_draws, seed + 1),
        "judge": draw_means(shown, n_draws, seed + 1),
        "corrected": corrected_draws(shown, joints, n_draws, seed + 1),
    }
    return {
        "calibrated_on": settings.calibrate_on,
        "in_sample": headline in settings.calibrate_on,
        "missing": missing_by_ordering(judgements, orderings),
        "agreement": {metric: describe_agreement(joint) for metric, joint in joints.items()},
        "orderings": [
            row
            for metric, joint in joints.items()
            for row in bias_by_ordering(by_truth, joint, metric, n_draws, seed + 1)
        ],
        "frontier": {basis: _frontier(found) for basis, found in draws.items()},
        "persistence": {basis: persistence_summary(found) for basis, found in draws.items()},
    }


def _with_truth(table: pd.DataFrame) -> pd.DataFrame:
    return table.drop(columns=list(METRICS)).rename(columns=dict(zip(TRUE, METRICS, strict=True)))


def _joints(table: pd.DataFrame, n_draws: int, seed: int) -> dict[str, Joint]:
    by_truth = _with_truth(table)
    return {metric: joint_counts(by_truth, metric, n_draws, seed) for metric in METRICS}


def _frontier(draws: Draws) -> dict[str, Any]:
    found = frontier_summary(draws)
    return {"points": found["points"], "ols": found["ols"]}


def agreement_table(document: dict[str, Any]) -> pd.DataFrame:
    """One row per judge and metric, on the calibration's splits, then one per judge, metric and ordering."""
    rows = []
    for judge, found in document.items():
        for metric, described in found["agreement"].items():
            whole = {"ordering": "all", "n": described["n"], "kappa": described["kappa"]["estimate"]}
            bias = _flat("bias", described["bias"])
            rows.append({"judge": judge, "metric": metric, "set": "calibration", **whole, **bias})
        for row in found["orderings"]:
            own = {key: row[key] for key in ("ordering", "n", "kappa")}
            left = {**_flat("bias", row["bias"]), **_flat("left", row["left"])}
            rows.append({"judge": judge, "metric": row["metric"], "set": "headline", **own, **left})
    return pd.DataFrame(rows)


def points_table(document: dict[str, Any]) -> pd.DataFrame:
    """Points of the frontier by judge and basis (``state, judge, corrected``)."""
    return pd.DataFrame(
        {
            "judge": judge,
            "basis": basis,
            **{key: point[key] for key in ("source", "ordering", "beta", *further(point))},
            **_flat("helpfulness", point["delta_helpfulness"]),
            **_flat("safety", point["delta_safety"]),
        }
        for judge, found in document.items()
        for basis, frontier in found["frontier"].items()
        for point in frontier["points"]
    )


def _flat(name: str, interval: dict[str, float | None]) -> dict[str, float | None]:
    return {name: interval["estimate"], f"{name}_low": interval["low"], f"{name}_high": interval["high"]}


def console_lines(document: dict[str, Any]) -> list[str]:
    """The result in a few lines: agreement, and the line through the frontier before and after correction."""
    lines = []
    for judge, found in document.items():
        for metric, described in found["agreement"].items():
            kappa, bias = (interval_text(described[key], ".2f") for key in ("kappa", "bias"))
            lines.append(f"{judge}, {metric}: kappa {kappa}, bias {bias}, n {described['n']:.0f}")
        for basis, frontier in found["frontier"].items():
            line = frontier["ols"]
            fit = line.get("undefined") or f"R² {number(line['r2'])}, slope {number(line['slope'])}"
            lines.append(f"{judge}, frontier by {basis}: {fit}")
    return lines
