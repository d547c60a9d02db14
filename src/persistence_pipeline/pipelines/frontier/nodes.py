"""Nodes that aggregate scores and analyse the study."""

from __future__ import annotations

from typing import Any

import pandas as pd

from persistence_pipeline.analysis.audits import cell_comparisons
from persistence_pipeline.analysis.bootstrap import draw_means
from persistence_pipeline.analysis.discrimination import discrimination_summary
from persistence_pipeline.analysis.frontier_summary import frontier_summary
from persistence_pipeline.analysis.grid import grid_table
from persistence_pipeline.analysis.headline import frontier_table, graded_on, headline_metrics
from persistence_pipeline.analysis.missing import missing_summary
from persistence_pipeline.analysis.pairs import pair_draws
from persistence_pipeline.analysis.persistence import unmatched
from persistence_pipeline.analysis.pull import pull_summary
from persistence_pipeline.analysis.settings import AnalysisSettings
from persistence_pipeline.analysis.summary import cell_summaries, persistence_averages, persistence_summary
from persistence_pipeline.analysis.surviving import surviving_summary


def collect_scores(*tables: pd.DataFrame) -> pd.DataFrame:
    """All score tables of the study in one."""
    return pd.concat(tables, ignore_index=True)


def summarise_grid(scores: pd.DataFrame) -> pd.DataFrame:
    """Means, rates and counts by cell and split."""
    return grid_table(scores)


def analyse(
    scores: pd.DataFrame, grid: pd.DataFrame, attainable: list[dict[str, float]], settings: AnalysisSettings
) -> dict[str, Any]:
    """Cells, frontier, persistence and comparisons on the headline split, from one shared set of draws."""
    headline = graded_on(scores, settings.split)
    draws = draw_means(headline, settings.n_draws, settings.seed)
    return {
        "cells": cell_summaries(grid, draws),
        "frontier": {
            "split": settings.split,
            "attainable": attainable,
            **frontier_summary(draws, settings.margin, attainable),
        },
        "persistence": persistence_summary(draws, settings.margin),
        "discrimination": discrimination_summary(headline, grid, settings.n_draws, settings.seed),
        "surviving": surviving_summary(headline, settings.n_draws, settings.seed, settings.margin),
        "pull": pull_summary(pair_draws(headline, settings.n_draws, settings.seed) or draws, settings.margin),
        "averages": persistence_averages(draws, settings.margin),
        "missing": missing_summary(headline) | {"unmatched": unmatched(draws.runs)},
        "comparisons": cell_comparisons(headline),
    }


def measure(analysis: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The numbers that are compared between commits, and the points of the frontier."""
    return headline_metrics(analysis), frontier_table(analysis)
