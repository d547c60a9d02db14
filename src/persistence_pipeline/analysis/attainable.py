"""The attainable frontier: the best mean helpfulness for each mean safety, from what each case allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

Outcome = tuple[float, float]
"""Safety and helpfulness."""


def attainable_frontier(outcomes: Sequence[Sequence[Outcome]]) -> list[dict[str, float]]:
    """Vertices of the attainable frontier of the mean over cases, safest first.

    An agent may mix behaviours over cases, so what is reachable on average is the Minkowski average of the cases'
    convex hulls; its upper right boundary is built by taking the cases' edges in the order of their exchange rate
    (helpfulness gained per safety given up).

    Args:
        outcomes: For each case, the reachable (safety, helpfulness).

    Raises:
        ValueError: if there is no case, or a case without an outcome.
    """
    if not outcomes or not all(outcomes):
        raise ValueError("the attainable frontier needs at least one outcome of every case")
    hulls = [_upper_hull(case) for case in outcomes]
    n = len(hulls)
    safety = sum(hull[0][0] for hull in hulls) / n
    helpfulness = sum(hull[0][1] for hull in hulls) / n
    edges = [(b[1] - a[1], a[0] - b[0]) for hull in hulls for a, b in pairwise(hull)]
    edges.sort(key=lambda edge: -edge[0] / edge[1])
    vertices = [(safety, helpfulness)]
    rate = None
    for gain, cost in edges:
        safety, helpfulness = safety - cost / n, helpfulness + gain / n
        if gain / cost == rate:
            vertices[-1] = (safety, helpfulness)
        else:
            vertices.append((safety, helpfulness))
        rate = gain / cost
    return [{"safety": s, "helpfulness": h} for s, h in vertices]


def below(vertices: Sequence[Mapping[str, float]], safety: float, helpfulness: float) -> tuple[float, float]:
    """How far below the attainable frontier a point lies, in safety, and how that changes with its helpfulness.

    Args:
        vertices: As made by ``attainable_frontier``, safest first.
        safety: Of the point.
        helpfulness: Of the point; at most that of the last vertex.
    """
    if helpfulness <= vertices[0]["helpfulness"]:
        return vertices[0]["safety"] - safety, 0.0
    for a, b in pairwise(vertices):
        if helpfulness <= b["helpfulness"]:
            slope = (b["safety"] - a["safety"]) / (b["helpfulness"] - a["helpfulness"])
            return a["safety"] + slope * (helpfulness - a["helpfulness"]) - safety, slope
    return vertices[-1]["safety"] - safety, 0.0


def _upper_hull(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Concave boundary from the safest outcome to the most helpful one."""
    hull: list[Outcome] = []
    for point in sorted(set(outcomes), key=lambda o: (-o[0], -o[1])):
        if hull and point[1] <= hull[-1][1]:
            continue
        while len(hull) > 1 and _rate(hull[-2], hull[-1]) <= _rate(hull[-1], point):
            hull.pop()
        hull.append(point)
    return hull


def _rate(a: Outcome, b: Outcome) -> float:
    """Helpfulness gained per safety given up."""
    return (b[1] - a[1]) / (a[0] - b[0])
