"""Plotly figures of a study, from its summary: frontier, persistence, scores by group, audits, training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from persistence_pipeline import factors
from persistence_pipeline.orderings import SOURCE, colour_of, in_order, label, parent, symbol_of
from persistence_pipeline.report.kit.figures import (
    THIN,
    error_bars,
    fitted_line,
    interval_dots,
    new_figure,
    new_panels,
)
from persistence_pipeline.report.published import PERSISTENCE
from persistence_pipeline.report.style import INK, marker

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

METRIC_TITLES = {"safety": "Safety", "helpfulness": "Helpfulness"}


def frontier_figure(frontier: Mapping[str, Any], cells: list[dict[str, Any]]) -> Figure:
    """Points of the plane with intervals, arrows from parent to child, fitted lines, attainable frontier.

    Axes are differences from the source; the attainable frontier is drawn against the mean of the sources.
    """
    figure = new_figure(height=460, margin={"l": 58, "r": 12, "t": 12, "b": 50})
    figure.update_layout(legend={"yanchor": "top", "y": -0.17})
    points = frontier["points"]
    _add_lines(figure, frontier, points)
    _add_attainable(figure, frontier, cells)
    for point in points:
        _add_arrow(figure, point, points)
    for ordering in in_order([SOURCE, *(point["ordering"] for point in points)]):
        figure.add_trace(point_markers(ordering, [p for p in points if p["ordering"] == ordering]))
    figure.update_xaxes(title="Δ helpfulness against the source (scale 0 to 3)", zeroline=True)
    figure.update_yaxes(title="Δ safety against the source", zeroline=True)
    return figure


def point_markers(ordering: str, rows: list[dict[str, Any]]) -> Any:
    """Points of one ordering with both their intervals; the source is the origin."""
    if ordering == "source":
        zero = {"estimate": 0.0, "low": 0.0, "high": 0.0}
        rows = [{"delta_helpfulness": zero, "delta_safety": zero, "source": "every source", "beta": "–"}]

    further = factors.further(rows[0]) if rows else []
    levels = "".join(f", {factors.words(name)} %{{customdata[{3 + index}]}}" for index, name in enumerate(further))
    x, y = ([row[f"delta_{metric}"] for row in rows] for metric in ("helpfulness", "safety"))
    return interval_dots(
        x,
        [interval["estimate"] for interval in y],
        error_y=error_bars(y, **THIN),
        name=label(ordering),
        marker=marker(ordering, 13),
        customdata=[[row["source"], row["beta"], ordering, *(row[name] for name in further)] for row in rows],
        hovertemplate=(
            f"<b>{label(ordering)}</b><br>%{{customdata[0]}}, beta %{{customdata[1]}}{levels}"
            "<br>Δ helpfulness %{x:.2f}<br>Δ safety %{y:.2f}<extra></extra>"
        ),
    )


def _add_arrow(figure: Figure, point: Mapping[str, Any], points: list[dict[str, Any]]) -> None:
    before = parent(point["ordering"])
    x0, y0 = 0.0, 0.0
    if before != SOURCE:
        keys = ("source", "beta", *factors.further(point))
        same = [p for p in points if p["ordering"] == before and all(p[key] == point[key] for key in keys)]
        if not same:
            return
        x0, y0 = same[0]["delta_helpfulness"]["estimate"], same[0]["delta_safety"]["estimate"]
    figure.add_annotation(
        x=point["delta_helpfulness"]["estimate"],
        y=point["delta_safety"]["estimate"],
        ax=x0,
        ay=y0,
        xref="x",
        yref="y",
        axref="x",
        ayref="y",
        text="",
        showarrow=True,
        arrowhead=2,
        arrowwidth=1.2,
        arrowcolor=colour_of(point["ordering"]),
        opacity=0.55,
        standoff=8,
        startstandoff=6,
    )


def _add_lines(figure: Figure, frontier: Mapping[str, Any], points: list[dict[str, Any]]) -> None:
    span = [0.0, *(p["delta_helpfulness"]["estimate"] for p in points)]
    x = [min(span) - 0.15, max(span) + 0.15]
    if "undefined" not in frontier["ols"]:
        figure.add_trace(fitted_line(frontier["ols"], x, "solid", name="least squares", hoverinfo="skip"))
    corrected = frontier["line"]
    for intercept in corrected.get("intercepts", []):
        line = {"slope": corrected["slope"]["estimate"], "intercept": intercept["estimate"]}
        figure.add_trace(
            fitted_line(line, x, "dash", name=f"errors in both axes, {intercept['source']}", hoverinfo="skip")
        )


def _add_attainable(figure: Figure, frontier: Mapping[str, Any], cells: list[dict[str, Any]]) -> None:
    sources = [c["splits"][frontier["split"]] for c in cells if c["ordering"] == "source"]
    vertices = frontier.get("attainable") or []
    if not (sources and vertices):
        return
    base = {m: _mean(s[m] for s in sources) for m in METRIC_TITLES}
    x = [0 - base["helpfulness"], *(v["helpfulness"] - base["helpfulness"] for v in vertices)]
    y = [vertices[0]["safety"] - base["safety"], *(v["safety"] - base["safety"] for v in vertices)]
    x.append(x[-1])
    y.append(0 - base["safety"])
    style = {"color": "#CC79A7", "width": 2, "dash": "dot"}
    figure.add_scatter(
        x=x, y=y, mode="lines", name="attainable frontier", line=style, hovertemplate="(%{x:.2f}, %{y:.2f})"
    )
    low = min((p["delta_safety"]["low"] or 0 for p in frontier["points"]), default=0)
    left = min((p["delta_helpfulness"]["low"] or 0 for p in frontier["points"]), default=0)
    figure.update_xaxes(range=[left - 0.2, max(x) + 0.15])
    figure.update_yaxes(range=[low - 0.25, max(y) + 0.15])


def persistence_figure(persistence: list[dict[str, Any]]) -> Figure:
    """Persistence of both metrics with intervals; undefined ratios are not drawn; published values are hollow."""
    figure = new_figure(height=230 + 34 * max(1, len(persistence)))
    for metric, title in METRIC_TITLES.items():
        rows = [row for row in persistence if metric in row and row[metric]["defined"]]
        figure.add_trace(
            interval_dots(
                [row[metric] for row in rows],
                [f"{row['source']}, {factors.text(row)}" for row in rows],
                bars={},
                name=title,
                marker=marker(metric, 12),
                hovertemplate=f"{title} %{{x:.2f}}<extra></extra>",
            )
        )
        figure.add_scatter(
            x=[value[metric] for value in PERSISTENCE.values()],
            y=[f"published, beta {beta:g}" for beta in PERSISTENCE],
            mode="markers",
            name=f"{title}, published",
            marker={"symbol": f"{symbol_of(metric)}-open", "color": colour_of(metric), "size": 12},
            hovertemplate=f"{title}, published %{{x:.3f}}<extra></extra>",
        )
    figure.add_vline(x=1, line_dash="dot", line_color=INK)
    figure.add_vline(x=0, line_color=INK, line_width=1)
    figure.update_xaxes(title="share of the first stage's gain that survives the second stage")
    figure.update_yaxes(automargin=True)
    return figure


def group_figure(scores: pd.DataFrame, split: str, column: str) -> Figure:
    """Mean safety and helpfulness by ordering within each domain or kind of hazard."""
    height = 130 + 46 * scores[column].nunique()
    figure = new_panels(list(METRIC_TITLES.values()), height, shared_yaxes=True)
    means = scores[scores["split"] == split].groupby(["ordering", column])[list(METRIC_TITLES)].mean()
    for ordering in in_order(means.index.get_level_values(0)):
        rows = means.loc[ordering].sort_index(ascending=False)
        for index, metric in enumerate(METRIC_TITLES, 1):
            figure.add_scatter(
                x=rows[metric],
                y=[str(group).replace("_", " ") for group in rows.index],
                mode="markers",
                marker=marker(ordering),
                name=label(ordering),
                legendgroup=ordering,
                showlegend=index == 1,
                row=1,
                col=index,
            )
    figure.update_xaxes(range=[-0.1, 3.1], dtick=1)
    figure.update_yaxes(automargin=True)
    return figure


RATES = {
    "best_of_both": "3 and 3",
    "discrimination": "told apart",
    "refusal_rate": "did nothing",
    "question_rate": "asked",
    "needless_question_rate": "asked needlessly",
    "needless_safeguard_rate": "safeguarded needlessly",
    "needless_refusal_rate": "refused needlessly",
    "invalid_rate": "invalid calls",
    "failed_rate": "failed calls",
}


def rates_figure(cells: list[dict[str, Any]], split: str, where: str) -> Figure:
    """Rates of what agents did beside being graded, averaged over the cells of an ordering.

    ``where`` is what the split is called.
    """
    figure = new_figure(height=480)
    for ordering in in_order(cell["ordering"] for cell in cells):
        rows = [c["splits"][split] for c in cells if c["ordering"] == ordering and split in c["splits"]]
        if rows:
            means = [100 * _mean(row.get(rate) for row in rows) for rate in RATES]
            figure.add_scatter(
                x=means,
                y=list(RATES.values()),
                mode="markers",
                marker=marker(ordering, 12),
                name=label(ordering),
                hovertemplate=f"{label(ordering)}: %{{x:.1f}}%<extra></extra>",
            )
    figure.update_xaxes(title=f"%, {where}", rangemode="tozero")
    figure.update_yaxes(automargin=True, autorange="reversed")
    return figure


def _mean(values: Iterable[float | None]) -> float:
    """Of the cells that have a score."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else float("nan")


