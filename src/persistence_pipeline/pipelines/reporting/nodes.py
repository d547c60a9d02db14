"""Nodes that write the summary, the figures and the report."""

from __future__ import annotations

from typing import Any

import pandas as pd

from persistence_pipeline.analysis.plain import plain
from persistence_pipeline.analysis.pool import pool_by_kind
from persistence_pipeline.pipelines.parts import by_name
from persistence_pipeline.records import OBJECTIVES
from persistence_pipeline.report.browser import ReportSettings
from persistence_pipeline.report.cards import model_cards
from persistence_pipeline.report.cut import find_cut, stages_that_cut
from persistence_pipeline.report.manifest import describe_run
from persistence_pipeline.report.page import build_figures, render_report
from persistence_pipeline.report.taught import Pool, taught_data
from persistence_pipeline.study.registration import described

FIGURES = ("frontier", "persistence", "kinds", "domains", "rates", "training")


def summarise(
    analysis: dict[str, Any],
    scores: pd.DataFrame,
    parameters: dict[str, Any],
    **parts: Any,
) -> dict[str, Any]:
    """The study in one document.

    Its keys are ``competence, plain_text, cells, frontier, persistence, discrimination, pool, surviving, pull,
    averages, missing, audits, registered, run``.
    """
    pair_audits = by_name(parts, "pair_audit")
    training = by_name(parts, "training_report")
    audits = {
        "pairs": [{"arm": arm, **row} for arm, table in pair_audits.items() for row in plain(table)],
        "training": [{"cell": cell, **report} for cell, report in training.items()],
        "comparisons": analysis["comparisons"],
    }
    run = describe_run(parameters, scores)
    return {
        "competence": list(by_name(parts, "competence").values()),
        "plain_text": list(by_name(parts, "plain_text").values()),
        "cells": analysis["cells"],
        "frontier": analysis["frontier"],
        "persistence": analysis["persistence"],
        "discrimination": analysis["discrimination"],
        "pool": _pools(parts),
        "surviving": analysis["surviving"],
        "pull": analysis["pull"],
        "averages": analysis["averages"],
        "missing": analysis["missing"],
        "audits": audits,
        "registered": described(parameters.get("registered"), analysis, run["seeds"]),
        "run": run,
    }


def _pools(parts: dict[str, Any]) -> list[dict[str, Any]]:
    """The pool of each source and seed, by kind of hazard."""
    pools = []
    for name, scores in by_name(parts, "candidate_scores").items():
        tables = {o: by_name(parts, f"pair_table_{o}").get(name) for o in OBJECTIVES}
        pairs = {objective: table for objective, table in tables.items() if table is not None}
        first = scores.iloc[0]
        kinds = pool_by_kind(scores, pairs)
        pools.append({"source": str(first["source"]), "seed": int(first["seed"]), "kinds": kinds})
    return pools


def draw_figures(summary: dict[str, Any], scores: pd.DataFrame, **parts: Any) -> tuple[Any, ...]:
    """Every figure of the report, in the order of ``FIGURES``."""
    built = build_figures(summary, scores, by_name(parts, "training_log"))
    return tuple(built[name] for name in FIGURES)


def collect_pairs(summary: dict[str, Any], settings: ReportSettings, **parts: Any) -> dict[str, Any]:
    """The data of the view of pairs: what the stages were taught with."""
    candidates = by_name(parts, "candidates")
    scores = by_name(parts, "candidate_scores")
    pools = {name: Pool(table, candidates.get(name, ())) for name, table in scores.items()}
    cases = [case for group in by_name(parts, "cases").values() for case in group]
    pairs = by_name(parts, "pairs")
    return taught_data(pairs, pools, settings, cases, cut=find_cut(pairs, stages_that_cut(summary)))


def write_report(
    summary: dict[str, Any], scores: pd.DataFrame, browser: dict[str, Any], taught: dict[str, Any], **figures: Any
) -> str:
    """The report as one HTML page, with trajectories and pairs inside."""
    return render_report(summary, scores, {name: figures[f"figure_{name}"] for name in FIGURES}, browser, taught)


def write_cards(summary: dict[str, Any]) -> dict[str, str]:
    """A model card for every checkpoint of the study."""
    return model_cards(summary)
