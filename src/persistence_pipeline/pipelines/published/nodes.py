"""Nodes of the re-analysis: thin calls into ``persistence_pipeline.published``, imported by the node that runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from persistence_pipeline.analysis.plain import plain
from persistence_pipeline.published.settings import PublishedSettings
from persistence_pipeline.records import PreferencePair
from persistence_pipeline.report.browser import ReportSettings

Partitions = Mapping[str, Any]
"""What a partitioned dataset loads: functions that load the parts."""


def _loaded(parts: Partitions) -> dict[str, Any]:
    return {name: part() if callable(part) else part for name, part in parts.items()}


def read_clone(settings: PublishedSettings) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Episodes, their conversations, and what was set aside."""
    from persistence_pipeline.published.importing import import_clone

    tables = import_clone(settings)
    return tables["episodes"], tables["conversations"], tables["quarantine"]


def tabulate(
    episodes: pd.DataFrame, settings: PublishedSettings
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Trajectory table, scores of the pool, scores of the evaluation sets."""
    from persistence_pipeline.published import study

    n_cases = settings.n_cases
    scores = study.study_scores(episodes, n_cases)
    return study.trajectory_table(episodes, n_cases), study.pool_scores(episodes), scores


def analyse_sets(scores: pd.DataFrame, settings: PublishedSettings) -> dict[str, Any]:
    """Frontier, persistence and single runs of every evaluation set."""
    from persistence_pipeline.published.analysis import analyse_set

    sets = scores.groupby("set", sort=True)
    found = {str(name): analyse_set(rows, settings.n_draws, settings.seed, settings.margin) for name, rows in sets}
    return dict(plain(found))


def make_pairs(
    pool: pd.DataFrame, scores: pd.DataFrame, settings: PublishedSettings
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Pairs of every evaluator and objective, why candidates were rejected, and counts by seed."""
    from persistence_pipeline.published import pairs

    seeds = sorted({int(seed) for seed in scores["seed"]} | {settings.pairs.export_seed})
    table, counts = pairs.make_pair_table(pool, settings.pairs, seeds, settings.n_cases)
    return table, counts, pairs.count_pairs(table, counts, seeds)


def read_toolkits(settings: PublishedSettings) -> dict[str, Any]:
    """JSON schemas of the tools by toolkit; empty where there are none to be found."""
    from persistence_pipeline.published import pairs

    return dict(pairs.load_toolkits(settings.pairs, settings.root))


def export_pairs(
    table: pd.DataFrame, conversations: pd.DataFrame, schemas: dict[str, Any], settings: PublishedSettings
) -> dict[str, list[PreferencePair]]:
    """Pairs of one seed's train cases in TRL's format, by evaluator, pool and objective."""
    from persistence_pipeline.published import pairs

    return dict(pairs.export_pairs(table, conversations, schemas, settings.pairs.export_seed))


def audit(
    pool: pd.DataFrame,
    scores: pd.DataFrame,
    episodes: pd.DataFrame,
    pair_table: pd.DataFrame,
    quarantine: pd.DataFrame,
) -> dict[str, pd.DataFrame]:
    """Every audit, a table each."""
    from persistence_pipeline.published import audits

    return audits.audit_tables(pool, scores, episodes, pair_table, quarantine)


def measure_sensitivity(scores: pd.DataFrame, settings: PublishedSettings) -> pd.DataFrame:
    """The headline numbers without each suspect group."""
    from persistence_pipeline.published import sensitivity

    return sensitivity.sensitivity_table(scores, settings.sensitivity_draws, settings.seed)


def summarise(
    analyses: dict[str, Any],
    pair_counts: dict[str, Any],
    audit_tables: Partitions,
    sensitivity_rows: pd.DataFrame,
    episodes: pd.DataFrame,
    scores: pd.DataFrame,
    quarantine: pd.DataFrame,
    schemas: dict[str, Any],
    settings: PublishedSettings,
) -> dict[str, Any]:
    """The re-analysis in one document."""
    from persistence_pipeline.published import summary

    run = summary.describe_run(episodes, scores, quarantine, settings, n_toolkits=len(schemas))
    return summary.summarise(analyses, pair_counts, _loaded(audit_tables), sensitivity_rows, run)


def draw_figures(document: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """Every figure by name, and the frontier of the headline set."""
    from persistence_pipeline.published import figures

    built = figures.build_figures(document)
    return built, figures.headline_figure(document, built)


def show_trajectories(
    episodes: pd.DataFrame,
    pool: pd.DataFrame,
    scores: pd.DataFrame,
    conversations: pd.DataFrame,
    settings: ReportSettings,
) -> dict[str, Any]:
    """What the page's view of trajectories shows."""
    from persistence_pipeline.published import browsing

    return browsing.view_data(episodes, pool, scores, conversations, settings)


def write_report(
    document: dict[str, Any], built: Partitions, browser: dict[str, Any], quarantine: pd.DataFrame
) -> str:
    """The page."""
    from persistence_pipeline.published.page import render_page

    return render_page(document, _loaded(built), browser, plain(quarantine))
