"""The report: one self-contained HTML page that needs no network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import pandas as pd

from persistence_pipeline.records import METRICS
from persistence_pipeline.report import figures, tables
from persistence_pipeline.report.answer import answer
from persistence_pipeline.report.judges import Calibration, judge_figures, judge_tables
from persistence_pipeline.report.published import FRONTIER, PERSISTENCE
from persistence_pipeline.report.style import COLOURS, SYMBOLS, headline_split, split_names

SCRIPTS = ("elements", "data", "filters", "list", "align", "case", "pairs", "page", "main")
"""Parts of the page's script, in the order in which they are read."""


def build_figures(
    summary: Mapping[str, Any], scores: pd.DataFrame, logs: Mapping[str, pd.DataFrame]
) -> dict[str, Any]:
    """Every figure of the report by name."""
    split = summary["frontier"]["split"]
    orderings = {cell["cell"]: cell["ordering"] for cell in summary["cells"]}
    return {
        "frontier": figures.frontier_figure(summary["frontier"], summary["cells"]),
        "persistence": figures.persistence_figure(summary["persistence"]),
        "families": figures.group_figure(scores, split, "family"),
        "domains": figures.group_figure(scores, split, "domain"),
        "rates": figures.rates_figure(summary["cells"], split, headline_split(summary)),
        "training": figures.training_figure(logs, orderings),
    }


def render_report(
    summary: Mapping[str, Any],
    scores: pd.DataFrame,
    built: Mapping[str, Any],
    browser: Mapping[str, Any],
    calibration: Calibration | None = None,
) -> str:
    """The page.

    Args:
        summary: As in ``summary.json``.
        scores: The study's score table.
        built: Figures by name, as made by ``build_figures``.
        browser: What the trajectory browser shows, as made by ``browser.browser_data``.
        calibration: Judges against state graders, where judges were asked; else the page has no such section.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from plotly.offline import get_plotlyjs

    split = summary["frontier"]["split"]
    judged = calibration or {}
    drawn = {**built, **judge_figures(judged)}
    plots = {name: json.loads(figure.to_json()) for name, figure in drawn.items()}
    environment = Environment(loader=PackageLoader(__package__), autoescape=True, undefined=StrictUndefined)
    return environment.get_template("report.html.jinja").render(
        summary=summary,
        answer=answer(summary),
        documents={
            "figures": script_json(plots),
            "looks": script_json(_looks(summary)),
            "browser": script_json(browser),
            "comparisons": script_json({"split": split, "rows": summary["audits"]["comparisons"]}),
        },
        plotly=get_plotlyjs(),
        style=_asset("report.css") + _asset("browser.css"),
        script="\n".join(_asset(f"scripts/{name}.js") for name in SCRIPTS),
        tables=_tables(summary) | tables.group_tables(scores[scores["split"] == split]),
        judges=judged,
        judge_tables=judge_tables(judged),
        fit=tables.fit_text(summary),
        pools=tables.pool_texts(summary),
        splits=split_names(summary),
        split=headline_split(summary),
        n_cases=max(cell["splits"][split]["n_cases"] for cell in summary["cells"]),
    )


def _asset(name: str) -> str:
    return (files(__package__) / "templates" / name).read_text("utf-8")


def _looks(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Colour and shape of each ordering, and the names of the splits, for the page's script."""
    looks = {name: {"colour": COLOURS[name], "symbol": SYMBOLS[name]} for name in COLOURS}
    return {**looks, "splits": split_names(summary)}


def _tables(summary: Mapping[str, Any]) -> dict[str, tuple[list[str], list[list[str]]]]:
    audits, run = summary["audits"], summary["run"]
    return {
        "cells": (tables.CELL_HEADER, tables.cell_rows(summary)),
        "persistence_and_published": (
            tables.PERSISTENCE_HEADER,
            tables.persistence_rows(summary) + tables.published_persistence_rows(),
        ),
        "pairs": (list(tables.PAIR_COLUMNS.values()), tables.pair_rows(summary)),
        "training": (tables.TRAINING_HEADER, tables.training_rows(summary)),
        "comparisons": _comparison_rows(audits["comparisons"]),
        "published": _published_rows(summary),
        "versions": (["package", "version"], [[name, text] for name, text in run["versions"].items()]),
    }


def _comparison_rows(rows: list[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    header = ["metric", "first", "second", "won", "lost", "tied", "difference", "p"]
    return header, [
        [
            row["metric"],
            row["first"],
            row["second"],
            str(row["wins"]),
            str(row["losses"]),
            str(row["ties"]),
            tables.interval_text(row["difference"]),
            "–" if row["p"] is None else f"{row['p']:.2g}",
        ]
        for row in rows
    ]


def _published_rows(summary: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    line = summary["frontier"]["ols"]
    rows = [
        [name, "–" if "undefined" in line else f"{line[key]:.3f}".replace("-", "−"), f"{FRONTIER[key]:.3f}"]
        for key, name in (("r2", "R²"), ("slope", "slope"), ("intercept", "intercept"))
    ]
    rows.append(["points", str(line["n"]), str(FRONTIER["n"])])
    for row in summary["persistence"]:
        for metric in METRICS:
            name = f"persistence of {metric}, {row['source']}, beta {row['beta']:g}"
            known = PERSISTENCE.get(row["beta"], {}).get(metric)
            rows.append([name, tables.ratio_text(row.get(metric)), "–" if known is None else f"{known:.3f}"])
    return ["", "this study", "published (LLM agents on ToolEmu)"], rows


def script_json(document: Any) -> str:
    """JSON that is safe inside a script element."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return text.translate({ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"})
