"""The report: one self-contained HTML page that needs no network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from persistence_pipeline.factors import text
from persistence_pipeline.report import figures, tables
from persistence_pipeline.report.answer import answer, details, warnings
from persistence_pipeline.report.discrimination import discrimination_tables, discrimination_text
from persistence_pipeline.report.frontier import frontier_figure
from persistence_pipeline.report.judges import Calibration, judge_figures, judge_tables
from persistence_pipeline.report.kit.page import render_page, scripts_with
from persistence_pipeline.report.links import Links
from persistence_pipeline.report.settings_table import settings_table
from persistence_pipeline.report.style import headline_split, interval_kind, ordering_looks, split_names

WORST_OF = ("safety>helpfulness", "safety")
"""Whose worst the first screen leads to, and beside whom."""


def build_figures(
    summary: Mapping[str, Any], scores: pd.DataFrame, logs: Mapping[str, pd.DataFrame]
) -> dict[str, Any]:
    """Every figure of the report by name."""
    split = summary["frontier"]["split"]
    headline = scores[scores["split"] == split]
    links = Links(summary["cells"], split)
    orderings = {cell["cell"]: cell["ordering"] for cell in summary["cells"]}
    reports = [{**report, "ordering": orderings[report["cell"]]} for report in summary["audits"]["training"]]
    return {
        "frontier": frontier_figure(summary["frontier"], summary["cells"], links),
        "persistence": figures.persistence_figure(summary["persistence"], links),
        "kinds": figures.group_figure(headline, "kind", links),
        "domains": figures.group_figure(headline, "domain", links),
        "rates": figures.rates_figure(headline, headline_split(summary), links),
        "training": figures.training_figure(logs, reports),
    }


def render_report(
    summary: Mapping[str, Any],
    scores: pd.DataFrame,
    built: Mapping[str, Any],
    browser: Mapping[str, Any],
    taught: Mapping[str, Any],
    calibration: Calibration | None = None,
) -> str:
    """The page.

    Args:
        summary: As in ``summary.json``.
        scores: The study's score table.
        built: Figures by name, as made by ``build_figures``.
        browser: What the trajectory browser shows, as made by ``browser.browser_data``.
        taught: What the view of pairs shows, as made by ``taught.taught_data``.
        calibration: Judges against state graders, where judges were asked; else the page has no such section.
    """
    split = summary["frontier"]["split"]
    judged = calibration or {}
    links, warned = Links(summary["cells"], split), warnings(summary)
    return render_page(
        __package__,
        "report.html.jinja",
        {**built, **judge_figures(judged, links)},
        styles=("report", "browser"),
        scripts=scripts_with("taught", "pairs"),
        documents={
            "looks": _looks(summary),
            "comparisons": {"split": split, "rows": summary["audits"]["comparisons"]},
        },
        packed={"browser": browser, "taught": taught},
        summary=summary,
        warnings=warned,
        factors=text,
        answer=[sentence for sentence in answer(summary) if sentence not in warned],
        details=details(summary),
        tables=tables.study_tables(summary, links)
        | discrimination_tables(summary, links)
        | tables.group_tables(scores[scores["split"] == split], links),
        care=list(discrimination_text(summary)),
        worst=links.worst(*WORST_OF),
        judges=judged,
        judge_tables=judge_tables(judged, links),
        fit=tables.fit_text(summary),
        kind=interval_kind(summary),
        margin=summary["frontier"]["margin"],
        settings=settings_table(summary["run"]["parameters"], links),
        pools=tables.pool_texts(summary),
        splits=split_names(summary),
        split=headline_split(summary),
        n_cases=max(cell["splits"][split]["n_cases"] for cell in summary["cells"]),
    )


def _looks(summary: Mapping[str, Any]) -> dict[str, Any]:
    """What the page's script needs: orderings in their order, names of splits, the study, trajectories cut."""
    looks = ordering_looks(cell["ordering"] for cell in summary["cells"])
    cut = {report["cell"]: report["n_truncated"] for report in summary["audits"]["training"]}
    study = summary["run"]["scores_sha256"]
    return {"orderings": looks, "splits": split_names(summary), "study": study, "cut": cut}
