"""Nodes that ask judges and calibrate them: thin calls into ``persistence_pipeline.judging``."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import pandas as pd

from persistence_pipeline.analysis.settings import AnalysisSettings
from persistence_pipeline.judging.calibrated import agreement_table, calibrate, console_lines, points_table
from persistence_pipeline.judging.panel import judge_world
from persistence_pipeline.judging.settings import JudgingSettings
from persistence_pipeline.records import Trajectory
from persistence_pipeline.report.page import render_report
from persistence_pipeline.study import Policy
from persistence_pipeline.world.cases import Case

logger = logging.getLogger(__name__)


def judge(
    cases: Sequence[Case], trajectories: Sequence[Trajectory], settings: JudgingSettings, policy: Policy
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Judgements and scores of a policy's trajectories."""
    return judge_world(cases, trajectories, settings, policy.provenance())


def collect(*tables: pd.DataFrame) -> pd.DataFrame:
    """Tables of all policies in one."""
    return pd.concat(tables, ignore_index=True)


def calibrate_judges(
    graded: pd.DataFrame,
    judged: pd.DataFrame,
    judgements: pd.DataFrame,
    settings: JudgingSettings,
    analysis: AnalysisSettings,
) -> tuple[dict[str, Any], pd.DataFrame, pd.DataFrame]:
    """The judges against the state graders: document, table of agreement, points of the frontiers."""
    document = calibrate(graded, judged, judgements, settings, analysis.split)
    for line in console_lines(document):
        logger.info("judging: %s", line)
    return document, agreement_table(document), points_table(document)


def write_judged_report(
    summary: dict[str, Any],
    scores: pd.DataFrame,
    browser: dict[str, Any],
    taught: dict[str, Any],
    calibration: dict[str, Any],
    **figures: Any,
) -> str:
    """The report with a section on the judges. The one without stays: it does not depend on what servers say."""
    named = {name.removeprefix("figure_"): figure for name, figure in figures.items()}
    return render_report(summary, scores, named, browser, taught, calibration)
