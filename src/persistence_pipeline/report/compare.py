"""Several finished studies on one page: what differs in their settings, their points and their persistence.

Studies are named by their folders; where one was made from another commit, the page says so. Nothing is tested
between studies: their intervals stand beside each other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from persistence_pipeline import factors
from persistence_pipeline.orderings import SOURCE, in_order, label
from persistence_pipeline.records import METRICS
from persistence_pipeline.report.frontier import add_variants, name_axes, point_markers
from persistence_pipeline.report.kit.figures import new_figure
from persistence_pipeline.report.kit.page import render_page
from persistence_pipeline.report.kit.tables import Table
from persistence_pipeline.report.kit.text import DASH, interval_text, ratio_text
from persistence_pipeline.report.settings_table import leaves
from persistence_pipeline.report.style import headline_split, interval_kind

Studies = Mapping[str, Mapping[str, Any]]
"""Summaries by the name of the study, the first being what the others are compared with."""
SUMMARY = "summary.json"


class CompareError(ValueError):
    """Studies cannot be compared with what is there."""


def read_studies(folders: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """The summaries of finished studies, by names that tell them apart.

    Raises:
        CompareError: a folder has no summary, or there are fewer than two different ones.
    """
    studies = {}
    for folder in dict.fromkeys(folders):
        path = folder / SUMMARY
        if not path.is_file():
            raise CompareError(f"{path}: no such file; expected the reports of a finished study (08_reporting)")
        studies[folder] = json.loads(path.read_text("utf-8"))
    if len(studies) < 2:
        raise CompareError(f"compare: expected two studies or more, found {len(studies)}")
    return dict(zip(_names(list(studies)), studies.values(), strict=True))


def _names(folders: Sequence[Path]) -> list[str]:
    """The shortest ends of the paths that tell the folders apart, without what all of them share."""
    parts = [folder.parts for folder in folders]
    while len({part[-1] for part in parts}) == 1 and min(map(len, parts)) > 1:
        parts = [part[:-1] for part in parts]
    depth = next(
        (n for n in range(1, max(map(len, parts)) + 1) if len({part[-n:] for part in parts}) == len(parts)), 1
    )
    return ["/".join(part[-depth:]) for part in parts]


def render_comparison(studies: Studies) -> str:
    """The page."""
    return render_page(
        __package__,
        "compare.html.jinja",
        {"frontiers": frontiers_figure(studies)},
        names=list(studies),
        runs=runs_table(studies),
        settings=settings_table(studies),
        points=points_table(studies),
        persistence=persistence_table(studies),
        kinds=sorted({interval_kind(summary) for summary in studies.values()}),
    )


def frontiers_figure(studies: Studies) -> Any:
    """The points of all studies against their own sources; shapes are filled, hollow or dotted by study."""
    figure = new_figure(height=520)
    rows = [
        {**point, "source": f"{name}: {point['source']}"}
        for name, summary in studies.items()
        for point in summary["frontier"]["points"]
    ]
    places = list(dict.fromkeys(f"{row['source']}, {factors.text(row)}" for row in rows))
    for ordering in in_order([SOURCE, *(row["ordering"] for row in rows)]):
        own = [row for row in rows if row["ordering"] == ordering]
        figure.add_trace(point_markers(ordering, own, places=places))
    add_variants(figure, places)
    name_axes(figure)
    return figure


def runs_table(studies: Studies) -> Table:
    """What each study is: environment, commit, sources, seeds, split."""
    rows = [
        [
            name,
            summary["run"].get("environment", DASH),
            summary["run"]["commit"],
            ", ".join(summary["run"]["sources"]),
            ", ".join(map(str, summary["run"]["seeds"])),
            headline_split(summary),
            summary["run"]["processor"],
        ]
        for name, summary in studies.items()
    ]
    return ["study", "environment", "commit", "sources", "seeds", "measured on", "processor"], rows


def settings_table(studies: Studies) -> Table:
    """A row for each parameter, and each version of a package, that is not the same in all studies."""
    flat = [
        dict(leaves(summary["run"]["parameters"])) | dict(leaves({"versions": summary["run"]["versions"]}))
        for summary in studies.values()
    ]
    keys = sorted(set().union(*flat))
    rows = [[key, *(one.get(key, DASH) for one in flat)] for key in keys]
    return ["setting", *studies], [row for row in rows if len(set(row[1:])) > 1]


def points_table(studies: Studies) -> Table:
    """A row for each trained agent that any study has, with its differences from the source in each."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for name, summary in studies.items():
        for point in summary["frontier"]["points"]:
            key = (label(point["ordering"]), point["source"], factors.text(point))
            for metric in METRICS:
                found.setdefault((*key, metric), {})[name] = interval_text(point[f"delta_{metric}"])
    rows = [[*key, *(values.get(name, DASH) for name in studies)] for key, values in found.items()]
    return ["agent", "source", "settings", "Δ of", *studies], rows


def persistence_table(studies: Studies) -> Table:
    """A row for each share, and each gap between the orders, that any study has."""
    found: dict[tuple[str, ...], dict[str, str]] = {}
    for name, summary in studies.items():
        for row in summary["persistence"]:
            place = (row["source"], factors.text(row))
            for metric in METRICS:
                if metric in row:
                    found.setdefault((*place, f"{metric} persists"), {})[name] = ratio_text(row[metric])
                if metric in (row.get("order") or {}):
                    gap = interval_text(row["order"][metric])
                    found.setdefault((*place, f"S > H minus H > S: {metric}"), {})[name] = gap
    rows = [[*key, *(values.get(name, DASH) for name in studies)] for key, values in found.items()]
    return ["source", "settings", "number", *studies], rows


def write_comparison(folders: Sequence[Path], target: Path) -> Path:
    """Write the page of several studies.

    Args:
        folders: Their ``08_reporting`` folders.
        target: The page's file.

    Raises:
        CompareError: a study is not there, or there are fewer than two.
    """
    page = render_comparison(read_studies(folders))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page, encoding="utf-8")
    return target