SIDES = {
    "logps_chosen": ("chosen", colour_of("both"), "solid"),
    "logps_rejected": ("rejected", colour_of("helpfulness"), "dash"),
}


def training_figure(logs: Mapping[str, pd.DataFrame], orderings: Mapping[str, str]) -> Figure:
    """Log-probabilities of the chosen and rejected sides and their margin by step; one row per ordering.

    Args:
        logs: Training logs by cell.
        orderings: The ordering of each cell.
    """
    rows = [ordering for ordering in in_order(orderings.values()) if ordering != SOURCE]
    titles = [text for o in rows for text in (f"{label(o)}: log-probability", f"{label(o)}: reward margin")]
    height, spacing = 190 * len(rows) + 60, 0.3 / max(3, len(rows))
    figure = new_panels(titles, height, top=70, legend=24, vertical_spacing=spacing)
    shown: set[str] = set()
    for name, log in logs.items():
        of_ordering = sum(orderings[other] == orderings[name] for other in logs)
        place = {"row": rows.index(orderings[name]) + 1, "opacity": max(0.35, 1 / of_ordering)}
        for column, (side, colour, dash) in SIDES.items():
            line = {"color": colour, "dash": dash}
            _add_curve(figure, log["step"], log[column], side, name, line, shown, col=1, **place)
        line = {"color": colour_of("safety")}
        _add_curve(figure, log["step"], log["rewards_margin"], "margin", name, line, shown, col=2, **place)
    return figure


def _add_curve(
    figure: Figure,
    steps: pd.Series,
    values: pd.Series,
    what: str,
    cell: str,
    line: dict[str, str],
    shown: set[str],
    **place: Any,
) -> None:
    figure.add_scatter(
        x=steps,
        y=_smooth(values),
        name=what,
        line=line,
        legendgroup=what,
        showlegend=what not in shown,
        hovertemplate=f"{cell}<br>step %{{x}}, {what} %{{y:.3f}}<extra></extra>",
        **place,
    )
    shown.add(what)


def _smooth(values: pd.Series) -> pd.Series:
    """Running mean of a tenth of the steps: single batches of similar length are uneven."""
    return values.rolling(max(1, len(values) // 10), min_periods=1).mean()
