"""Nodes that write the summary, the figures and the report."""

from __future__ import annotations

from typing import Any

import pandas as pd

from persistence_pipeline.analysis.plain import plain
from persistence_pipeline.report.browser import ReportSettings, browser_data
from persistence_pipeline.report.cards import model_cards
from persistence_pipeline.report.manifest import describe_run
from persistence_pipeline.report.page import build_figures, render_report

FIGURES = ("frontier", "persistence", "families", "domains", "rates", "training")


def summarise(
    analysis: dict[str, Any],
    scores: pd.DataFrame,
    parameters: dict[str, Any],
    **parts: Any,
) -> dict[str, Any]:
    """The study in one document: ``cells, frontier, persistence, audits, run``."""
    pair_audits = _by_name(parts, "pair_audit")
    training = _by_name(parts, "training_report")
    audits = {
        "pairs": [{"arm": arm, **row} for arm, table in pair_audits.items() for row in plain(table)],
        "training": [{"cell": cell, **report} for cell, report in training.items()],
        "comparisons": analysis["comparisons"],
    }
    return {
        "cells": analysis["cells"],
        "frontier": analysis["frontier"],
        "persistence": analysis["persistence"],
        "audits": audits,
        "run": describe_run(parameters, scores),
    }


def _by_name(parts: dict[str, Any], kind: str) -> dict[str, Any]:
    """Arguments ``<kind>__<name>`` by name."""
    prefix = f"{kind}__"
    return {key.removeprefix(prefix): value for key, value in parts.items() if key.startswith(prefix)}


def draw_figures(summary: dict[str, Any], scores: pd.DataFrame, **parts: Any) -> tuple[Any, ...]:
    """Every figure of the report, in the order of ``FIGURES``."""
    built = build_figures(summary, scores, _by_name(parts, "training_log"))
    return tuple(built[name] for name in FIGURES)


def collect_trajectories(scores: pd.DataFrame, settings: ReportSettings, **parts: Any) -> dict[str, Any]:
    """What the trajectory browser shows: test trajectories of every cell with cases, grades and reasons."""
    cases = [case for group in _by_name(parts, "cases").values() for case in group]
    return browser_data(cases, _by_name(parts, "trajectories"), scores, settings)


def write_report(summary: dict[str, Any], scores: pd.DataFrame, browser: dict[str, Any], **figures: Any) -> str:
    """The report as one HTML page, with the trajectory browser inside."""
    return render_report(summary, scores, {name: figures[f"figure_{name}"] for name in FIGURES}, browser)


def write_cards(summary: dict[str, Any]) -> dict[str, str]:
    """A model card for every checkpoint of the study."""
    return model_cards(summary)
