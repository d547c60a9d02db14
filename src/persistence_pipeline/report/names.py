"""Names beside the points of the frontier: what they are, on which side they stand, the line to the point."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from persistence_pipeline.orderings import SOURCE, colour_of, in_order, label, stages

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

Row = Mapping[str, Any]
Segment = tuple[float, float, float, float]
"""From x, y to x, y."""
Box = tuple[float, float, float, float]
"""Left, lower, right and upper end."""
NEAR = ("top right", "bottom right", "top left", "bottom left")
SIDES = (*NEAR, *(f"far {side}" for side in NEAR))
FURTHER = 2.3
"""The way to a name that is far over the way to one that is near."""
LETTER, LINE, DOT, LEADER = 0.02, 0.05, 0.02, 0.035
"""Width of a letter, height of a name, half a point, way from it to its name: shares of the plane's width."""
ASIDE, ABOVE, EDGE = 18, 14, 7
"""Pixels from a point to its name, sideways and upwards or downwards, and to the line between them. Not at 45
degrees: there plotly takes the point to be within the name, and draws no line."""
SHORT = {"safety": "S", "helpfulness": "H", "both": "both"}
STEPS = 40
"""Places on a line that are looked at."""


def short(ordering: str) -> str:
    """The ordering as it stands beside its point: ``S > H``."""
    return label(ordering).replace("safety", SHORT["safety"]).replace("helpfulness", SHORT["helpfulness"])


def usual_side(ordering: str) -> str:
    """Where the name stands: by the first stage above or below, by the last to the left or to the right."""
    sequence = stages(ordering)
    if not sequence:
        return "bottom right"
    return (
        f"{'bottom' if sequence[0] == 'helpfulness' else 'top'} {'left' if sequence[-1] == 'safety' else 'right'}"
    )


def place_names(points: Sequence[Row], lines: Sequence[Segment], width: float) -> dict[str, str]:
    """Where the name of each ordering stands: where it covers no point and no name, and is crossed least.

    Of equal sides that of its stages is taken; far from its point it stands where no side is free.

    Args:
        points: With their intervals; the source is the origin.
        lines: Other lines of the plane.
        width: Of the plane.
    """
    at = {ordering: place_of(points, ordering) for ordering in [SOURCE, *(point["ordering"] for point in points)]}
    drawn = [*lines, *(bar for point in points for bar in _bars(point))]
    dot = DOT * width
    dots = [(0.0, 0.0), *map(centre, points)]
    taken = [(x - dot, y - dot, x + dot, y + dot) for x, y in dots]
    sides: dict[str, str] = {}
    for ordering in in_order(at):
        wanted = dict.fromkeys([usual_side(ordering), *SIDES])
        boxes = {side: box_of(at[ordering], side, len(short(ordering)), width) for side in wanted}
        free = [side for side, box in boxes.items() if not any(overlap(box, other) for other in taken)]
        near = [side for side in free if side in NEAR]
        sides[ordering] = _least_crossed(near or free or list(boxes), at[ordering], boxes, drawn, dot)
        taken.append(boxes[sides[ordering]])
    return sides


def _least_crossed(
    sides: Sequence[str], at: tuple[float, float], boxes: Mapping[str, Box], lines: Sequence[Segment], dot: float
) -> str:
    """The side on which the fewest lines cross a name or the way to it; the first of several."""

    def n_crossing(side: str) -> int:
        left, lower, right, upper = boxes[side]
        x = at[0] + (dot if "right" in side else -dot)
        y = at[1] + (dot if "top" in side else -dot)
        whole = min(left, x), min(lower, y), max(right, x), max(upper, y)
        return sum(_crosses(line, whole) for line in lines)

    return min(sides, key=n_crossing)


def centre(point: Row) -> tuple[float, float]:
    """Where a point lies."""
    return point["delta_helpfulness"]["estimate"], point["delta_safety"]["estimate"]


def place_of(points: Sequence[Row], ordering: str) -> tuple[float, float]:
    """Where the first point of an ordering lies; that of the source is the origin."""
    return next((centre(point) for point in points if point["ordering"] == ordering), (0.0, 0.0))


def _bars(point: Row) -> Iterator[Segment]:
    """The intervals of a point."""
    x, y = point["delta_helpfulness"], point["delta_safety"]
    if x.get("low") is not None:
        yield x["low"], y["estimate"], x["high"], y["estimate"]
    if y.get("low") is not None:
        yield x["estimate"], y["low"], x["estimate"], y["high"]


def _crosses(line: Segment, box: Box) -> bool:
    x0, y0, x1, y1 = line
    left, lower, right, upper = box
    on = ((x0 + (x1 - x0) * step / STEPS, y0 + (y1 - y0) * step / STEPS) for step in range(STEPS + 1))
    return any(left <= x <= right and lower <= y <= upper for x, y in on)


def add_names(figure: Figure, points: Sequence[Row], sides: Mapping[str, str]) -> None:
    """The name of each ordering with a line to its point, whatever intervals and arrows pass between them.

    Args:
        figure: A plane.
        points: Of the orderings.
        sides: By ordering, where the name stands.
    """
    for ordering in sides:
        x, y = place_of(points, ordering)
        up, right, reach = "top" in sides[ordering], "right" in sides[ordering], _reach(sides[ordering])
        figure.add_annotation(
            x=x,
            y=y,
            ax=reach * (ASIDE if right else -ASIDE),
            ay=reach * (-ABOVE if up else ABOVE),
            xanchor="left" if right else "right",
            yanchor="bottom" if up else "top",
            text=short(ordering),
            font={"size": 12},
            borderpad=0,
            showarrow=True,
            arrowhead=0,
            arrowwidth=1.5,
            arrowcolor=colour_of(ordering),
            standoff=EDGE,
        )


def _reach(side: str) -> float:
    return FURTHER if side.startswith("far") else 1


def box_of(at: tuple[float, float], side: str, letters: int, width: float) -> Box:
    """A name beside a point."""
    x, y = at
    long, high, away = LETTER * letters * width, LINE * width, LEADER * width * _reach(side)
    left = x + away if "right" in side else x - away - long
    lower = y + away if "top" in side else y - away - high
    return left, lower, left + long, lower + high


def overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Whether two boxes have a point in common that is on no edge."""
    return all(one[axis] < other[axis + 2] and other[axis] < one[axis + 2] for axis in (0, 1))
