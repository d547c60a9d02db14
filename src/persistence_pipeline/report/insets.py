"""Insets beside the frontier: the points that crowd, drawn larger, and the whole plane with what is attainable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from persistence_pipeline.orderings import SOURCE, colour_of
from persistence_pipeline.records import METRICS
from persistence_pipeline.report.style import INK

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

Row = Mapping[str, Any]
MAIN = [0.0, 0.73]
"""The part of the width that the points keep where there are insets."""
COLUMN = [0.79, 1.0]
UPPER, LOWER = [0.56, 0.93], [0.05, 0.4]
CROWDED = 0.05
"""Points crowd where they are nearer to each other than this share of the plane that holds all of them."""
FRAME = {"showgrid": False, "zeroline": False, "showline": True, "mirror": True, "linecolor": INK}


def add_crowd(figure: Figure, points: Sequence[Row], traces: Iterable[Any]) -> bool:
    """The largest group of points that crowd, by itself, and a frame around it in the plane; whether there is one.

    Args:
        figure: The frontier.
        points: Of the frontier.
        traces: Their markers, to be drawn a second time.
    """
    places = [(_at(point, "helpfulness"), _at(point, "safety")) for point in points]
    group = _crowd(places)
    if len(group) < 2:
        return False
    x, y = (_around([place[axis] for place in group]) for axis in (0, 1))
    half = max(x[1] - x[0], y[1] - y[0]) / 2
    x, y = ([sum(ends) / 2 - half, sum(ends) / 2 + half] for ends in (x, y))
    for trace in traces:
        trace.update(xaxis="x3", yaxis="y3", showlegend=False, error_x_visible=False, error_y_visible=False)
        trace.update(textposition=f"{str(trace.textposition).split()[0]} center")
        figure.add_trace(trace)
    figure.update_layout(
        xaxis3={**FRAME, "domain": COLUMN, "anchor": "y3", "range": x, "nticks": 3, "tickfont": {"size": 10}},
        yaxis3={**FRAME, "domain": UPPER, "anchor": "x3", "range": y, "nticks": 3, "tickfont": {"size": 10}},
    )
    figure.update_layout(yaxis3={"scaleanchor": "x3", "scaleratio": 1})
    figure.add_shape(
        type="rect", x0=x[0], x1=x[1], y0=y[0], y1=y[1], line={"color": INK, "width": 1, "dash": "dot"}
    )
    _title(figure, "3", "enlarged")
    return True


def _crowd(places: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The largest group in which each point is near another one."""
    span = max((max(axis) - min(axis) for axis in zip(*places, (0.0, 0.0), strict=True)), default=0.0)
    groups: list[list[tuple[float, float]]] = []
    for place in places:
        near = [
            g
            for g in groups
            if any(max(abs(a - b) for a, b in zip(place, o, strict=True)) < CROWDED * span for o in g)
        ]
        groups = [*(g for g in groups if g not in near), [place, *(other for g in near for other in g)]]
    return max(groups, key=len, default=[])


def _around(values: Sequence[float]) -> list[float]:
    """The range of values with room around them."""
    room = 0.3 * (max(values) - min(values)) + 0.01
    return [min(values) - room, max(values) + room]


def add_attainable(figure: Figure, frontier: Row, cells: Sequence[Row]) -> bool:
    """The whole plane with the best that any agent could reach, against the mean of the sources; whether known."""
    sources = [c["splits"][frontier["split"]] for c in cells if c["ordering"] == SOURCE]
    vertices = frontier.get("attainable") or []
    if not (sources and vertices):
        return False
    base = {m: _mean(s[m] for s in sources) for m in METRICS}
    x = [0 - base["helpfulness"], *(v["helpfulness"] - base["helpfulness"] for v in vertices)]
    y = [vertices[0]["safety"] - base["safety"], *(v["safety"] - base["safety"] for v in vertices)]
    x.append(x[-1])
    y.append(0 - base["safety"])
    inset = {"xaxis": "x2", "yaxis": "y2", "hoverinfo": "skip", "showlegend": False}
    figure.add_scatter(x=x, y=y, mode="lines", line={"color": "#CC79A7", "width": 2, "dash": "dot"}, **inset)
    points = frontier["points"]
    dots = {"color": [colour_of(SOURCE), *(colour_of(point["ordering"]) for point in points)], "size": 5}
    figure.add_scatter(
        x=[0.0, *(_at(point, "helpfulness") for point in points)],
        y=[0.0, *(_at(point, "safety") for point in points)],
        mode="markers",
        marker=dots,
        **inset,
    )
    looks = {**FRAME, "showticklabels": False}
    figure.update_layout(
        xaxis2={**looks, "domain": COLUMN, "anchor": "y2"},
        yaxis2={**looks, "domain": LOWER, "anchor": "x2", "scaleanchor": "x2", "scaleratio": 1},
    )
    _title(figure, "2", "attainable")
    return True


def _title(figure: Figure, number: str, text: str) -> None:
    place = {"xref": f"x{number} domain", "yref": f"y{number} domain", "x": 0.5, "y": 1.02, "yanchor": "bottom"}
    figure.add_annotation(text=text, font={"size": 11}, showarrow=False, **place)


def _at(point: Row, metric: str) -> float:
    return float(point[f"delta_{metric}"]["estimate"])


def _mean(values: Iterable[float | None]) -> float:
    """Of the cells that have a score."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else float("nan")
