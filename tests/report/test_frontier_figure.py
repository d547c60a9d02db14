"""The figure of the frontier: what is told apart by shape, what is named, where a point leads."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from tests.browsers import Open
from tests.report.conftest import Study

from persistence_pipeline.orderings import label
from persistence_pipeline.report.frontier import LARGE, SMALL, frontier_figure
from persistence_pipeline.report.links import Links
from persistence_pipeline.report.names import box_of, overlap, place_names, place_of, short

NAMES = """() => {
  const plot = document.getElementById("plot-frontier");
  const { data, _fullLayout: { xaxis, yaxis } } = plot;
  const { left, top } = plot.getBoundingClientRect();
  const place = ({ name, x, y }) => ({
    of: name, x: left + xaxis._offset + xaxis.d2p(x[0]), y: top + yaxis._offset + yaxis.d2p(y[0]),
  });
  const points = data.filter((t) => t.mode === "markers" && t.customdata).map(place);
  const dot = ({ x, y }) => ({ left: x, right: x, top: y, bottom: y });
  const apart = (a, b) => Math.hypot(
    Math.max(a.left - b.right, 0, b.left - a.right), Math.max(a.top - b.bottom, 0, b.top - a.bottom),
  );
  return [...plot.querySelectorAll(".annotation")].flatMap((note) => {
    const line = note.querySelector(".annotation-arrow-g path")?.getBoundingClientRect();
    const name = note.querySelector(".annotation-text-g text");
    if (!line || !name?.textContent) return [];
    const [near] = points.map((p) => [apart(line, dot(p)), p.of]).sort((a, b) => a[0] - b[0]);
    const long = Math.hypot(line.width, line.height);
    return [[name.textContent, near[1], near[0], apart(line, name.getBoundingClientRect()), long]];
  });
}"""
"""Names in the plane, to whose point the line of each leads; pixels from line to point and to name, its length."""


def _sides(figure: Any) -> dict[str, str]:
    """By name, on which side of its point it stands."""
    named = [note for note in figure.layout.annotations if note.arrowhead == 0]
    return {n.text: f"{'top' if n.ay < 0 else 'bottom'} {'right' if n.ax > 0 else 'left'}" for n in named}


def test_sources_and_settings_have_shapes_of_their_own(scripted_study: Study) -> None:
    summary = copy.deepcopy(scripted_study.summary)
    points, cells = summary["frontier"]["points"], summary["cells"]
    points += [{**point, "beta": beta} for beta in (0.2, 0.3, 0.4) for point in points]
    cells += [{**cell, "beta": 0.2, "cell": f"{cell['cell']}_b"} for cell in cells if cell["ordering"] != "source"]
    figure = frontier_figure(summary["frontier"], cells, Links(cells, summary["frontier"]["split"]))
    traces = {trace.name: trace for trace in figure.data if trace.name}
    looks = traces["safety"].marker
    assert list(looks.symbol) == ["square", "square-open"] * 2, "a dot within a shape is hardly seen"
    assert list(looks.size) == [LARGE, LARGE, SMALL, SMALL]
    assert traces["llama, beta 0.1"].marker.symbol == "circle" and traces["llama, beta 0.2"].showlegend is None
    first, second, *_ = (row[0] for row in traces["safety"].customdata)
    assert "cells=llama_b0p1_s0_safety&" in first and "cells=llama_b0p1_s0_safety_b&" in second


def test_one_place_has_the_orderings_own_shapes_and_names(scripted_study: Study) -> None:
    summary = scripted_study.summary
    figure = frontier_figure(summary["frontier"], summary["cells"], Links(summary["cells"], "test_combination"))
    traces = {trace.name: trace for trace in figure.data if trace.name}
    assert traces["safety"].marker.symbol == "square"
    assert set(_sides(figure)) == {"source", "S", "H", "both", "S > H", "H > S"}
    assert figure.layout.yaxis.scaleanchor == "x" and figure.layout.yaxis.scaleratio == 1


def _placed(study: Study, places: dict[str, tuple[float, float]], slope: float | None = None) -> dict[str, str]:
    """Where names stand when the study's points lie there, with a fitted line or without."""
    frontier = copy.deepcopy(study.summary["frontier"])
    frontier["ols"] = {"undefined": "no line"} if slope is None else {"slope": slope, "intercept": 0.0}
    for point in frontier["points"]:
        for metric, value in zip(("helpfulness", "safety"), places[point["ordering"]], strict=True):
            point[f"delta_{metric}"] |= {"estimate": value, "low": value - 0.2, "high": value + 0.2}
    return _sides(frontier_figure(frontier, study.summary["cells"]))


