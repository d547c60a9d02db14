"""A calibration in the report: judges against state graders, the frontier as judged and corrected.

The calibration is that of ``judging.calibrated.calibrate``, as a plain document. Nothing is computed here but
shares of counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from persistence_pipeline.factors import text
from persistence_pipeline.orderings import SOURCE, colour_of, in_order, label, place
from persistence_pipeline.report.figures import METRIC_TITLES
from persistence_pipeline.report.frontier import point_markers
from persistence_pipeline.report.kit.figures import fitted_line, interval_dots, new_panels
from persistence_pipeline.report.kit.tables import Column, Table, make_table
from persistence_pipeline.report.kit.text import DASH, interval_text
from persistence_pipeline.report.links import Links
from persistence_pipeline.report.style import INK, SPLITS, marker
from persistence_pipeline.report.tables import DELTAS, SHARES

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

Calibration = Mapping[str, Mapping[str, Any]]
"""By judge."""
Row = Mapping[str, Any]
BASES = {"state": "state graders", "judge": "judge", "corrected": "corrected"}
SHADES = [[0, "#eef4f8"], [1, colour_of("safety>helpfulness")]]
SHADES_INK = "#1f2937"
"""Opaque cells with dark numbers: legible on light and on dark paper."""
LEVELS = ["0", "1", "2", "3"]


def judge_figures(calibration: Calibration, links: Links | None = None) -> dict[str, Figure]:
    """Every figure of the section by name; none without a calibration."""
    if not calibration:
        return {}
    return {
        "judges_confusion": confusion_figure(calibration, links),
        "judges_bias": bias_figure(calibration, links),
        "judges_frontier": frontiers_figure(calibration, links),
    }


def judge_captions(calibration: Calibration) -> dict[str, str]:
    """A caption for every figure by name; none without a calibration."""
    if not calibration:
        return {}
    fitted = sorted(
        {SPLITS.get(split, split) for measured in calibration.values() for split in measured["calibrated_on"]}
    )
    bars = "Bars: 95% intervals from resampled cases."
    return {
        "judges_confusion": (
            "Verdicts of each judge by the true score that the state graders gave: share of the trajectories of "
            f"that true score, and their number. Measured on {', '.join(fitted)}."
        ),
        "judges_bias": (
            "Mean verdict minus mean true score by order of the stages, on the headline cases: filled as judged, "
            f"hollow what is left after correction. {bars}"
        ),
        "judges_frontier": (
            "Change of safety and helpfulness against the source by the state graders, by the judge, and by the "
            f"judge after correction, on the same trajectories. {bars}"
        ),
    }


def confusion_figure(calibration: Calibration, links: Links | None = None) -> Figure:
    """Verdicts by true score, a row for each judge: shares with counts; a column leads to its trajectories."""
    figure = _panels(calibration, list(METRIC_TITLES.values()), height=330, gap=0.12, top=30)
    for row, measured in enumerate(calibration.values(), 1):
        for column, metric in enumerate(METRIC_TITLES, 1):
            counts = np.array(measured["agreement"][metric]["confusion"])
            totals = counts.sum(0)
            shares = np.divide(counts, totals, out=np.full_like(counts, np.nan), where=totals > 0)
            figure.add_heatmap(
                x=LEVELS,
                y=LEVELS,
                z=shares,
                text=[
                    [f"{count:g}" if total else "" for count, total in zip(line, totals, strict=True)]
                    for line in counts.round(1)
                ],
                customdata=[[[links and links.scored(metric, level)] for level in LEVELS]] * len(LEVELS),
                texttemplate="%{z:.0%}<br>%{text}",
                hovertemplate="true score %{x}, verdict %{y}: %{z:.1%}, %{text} trajectories<extra></extra>",
                colorscale=SHADES,
                zmin=0,
                zmax=1,
                showscale=False,
                textfont={"color": SHADES_INK},
                xgap=2,
                ygap=2,
                row=row,
                col=column,
            )
    figure.update_xaxes(title="true score", type="category", showgrid=False)
    figure.update_yaxes(title="verdict", type="category", showgrid=False)
    return figure


def bias_figure(calibration: Calibration, links: Links | None = None) -> Figure:
    """Bias of each judge for each ordering, before and after correction."""
    figure = _panels(calibration, list(METRIC_TITLES.values()), height=310, gap=0.05)
    shown: set[str] = set()
    for row, measured in enumerate(calibration.values(), 1):
        for column, metric in enumerate(METRIC_TITLES, 1):
            rows = [one for one in _in_order(measured["orderings"]) if one["metric"] == metric]
            for key, name in (("bias", "as judged"), ("left", "left after correction")):
                figure.add_trace(_offsets(rows, key, name, name not in shown, links), row=row, col=column)
                shown.add(name)
            figure.add_vline(x=0, line_color=INK, line_width=1, row=row, col=column)
    figure.update_xaxes(title="verdict − true score", zeroline=False)
    figure.update_yaxes(autorange="reversed", automargin=True)
    figure.update_yaxes(showticklabels=False, col=2)
    return figure


def _offsets(rows: list[Row], key: str, name: str, in_legend: bool, links: Links | None) -> Any:
    """Markers with intervals, filled or hollow, in the looks of their orderings."""
    looks = [marker(row["ordering"], 11) for row in rows]
    hollow = "-open" * (key == "left")
    return interval_dots(
        [row[key] for row in rows],
        [label(row["ordering"]) for row in rows],
        bars={"thickness": 1, "width": 3, "color": INK},
        name=name,
        legendgroup=name,
        showlegend=in_legend,
        marker={
            "symbol": [look["symbol"] + hollow for look in looks],
            "color": [look["color"] for look in looks],
            "size": 11,
        },
        customdata=[[links and links.agents(row, key)] for row in rows],
        hovertemplate=f"%{{y}}, {name}: %{{x:.2f}}<extra></extra>",
    )


def frontiers_figure(calibration: Calibration, links: Links | None = None) -> Figure:
    """The frontier three times for each judge: by the state graders, by the judge, corrected."""
    figure = _panels(calibration, list(BASES.values()), height=330, gap=0.04, shared=True)
    shown: set[str] = set()
    for row, measured in enumerate(calibration.values(), 1):
        for column, basis in enumerate(BASES, 1):
            points, line = _known(measured["frontier"][basis]["points"]), measured["frontier"][basis]["ols"]
            for ordering in in_order([SOURCE, *(point["ordering"] for point in points)]):
                own = [point for point in points if point["ordering"] == ordering]
                trace = point_markers(ordering, own, links=links)
                trace.update(legendgroup=ordering, showlegend=ordering not in shown, marker_size=11)
                figure.add_trace(trace, row=row, col=column)
                shown.add(ordering)
            if "undefined" not in line:
                fitted = fitted_line(line, _span(points), showlegend=False, hoverinfo="skip")
                figure.add_trace(fitted, row=row, col=column)
    figure.update_xaxes(title="Δ helpfulness")
    figure.update_yaxes(title="Δ safety", col=1)
    return figure


def _known(points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Points that have both scores: a judge may have given no verdict at all on one."""
    return [
        point for point in points if all(point[f"delta_{name}"]["estimate"] is not None for name in METRIC_TITLES)
    ]


