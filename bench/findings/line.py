"""The page on the line: the same study at several shares of conflicting hazards, and rival explanations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.findings._words import bullets, by_kind, described, said, table
from persistence_pipeline.analysis.competence import solved_by_source
from persistence_pipeline.analysis.frontier_summary import BOTH
from persistence_pipeline.report.answer import line_words
from persistence_pipeline.report.kit.text import DASH, interval_text, number

PREFIX = "line-"


def blocks(files: Mapping[str, Any]) -> dict[str, str]:
    """Runs, the line, its rivals and the report's own sentence at each share."""
    studies = sorted(
        (study for name, study in files.items() if name.startswith(PREFIX)),
        key=lambda s: s["run"]["conflict_share"],
    )
    if not studies:
        return {}
    return {
        "line-runs": bullets([f"{_share(study)}: {described(study['run'])}" for study in studies]),
        "line-table": lines(studies),
        "line-rivals": table(RIVALS, [_rivals(study) for study in studies]),
        "line-says": bullets([f"At {_share(study)}: {_words(study)}" for study in studies]),
    }


HEADER = (
    "`conflict_share`",
    "attainable helpfulness at safety 3",
    "R² without the points' errors",
    "slope",
    "points of safety off the line",
    "ΔSafety, ΔHelpfulness of S",
    "of H",
    "of both",
    "`both` above the line of the others",
)
RIVALS = (
    "`conflict_share`",
    "the source solves, of the solvable hazards",
    "of the kind it solves least",
    "`both` pairs on hazards, of the kind with fewest",
    "solved candidates in the pool, of the kind with fewest",
    "`both` below what is attainable, points of safety",
    "S below it",
)


def lines(studies: Sequence[Mapping[str, Any]]) -> str:
    """The line of each study, and where its agents lie."""
    return table(HEADER, [_line(study) for study in studies])


def _share(study: Mapping[str, Any]) -> str:
    return f"{study['run']['conflict_share']:g}"


def _line(study: Mapping[str, Any]) -> list[str]:
    frontier = study["numbers"]["frontier"]
    line = frontier["line"]
    points = {point["ordering"]: point for point in frontier["points"]}
    changes = [
        f"{interval_text(points[o]['delta_safety'])}, {interval_text(points[o]['delta_helpfulness'])}"
        if o in points
        else DASH
        for o in ("safety", "helpfulness", BOTH)
    ]
    none = line.get("undefined")
    fitted = [none, "", ""] if none else [interval_text(line[n], ".2f") for n in ("r2", "slope", "residual_sd")]
    height = points[BOTH]["height"] if BOTH in points else None
    best = number(frontier["attainable"][0]["helpfulness"])
    return [_share(study), best, *fitted, *changes, said(height) if height else DASH]


def _rivals(study: Mapping[str, Any]) -> list[str]:
    numbers = study["numbers"]
    points = {point["ordering"]: point for point in numbers["frontier"]["points"]}
    solved = " and ".join(number(share, ".0%") for share in solved_by_source(numbers["competence"]).values())
    kinds = by_kind(numbers["pool"], "on_hazards")
    able = {kind: found for kind, found in kinds.items() if found["solvable"]}
    least = min(able, key=lambda kind: able[kind]["solved"] / able[kind]["solvable"], default=None)
    rarest = min(able, key=lambda kind: able[kind]["solved"], default=None)
    fewest = min(kinds, key=lambda kind: kinds[kind][BOTH])
    return [
        _share(study),
        solved or DASH,
        f"{number(able[least]['solved'] / able[least]['solvable'], '.0%')} ({least})" if least else DASH,
        f"{kinds[fewest][BOTH]} ({fewest})",
        f"{able[rarest]['solved']} of {able[rarest]['solvable']} ({rarest})" if rarest else DASH,
        *(interval_text(points[ordering]["below"], ".2f") for ordering in (BOTH, "safety")),
    ]


def _words(study: Mapping[str, Any]) -> str:
    frontier = study["numbers"]["frontier"]
    line = frontier["line"]
    return (
        f"no line is fitted: {line['undefined']}."
        if "undefined" in line
        else f"{line_words(line, len(frontier['points'])).lower()}."
    )