CROWD = {"safety": (-0.06, 0.24), "helpfulness": (0.3, -0.07), "both": (0.34, 0.155)} | {
    "safety>helpfulness": (0.26, 0.17),
    "helpfulness>safety": (0.235, 0.18),
}
"""As in the default study: S>H lies beside both, whose name its own would cover."""
FALLING = {"safety": (-0.7, 0.47), "helpfulness": (0.95, -0.61), "both": (0.4, 0.6)} | {
    "safety>helpfulness": (0.75, -0.5),
    "helpfulness>safety": (0.47, -0.2),
}
"""As in the pretrained study: a falling line, along which all arrows run."""


def test_names_of_points_near_each_other_stand_apart(scripted_study: Study) -> None:
    sides = _placed(scripted_study, CROWD)
    assert len({sides[name] for name in ("both", "S > H", "H > S")}) == 3, sides


GRID = {
    "safety": [(-0.15, 0.34), (-0.11, 0.25)],
    "safety>helpfulness": [(0.0, 0.26), (0.0, 0.25), (0.21, 0.18)],
    "helpfulness>safety": [(0.0, 0.28), (0.0, 0.25), (0.2, 0.19)],
    "both": [(0.32, 0.15)],
    "helpfulness": [(0.14, -0.06), (0.31, -0.12)],
}
"""As in the grid: around H>S all near places are taken, by points or by names."""


def test_where_no_near_place_is_free_a_name_stands_further_away() -> None:
    def interval(value: float) -> dict[str, float]:
        return {"estimate": value, "low": value - 0.1, "high": value + 0.1}

    points = [
        {"ordering": ordering, "delta_helpfulness": interval(x), "delta_safety": interval(y)}
        for ordering, places in GRID.items()
        for x, y in places
    ]
    sides = place_names(points, [], 1.6)
    boxes = [box_of(place_of(points, name), side, len(short(name)), 1.6) for name, side in sides.items()]
    dots = [(x, y, x, y) for places in GRID.values() for x, y in places]
    for index, box in enumerate(boxes):
        assert not any(overlap(box, other) for other in [*boxes[:index], *dots]), sides
    assert {side.startswith("far") for side in sides.values()} == {True, False}


def test_names_keep_off_arrows(scripted_study: Study) -> None:
    sides = _placed(scripted_study, FALLING, -0.65)
    assert {sides["S"], sides["H"], sides["source"]} <= {"top right", "bottom left"}, sides


def test_a_line_leads_from_each_name_to_its_point(open_page: Open) -> None:
    page = open_page()
    page.wait_for_selector("#plot-frontier .main-svg")
    words = {"S": "safety", "H": "helpfulness"}
    found = page.evaluate(NAMES)
    assert {name for name, *_ in found} == {"source", "both", "S", "H", "S > H", "H > S"}
    for name, of, to_point, to_name, long in found:
        assert of == " > ".join(words.get(part, part) for part in name.split(" > ")), found
        assert to_point < 10 and to_name < 4 and 8 < long < 30, found


@pytest.mark.parametrize(("apart", "crowded"), [(0.02, True), (0.4, False)])
def test_points_that_crowd_are_drawn_a_second_time_enlarged(
    scripted_study: Study, apart: float, crowded: bool
) -> None:
    frontier = copy.deepcopy(scripted_study.summary["frontier"])
    for place, point in enumerate(frontier["points"]):
        for metric in ("safety", "helpfulness"):
            point[f"delta_{metric}"] |= {"estimate": 0.5 * place, "low": None, "high": None}
    for metric in ("safety", "helpfulness"):
        middle = frontier["points"][1][f"delta_{metric}"]["estimate"]
        frontier["points"][2][f"delta_{metric}"]["estimate"] = middle + apart
    figure = frontier_figure(frontier, scripted_study.summary["cells"])
    titles = [note.text for note in figure.layout.annotations]
    assert ("enlarged" in titles) == crowded and "attainable" in titles
    enlarged = [trace for trace in figure.data if trace.xaxis == "x3" and len(trace.x)]
    if crowded:
        low, high = figure.layout.xaxis3.range
        inside = [trace.name for trace in enlarged if low <= trace.x[0] <= high]
        assert inside == [label(frontier["points"][n]["ordering"]) for n in (1, 2)]
        assert figure.layout.yaxis3.scaleanchor == "x3", "equal steps there, too"
