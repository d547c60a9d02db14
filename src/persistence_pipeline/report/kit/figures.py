"""Parts of figures in the shared style: an empty figure, panels, dots with intervals, fitted lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from persistence_pipeline.report.kit.text import Interval
from persistence_pipeline.report.style import AXIS, INK, layout

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

THIN = {"thickness": 1, "width": 0}
"""Error bars without caps, for figures with many of them."""


def new_figure(**further: Any) -> Figure:
    """An empty figure; ``further`` is layout."""
    from plotly.graph_objects import Figure

    return Figure(layout=layout(**further))


def new_panels(
    titles: Sequence[str],
    height: int,
    cols: int = 2,
    *,
    top: int = 80,
    bottom: int = 40,
    legend: int = 28,
    **grid: Any,
) -> Figure:
    """An empty figure of panels, row by row; the legend stands ``legend`` pixels above them.

    Args:
        titles: Of every panel.
        height: Of the figure, in pixels, with margins of ``top`` and ``bottom``.
        cols: Panels in a row.
        top, bottom, legend: Pixels.
        grid: What else plotly's ``make_subplots`` takes.
    """
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=-(-len(titles) // cols), cols=cols, subplot_titles=titles, **grid)
    figure.update_layout(layout(height=height, margin={"l": 60, "r": 20, "t": top, "b": bottom}))
    figure.update_layout(legend_y=1 + legend / (height - top - bottom))
    figure.update_annotations(font_size=13)
    figure.update_xaxes(**AXIS)
    figure.update_yaxes(**AXIS)
    return figure


def error_bars(intervals: Sequence[Interval], **looks: Any) -> dict[str, Any]:
    """Plotly's error bars of intervals; none where an interval has no bounds."""

    def lengths(bound: str) -> list[float]:
        known = [(one.get(bound), one["estimate"]) for one in intervals]
        return [0.0 if None in (value, middle) else abs(value - middle) for value, middle in known]

    return {"type": "data", "array": lengths("high"), "arrayminus": lengths("low"), **looks}


def interval_dots(
    intervals: Sequence[Interval], y: Sequence[Any], bars: Mapping[str, Any] = THIN, **further: Any
) -> Any:
    """A dot for each interval at its height ``y``, with a horizontal error bar; ``further`` is of the trace."""
    from plotly.graph_objects import Scatter

    estimates = [interval["estimate"] for interval in intervals]
    return Scatter(x=estimates, y=y, error_x=error_bars(intervals, **bars), **{"mode": "markers", **further})


def fitted_line(line: Mapping[str, float], x: Sequence[float], dash: str = "solid", **further: Any) -> Any:
    """The part of a line (``slope, intercept``) over ``x``; ``further`` is of the trace."""
    from plotly.graph_objects import Scatter

    y = [line["slope"] * value + line["intercept"] for value in x]
    return Scatter(x=x, y=y, mode="lines", line={"dash": dash, "color": INK, "width": 1.5}, **further)