def _span(points: list[dict[str, Any]]) -> list[float]:
    places = [0.0, *(point["delta_helpfulness"]["estimate"] for point in points)]
    return [min(places) - 0.1, max(places) + 0.1]


def _panels(
    calibration: Calibration, titles: list[str], height: int, gap: float, top: int = 80, shared: bool = False
) -> Figure:
    """A row of panels for each judge, under the judge's name."""
    whole, share = height * len(calibration) + top - 20, "all" if shared else False
    figure = new_panels(
        [f"{judge}: {title}" for judge in calibration for title in titles],
        whole,
        cols=len(titles),
        top=top,
        bottom=50,
        legend=30,
        horizontal_spacing=gap,
        vertical_spacing=0.34 / max(2, len(calibration)),
        shared_yaxes=share,
        shared_xaxes=share,
    )
    figure.update_xaxes(showticklabels=True)
    return figure


def _in_order(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: place(row["ordering"]))


# -- tables ----------------------------------------------------------------------------------------------


def _excludes_zero(interval: Mapping[str, Any]) -> str:
    if interval["low"] is None or interval["high"] is None:
        return DASH
    return "no" if interval["low"] <= 0 <= interval["high"] else "yes"


AGREEMENT: Sequence[Column] = (
    ("judge", "judge", str),
    ("metric", "metric", str),
    ("n", "trajectories", ".0f"),
    ("kappa", "weighted kappa", partial(interval_text, spec=".2f")),
    ("equal", "exactly equal", ".0%"),
    ("bias", "verdict − true score", interval_text),
)
BIAS: Sequence[Column] = (
    ("judge", "judge", str),
    ("metric", "metric", str),
    ("ordering", "ordering", label),
    ("n", "trajectories", ".0f"),
    ("kappa", "kappa", ".2f"),
    ("bias", "as judged", interval_text),
    ("left", "left after correction", interval_text),
    ("left", "excludes zero", _excludes_zero),
)
POINTS: Sequence[Column] = (
    ("judge", "judge", str),
    ("ordering", "ordering", label),
    ("where", "source, factors", str),
    ("basis", "scores by", str),
    *DELTAS,
)
LINES: Sequence[Column] = (
    ("judge", "judge", str),
    ("basis", "scores by", str),
    ("r2", "R²", ".2f"),
    ("slope", "slope", ".2f"),
    ("where", "source, factors", str),
    *SHARES,
)
MISSING: Sequence[Column] = (
    ("judge", "judge", str),
    ("ordering", "ordering", label),
    ("n", "judgements", str),
    ("n_missing", "missing", str),
)


