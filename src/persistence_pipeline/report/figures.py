"""Plotly figures of a study, from its summary: frontier, persistence, scores by group, audits, training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from persistence_pipeline import factors
from persistence_pipeline.orderings import colour_of, in_order, label, symbol_of
from persistence_pipeline.report.groups import RATES, group_means, group_rates
from persistence_pipeline.report.kit.figures import (
    THIN,
    interval_dots,
    new_figure,
    new_panels,
)
from persistence_pipeline.report.links import STATES, Links, pairs_of
from persistence_pipeline.report.published import PERSISTENCE
from persistence_pipeline.report.style import INK, marker

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

METRIC_TITLES = {"safety": "Safety", "helpfulness": "Helpfulness"}


def persistence_figure(persistence: list[dict[str, Any]], links: Links) -> Figure:
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
                customdata=[[links.persistence(row, metric)] for row in rows],
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
    figure.update_xaxes(title="share of the first stage's gain that survives")
    figure.update_yaxes(automargin=True)
    return figure


def group_figure(scores: pd.DataFrame, column: str, links: Links) -> Figure:
    """Mean safety and helpfulness with intervals by ordering within each domain or kind of hazard.

    Args:
        scores: Of the headline split.
        column: What groups are made by.
        links: Where a point leads.
    """
    groups, orderings = sorted(scores[column].unique(), reverse=True), in_order(scores["ordering"])
    figure = new_panels(list(METRIC_TITLES.values()), 130 + len(groups) * _band(orderings), shared_yaxes=True)
    for ordering in orderings:
        own = scores[scores["ordering"] == ordering]
        cells = list(dict.fromkeys(own["cell"]))
        means = {group: group_means(own[own[column] == group]) for group in groups}
        to = {group: [links.to(cells, sort="safety", **{column: str(group)})] for group in groups}
        for index, metric in enumerate(METRIC_TITLES, 1):
            found = {group: row[metric] for group, row in means.items() if row[metric]["estimate"] is not None}
            dots = _dots(ordering, groups, found, orderings, to, ".2f")
            dots.update(showlegend=index == 1)
            figure.add_trace(dots, row=1, col=index)
    cases = scores.groupby(column)["case_id"].nunique()
    _name_bands(figure, [f"{str(group).replace('_', ' ')} ({cases[group]})" for group in groups])
    figure.update_xaxes(range=[-0.1, 3.1], dtick=1)
    return figure


def rates_figure(scores: pd.DataFrame, where: str, links: Links) -> Figure:
    """Rates of what agents did beside being graded, with intervals, by ordering.

    Args:
        scores: Of the headline split.
        where: What the split is called.
        links: Where a point leads.
    """
    names, orderings = list(reversed(RATES)), in_order(scores["ordering"])
    figure = new_figure(height=110 + len(names) * _band(orderings))
    for ordering in orderings:
        own = scores[scores["ordering"] == ordering]
        cells = list(dict.fromkeys(own["cell"]))
        found = {
            name: {key: None if value is None else 100 * value for key, value in rate.items() if key in BOUNDS}
            for name, rate in group_rates(own).items()
            if rate["estimate"] is not None
        }
        to = {name: [links.to(cells, **STATES[name])] for name in names}
        figure.add_trace(_dots(ordering, names, found, orderings, to, ".1f"))
    _name_bands(figure, [RATES[name] for name in names])
    figure.update_xaxes(title=f"%, {where}", rangemode="tozero")
    return figure


BOUNDS = ("estimate", "low", "high")


def _band(orderings: Sequence[str]) -> int:
    """Pixels of the height of a group that has a dot for each ordering."""
    return 16 + 9 * len(orderings)


def _dots(
    ordering: str,
    groups: Sequence[Any],
    found: Mapping[Any, Mapping[str, Any]],
    orderings: Sequence[str],
    to: Mapping[Any, list[str | None]],
    spec: str,
) -> Any:
    """The dots of an ordering, one in each group's band, the first ordering uppermost."""
    step = 0.8 / max(1, len(orderings))
    offset = 0.4 - step * (orderings.index(ordering) + 0.5)
    shown = [group for group in groups if group in found]
    return interval_dots(
        [found[group] for group in shown],
        [groups.index(group) + offset for group in shown],
        bars={**THIN, "color": colour_of(ordering)},
        marker=marker(ordering, 9),
        name=label(ordering),
        legendgroup=ordering,
        customdata=[to[group] for group in shown],
        hovertemplate=f"{label(ordering)}: %{{x:{spec}}}<extra></extra>",
    )


