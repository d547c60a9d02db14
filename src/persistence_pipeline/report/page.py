"""The report: one self-contained HTML page that needs no network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import pandas as pd

from persistence_pipeline.report import figures, tables
from persistence_pipeline.report.answer import answer
from persistence_pipeline.report.published import FRONTIER, PERSISTENCE
from persistence_pipeline.report.style import SPLITS

TABLE_DIGITS = 3


def build_figures(
    summary: Mapping[str, Any], scores: pd.DataFrame, logs: Mapping[str, pd.DataFrame]
) -> dict[str, Any]:
    """Every figure of the report by name."""
    split = summary["frontier"]["split"]
    return {
        "frontier": figures.frontier_figure(summary["frontier"], summary["cells"]),
        "persistence": figures.persistence_figure(summary["persistence"]),
        "families": figures.group_figure(scores, split, "family"),
        "domains": figures.group_figure(scores, split, "domain"),
        "rates": figures.rates_figure(summary["cells"], split),
        "training": figures.training_figure(logs),
    }


def render_report(summary: Mapping[str, Any], built: Mapping[str, Any], browser: Mapping[str, Any]) -> str:
    """The page.

    Args:
        summary: As in ``summary.json``.
        built: Figures by name, as made by ``build_figures``.
        browser: What the trajectory browser shows, as made by ``browser.browser_data``.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from plotly.offline import get_plotlyjs

    environment = Environment(loader=PackageLoader(__package__), autoescape=True, undefined=StrictUndefined)
    return environment.get_template("report.html.jinja").render(
        summary=summary,
        answer=answer(summary),
        figures={name: _script_json(figure.to_json()) for name, figure in built.items()},
        plotly=get_plotlyjs(),
        style=(files(__package__) / "templates" / "report.css").read_text("utf-8"),
        tables=_tables(summary),
        fit=tables.fit_text(summary),
        split=SPLITS.get(summary["frontier"]["split"], summary["frontier"]["split"]),
    )


def _tables(summary: Mapping[str, Any]) -> dict[str, tuple[list[str], list[list[str]]]]:
    audits, run = summary["audits"], summary["run"]
    return {
        "cells": (tables.CELL_HEADER, tables.cell_rows(summary)),
        "persistence": (tables.PERSISTENCE_HEADER, tables.persistence_rows(summary)),
        "pairs": _from_rows(audits["pairs"]),
        "training": _from_rows(audits["training"]),
        "comparisons": _comparison_rows(audits["comparisons"]),
        "published": _published_rows(summary),
        "versions": (["package", "version"], [[name, text] for name, text in run["versions"].items()]),
    }


def _from_rows(rows: list[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    header = list(dict.fromkeys(key for row in rows for key in row))
    return [name.replace("_", " ") for name in header], [[_text(row.get(key)) for key in header] for row in rows]


def _text(value: Any) -> str:
    if value is None:
        return "–"
    return (
        f"{value:.{TABLE_DIGITS}g}"
        if isinstance(value, float) and value != int(value)
        else f"{value:g}"
        if isinstance(value, int | float)
        else str(value)
    )


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
        [name, "–" if "undefined" in line else f"{line[key]:.3f}", f"{FRONTIER[key]:.4f}"]
        for key, name in (("r2", "R²"), ("slope", "slope"), ("intercept", "intercept"), ("n", "points"))
    ]
    for row in summary["persistence"]:
        published = PERSISTENCE.get(row["beta"], {})
        for metric in ("safety", "helpfulness"):
            name = f"persistence of {metric}, {row['source']}, beta {row['beta']:g}"
            rows.append([name, tables.ratio_text(row.get(metric)), _text(published.get(metric))])
    return ["", "this study", "published (LLM agents on ToolEmu)"], rows


def _script_json(text: str) -> str:
    """JSON that is safe inside a script element."""
    return json.dumps(json.loads(text)).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