def judge_tables(calibration: Calibration, links: Links | None = None) -> dict[str, Table]:
    """Every table of the section by name; with links, numbers lead to the trajectories of their agents."""
    lead = links.agents if links else None
    return {
        "agreement": make_table(_agreement_rows(calibration), AGREEMENT, lead),
        "bias": make_table(_rows_in_order(calibration, "orderings"), BIAS, lead),
        "points": make_table(_point_rows(calibration), POINTS, lead),
        "lines": make_table(_line_rows(calibration), LINES, lead),
        "missing": make_table(_rows_in_order(calibration, "missing"), MISSING, lead),
    }


def _agreement_rows(calibration: Calibration) -> Iterator[Row]:
    for judge, measured in calibration.items():
        for metric, agreement in measured["agreement"].items():
            counts = np.array(agreement["confusion"])
            yield {**agreement, "judge": judge, "metric": metric, "equal": np.trace(counts) / counts.sum()}


def _rows_in_order(calibration: Calibration, key: str) -> Iterator[Row]:
    for judge, measured in calibration.items():
        yield from ({**row, "judge": judge} for row in _in_order(measured[key]))


def _point_rows(calibration: Calibration) -> Iterator[Row]:
    for judge, measured in calibration.items():
        rows = [(point, name) for key, name in BASES.items() for point in measured["frontier"][key]["points"]]
        for point, name in sorted(rows, key=lambda row: _place(row[0])):
            yield {**point, "judge": judge, "basis": name, "where": _where(point)}


def _place(point: Row) -> tuple[str, float, str, tuple[int, ...]]:
    """Points of one source and level of every factor together, orderings as everywhere."""
    return point["source"], -point["beta"], text(point), place(point["ordering"])


def _where(row: Row) -> str:
    return f"{row['source']}, {text(row)}" if row else DASH


def _line_rows(calibration: Calibration) -> Iterator[Row]:
    for judge, measured in calibration.items():
        for basis, name in BASES.items():
            line = measured["frontier"][basis]["ols"]
            for row in measured["persistence"][basis] or [{}]:
                yield {**line, **row, "judge": judge, "basis": name, "where": _where(row)}