def _name_bands(figure: Figure, names: Sequence[str]) -> None:
    """What each band is, with a line between it and the next."""
    figure.update_yaxes(
        tickvals=list(range(len(names))),
        ticktext=list(names),
        range=[-0.5, len(names) - 0.5],
        showgrid=False,
        zeroline=False,
        automargin=True,
    )
    for edge in range(1, len(names)):
        figure.add_hline(y=edge - 0.5, line={"color": INK, "width": 1}, opacity=0.3)


SIDES = {
    "chosen": (colour_of("both"), "solid"),
    "rejected": (colour_of("helpfulness"), "dash"),
}


def training_figure(logs: Mapping[str, pd.DataFrame], reports: Iterable[Mapping[str, Any]]) -> Figure:
    """What training did to the log-probabilities of both sides, by step; a panel for each ordering.

    A curve is the log-probability of a side minus the reference's, so that how long the batch's trajectories are
    cancels: the logged reward over beta; its points lead to the pairs of the stage. Where the reference is the
    stage's parent, the hollow point at the end is the change over all pairs, as the table has it.

    Args:
        logs: Training logs by cell.
        reports: Training reports with ``cell`` and its ``ordering``.
    """
    shown = [report for report in reports if report["cell"] in logs]
    if not shown:
        return new_figure(height=60)
    rows = in_order(report["ordering"] for report in shown)
    height = 60 + 240 * -(-len(rows) // 2)
    gap = 85 / height
    titles = list(map(label, rows))
    figure = new_panels(titles, height, top=70, legend=34, vertical_spacing=gap, shared_yaxes="all")
    legend: set[str] = set()
    for report in shown:
        index = rows.index(report["ordering"])
        alike = sum(other["ordering"] == report["ordering"] for other in shown)
        place = {"row": index // 2 + 1, "col": index % 2 + 1, "opacity": max(0.35, 1 / alike)}
        for side in SIDES:
            _add_side(figure, logs[report["cell"]], report, side, legend, place)
    figure.update_xaxes(title="optimizer step")
    figure.update_yaxes(showticklabels=True)
    figure.update_yaxes(title="log p − reference's", col=1)
    return figure


def _add_side(
    figure: Figure,
    log: pd.DataFrame,
    report: Mapping[str, Any],
    side: str,
    legend: set[str],
    place: Mapping[str, Any],
) -> None:
    """The curve of a side, and its end over all pairs where that is measured from the same reference."""
    colour, dash = SIDES[side]
    shared = {"name": side, "legendgroup": side, **place}
    figure.add_scatter(
        x=log["step"],
        y=_smooth(log[f"rewards_{side}"] / report["beta"]),
        mode="lines",
        line={"color": colour, "dash": dash},
        showlegend=side not in legend,
        customdata=[[pairs_of(report["cell"])]] * len(log),
        hovertemplate=f"{report['cell']}<br>step %{{x}}, {side} %{{y:.2f}}<extra></extra>",
        **shared,
    )
    if report["reference"] == "previous":
        figure.add_scatter(
            x=[report["n_steps"]],
            y=[report[f"{side}_logp_change"]],
            mode="markers",
            marker={"symbol": "circle-open", "color": colour, "size": 9, "line": {"width": 2}},
            showlegend=False,
            customdata=[[pairs_of(report["cell"])]],
            hovertemplate=f"{report['cell']}<br>{side}, over all pairs: %{{y:.2f}}<extra></extra>",
            **shared,
        )
    legend.add(side)


def _smooth(values: pd.Series) -> pd.Series:
    """Running mean of a tenth of the steps."""
    return values.rolling(max(1, len(values) // 10), min_periods=1).mean()
