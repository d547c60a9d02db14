"""The figure of the frontier: where each trained agent lies against its source, in safety and in helpfulness."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from persistence_pipeline import factors
from persistence_pipeline.orderings import SOURCE, colour_of, label, parent
from persistence_pipeline.report.insets import MAIN, add_attainable, add_crowd
from persistence_pipeline.report.kit.figures import THIN, error_bars, fitted_line, interval_dots, new_figure
from persistence_pipeline.report.names import Segment, add_names, centre, place_names, place_of, short, usual_side
from persistence_pipeline.report.style import INK, marker

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

Row = Mapping[str, Any]


class Leads(Protocol):
    """What says where a point leads."""

    def agents(self, row: Row, _: str) -> str | None: ...


LARGE, SMALL = 13, 8
VARIANTS = [
    (shape, size)
    for shapes in (("", "-open"), ("-dot", "-open-dot"))
    for size in (LARGE, SMALL)
    for shape in shapes
]
"""Of an ordering's shape and its size, by source and settings: dots within a shape, the faintest, come last."""
WIDE = 1.75
"""Width of the plane over its height."""
ROOM = 0.12
"""Around the outermost ends of intervals, in points of 3."""


def frontier_figure(frontier: Mapping[str, Any], cells: Sequence[Row], links: Leads | None = None) -> Figure:
    """Points of the plane with intervals, arrows from parent to child, fitted lines, attainable frontier.

    Axes are differences from the source, a point of safety as long as one of helpfulness. The attainable frontier
    is drawn against the mean of the sources.
    """
    points = frontier["points"]
    places = _places(points)
    height = 430 + 20 * (len(places) > 1) * -(-len(places) // 2)
    figure = new_figure(height=height, margin={"l": 58, "r": 12, "t": 8, "b": 50})
    figure.update_layout(legend={"yanchor": "top", "y": -56 / (height - 120)})
    _add_lines(figure, frontier, points)
    _zoom(figure, points)
    arrows = _arrows(points)
    for ordering, arrow in arrows:
        _add_arrow(figure, ordering, arrow)
    lines = [*(arrow for _, arrow in arrows), *_least_squares(frontier["ols"], points)]
    sides = place_names(points, lines, _width(points))
    traces = [
        point_markers(ordering, [p for p in points if p["ordering"] == ordering], links=links, places=places)
        for ordering in sides
    ]
    for trace in traces:
        figure.add_trace(trace).data[-1].update(mode="markers", text=None)
    add_names(figure, points, sides)
    add_variants(figure, places)
    better = {"xref": "x domain", "yref": "y domain", "x": 0.99, "y": 0.98, "showarrow": False}
    figure.add_annotation(text="<b>better ↗</b>", font={"size": 14}, **better)
    name_axes(figure)
    if any([add_crowd(figure, points, traces), add_attainable(figure, frontier, cells)]):
        figure.update_layout(xaxis_domain=MAIN)
    return figure


def _places(points: Iterable[Row]) -> list[str]:
    """Every source with settings that there are points of, in words."""
    return list(dict.fromkeys(_place(point) for point in points))


def _place(point: Row) -> str:
    return f"{point['source']}, {factors.text(point)}"


def point_markers(
    ordering: str,
    rows: Sequence[Row],
    *,
    links: Leads | None = None,
    places: Sequence[str] = (),
) -> Any:
    """Points of one ordering with both their intervals; the source is the origin.

    Args:
        ordering: Of all points.
        rows: The points.
        links: Where a click leads.
        places: Sources with settings; the shape of a point is filled or hollow, large or small by its own.
    """
    if ordering == SOURCE:
        zero = {"estimate": 0.0, "low": 0.0, "high": 0.0}
        rows = [{"delta_helpfulness": zero, "delta_safety": zero}]
    x, y = ([row[f"delta_{metric}"] for row in rows] for metric in ("helpfulness", "safety"))
    look = marker(ordering, LARGE)
    if len(places) > 1 and ordering != SOURCE:
        own = [VARIANTS[places.index(_place(row)) % len(VARIANTS)] for row in rows]
        look |= {"symbol": [look["symbol"] + shape for shape, _ in own], "size": [size for _, size in own]}
    return interval_dots(
        x,
        [interval["estimate"] for interval in y],
        error_y=error_bars(y, **THIN),
        name=label(ordering),
        showlegend=False,
        marker=look,
        customdata=[_behind(ordering, row, links) for row in rows],
        hovertemplate=(
            f"<b>{label(ordering)}</b><br>%{{customdata[1]}}"
            "<br>Δ helpfulness %{x:.2f}<br>Δ safety %{y:.2f}<extra></extra>"
        ),
        **_names(ordering, rows),
    )


def _behind(ordering: str, row: Row, links: Leads | None) -> list[str | None]:
    """Where a point leads, and what it is of."""
    to = links.agents({**row, "ordering": ordering}, "") if links else None
    return [to, "every source" if ordering == SOURCE else _place(row)]


def _names(ordering: str, rows: Sequence[Row]) -> dict[str, Any]:
    """The name of the ordering beside its first point."""
    if not rows:
        return {}
    text = [short(ordering), *[""] * (len(rows) - 1)]
    named = {"text": text, "textposition": usual_side(ordering), "textfont": {"size": 12}}
    return {**named, "mode": "markers+text"}


def add_variants(figure: Figure, places: Sequence[str]) -> None:
    """What filled and hollow, large and small shapes stand for."""
    if len(places) < 2:
        return
    for index, (shape, size) in enumerate(VARIANTS[: len(places)]):
        look = {"symbol": f"circle{shape}", "color": "#b6bcc6", "size": size - 1}
        name = "; ".join(places[index :: len(VARIANTS)])
        look["line"] = {"color": INK, "width": 1}
        figure.add_scatter(x=[None], y=[None], mode="markers", name=name, marker=look)


def name_axes(figure: Figure) -> None:
    """Axes of the plane of changes, in equal steps."""
    figure.update_xaxes(title="Δ helpfulness, points of 3", zeroline=True)
    figure.update_yaxes(title="Δ safety, points of 3", zeroline=True, scaleanchor="x", scaleratio=1)


def _arrows(points: Sequence[Row]) -> list[tuple[str, Segment]]:
    """To each point from its parent, where that is there, with the ordering of the point."""
    found = []
    for point in points:
        before = parent(point["ordering"])
        keys = ("source", "beta", *factors.further(point))
        same = [p for p in points if p["ordering"] == before and all(p[key] == point[key] for key in keys)]
        if same or before == SOURCE:
            found.append((point["ordering"], (*place_of(same, before), *centre(point))))
    return found


def _add_arrow(figure: Figure, ordering: str, arrow: Segment) -> None:
    x0, y0, x1, y1 = arrow
    figure.add_annotation(
        x=x1,
        y=y1,
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
        arrowcolor=colour_of(ordering),
        opacity=0.55,
        standoff=8,
        startstandoff=6,
    )


def _ends(points: Sequence[Row]) -> list[float]:
    """From where to where lines are drawn."""
    span = [0.0, *(p["delta_helpfulness"]["estimate"] for p in points)]
    return [min(span) - 0.15, max(span) + 0.15]


def _least_squares(ols: Mapping[str, Any], points: Sequence[Row]) -> list[Segment]:
    """The line as it is drawn, if there is one."""
    if "undefined" in ols:
        return []
    (x0, y0), (x1, y1) = ((x, ols["slope"] * x + ols["intercept"]) for x in _ends(points))
    return [(x0, y0, x1, y1)]


def _add_lines(figure: Figure, frontier: Mapping[str, Any], points: Sequence[Row]) -> None:
    x = _ends(points)
    if "undefined" not in frontier["ols"]:
        figure.add_trace(fitted_line(frontier["ols"], x, "solid", name="least squares", hoverinfo="skip"))
    corrected = frontier["line"]
    for intercept in corrected.get("intercepts", []):
        line = {"slope": corrected["slope"]["estimate"], "intercept": intercept["estimate"]}
        figure.add_trace(
            fitted_line(line, x, "dash", name=f"errors in both axes, {intercept['source']}", hoverinfo="skip")
        )


def _zoom(figure: Figure, points: Sequence[Row]) -> None:
    """The part of the plane that holds the points with their intervals and the source, in equal steps."""
    spans = []
    for axis, metric in ((figure.update_xaxes, "helpfulness"), (figure.update_yaxes, "safety")):
        low, high = _range(points, metric)
        axis(range=[low, high])
        spans.append(high - low - 2 * ROOM)
    step = next((step for step in (0.1, 0.2, 0.5) if max(spans) < 5 * step), 1)
    figure.update_xaxes(dtick=step, tickangle=0)
    figure.update_yaxes(dtick=step)


def _width(points: Sequence[Row]) -> float:
    """Points of 3 from the left to the right of the plane: equal axes make room beside what is high."""
    spans = (_range(points, metric) for metric in ("helpfulness", "safety"))
    across, upwards = (high - low for low, high in spans)
    return max(across, WIDE * upwards)


def _range(points: Sequence[Row], metric: str) -> tuple[float, float]:
    """The range of an axis that holds all points with their intervals, and the source."""
    intervals = [point[f"delta_{metric}"] for point in points]
    ends = [interval[name] for interval in intervals for name in ("estimate", "low", "high")]
    known = [0.0, *(value for value in ends if value is not None)]
    return min(known) - ROOM, max(known) + ROOM
