"""The page on the pretrained model: what its study says, beside the tiny agents and the published study."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from bench.findings import line, results, run
from bench.findings._words import (
    PRETRAINED,
    SECOND,
    SMALLER,
    UNABLE,
    by_kind,
    described,
    place,
    table,
    varied,
)
from persistence_pipeline.analysis.frontier_summary import BOTH
from persistence_pipeline.orderings import SOURCE, label
from persistence_pipeline.records import METRICS, OBJECTIVES
from persistence_pipeline.report.kit.text import DASH, interval_text, number, ratio_text
from persistence_pipeline.report.published import FRONTIER, PERSISTENCE

STUDIES = {
    PRETRAINED: "pretrained",
    SMALLER: "pretrained, smaller, another source",
    SECOND: "pretrained, smaller, the same source",
    UNABLE: "pretrained, smaller, a source that cannot",
    "grid": "tiny, the grid",
    "base": "tiny, the default study",
}
"""What stands side by side, by the name of its file."""


def blocks(files: Mapping[str, Any]) -> dict[str, str]:
    """The study, and all studies side by side."""
    shown = _study(files, PRETRAINED, "")
    return shown and shown | {"pretrained-beside": _beside(files)}


def smaller(files: Mapping[str, Any]) -> dict[str, str]:
    """The smaller study, one chain of it from the larger one's source, and an earlier one whose source cannot."""
    others = _another(files, SECOND, "second") | _another(files, UNABLE, "unable")
    return _study(files, SMALLER, "smaller-") | others


def _study(files: Mapping[str, Any], name: str, mark: str) -> dict[str, str]:
    """Run, sentences, agents, persistence, line, source by kind and language of a study, if there."""
    study = files.get(name)
    if study is None:
        return {}
    numbers = study["numbers"]
    shown = {
        "run": described(study["run"]),
        "says": results.sentences(study),
        "agents": run.agents(study),
        "persistence": results.persistence(numbers["persistence"]),
        "line": line.lines([study]),
        "source": _source(numbers["competence"], numbers["pool"]),
        "language": _language(study),
    }
    return {f"pretrained-{mark}{part}": text for part, text in shown.items()}


def _another(files: Mapping[str, Any], name: str, mark: str) -> dict[str, str]:
    """Run and agents of another study of the model, if there."""
    if name not in files:
        return {}
    shown = {"run": described(files[name]["run"]), "agents": run.agents(files[name])}
    return {f"pretrained-{mark}-{part}": text for part, text in shown.items()}


def stages(files: Mapping[str, Any]) -> dict[str, str]:
    """What agents make of the pairs of either objective, in the study and in the smaller one."""
    marks = {PRETRAINED: "pretrained-stages", SMALLER: "pretrained-smaller-stages"}
    return {
        mark: _stages(files[name], files.get(f"{name}-margins")) for name, mark in marks.items() if name in files
    }


def _stages(study: Mapping[str, Any], read: Mapping[str, Any] | None) -> str:
    """Change of the mean margin of an objective's pairs from the source, by agent: mean and range of the chains.

    Reports of stages have the pairs of the last stage; ``read``, of ``bench margins``, those of other objectives.
    """
    reports = {stage["cell"]: stage for stage in study["numbers"]["stages"]}
    others = {(row["cell"], row["objective"]): row["margin"] for row in read["numbers"]["margins"]} if read else {}
    cells = {(cell["ordering"], cell["seed"]): cell["cell"] for cell in study["cells"]}
    shown = []
    for own, other in (METRICS, METRICS[::-1]):
        chains = []
        for seed in study["run"]["seeds"]:
            alone, last = (reports[cells[ordering, seed]] for ordering in (own, f"{other}>{own}"))
            margins = [alone["after"], last["before"], last["after"]]
            margins += [others.get((cells.get((ordering, seed)), own)) for ordering in (f"{own}>{other}", BOTH)]
            chains.append(_added([None if value is None else value - alone["before"] for value in margins]))
        *changes, persists = zip(*chains, strict=True)
        shown.append([label(own), *(_mean(chain, "+.2f") for chain in changes), _mean(persists, ".2f")])
    alone, staged = ["own stage", "the other", "the two added"], ["the other, then own", "own, then the other"]
    return table(["pairs of", *alone, *staged, "both at once", "persists"], shown)


def _added(changes: Sequence[float | None]) -> list[float | None]:
    """With the sum of the first two after them, and what persists of the first after the second at the end."""
    own, other, last, first, both = changes
    persists = None if first is None else (first - other) / (own - other)
    return [own, other, own + other, last, first, both, persists]


def _mean(values: Sequence[float | None], form: str) -> str:
    """Mean of the chains, and between which numbers they lie; a dash where one of them is not there."""
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return DASH
    mean = number(fmean(known), form)
    return f"{mean} ({_range(known, form)})" if len(known) > 1 else mean


def _range(values: Sequence[float], form: str) -> str:
    """Between which numbers the chains lie."""
    ends = [number(end, form) for end in sorted({min(values), max(values)})]
    return " to ".join(ends)


def _source(competence: Sequence[Mapping[str, Any]], pools: Sequence[Mapping[str, Any]]) -> str:
    """What the source's candidates hold of each kind of hazard, over all chains."""
    kinds = by_kind(pools, "pairs")
    every = sum(kinds.values(), Counter())
    made = [objective for objective in OBJECTIVES if every[objective]]
    shown = [
        [name, f"{kind['solved']} of {kind['solvable']}", _share(kind), *(str(kind[o]) for o in made)]
        for name, kind in [*sorted(kinds.items()), ("all", every)]
    ]
    invalid = fmean(row["invalid_rate"] for row in competence)
    header = ["kind", "candidates at best of both", "share", *(f"{label(o)} pairs" for o in made)]
    return f"{table(header, shown)}\n\nOf the calls in these candidates {number(invalid, '.1%')} are invalid."


def _share(kind: Mapping[str, int]) -> str:
    return number(kind["solved"] / kind["solvable"], ".1%") if kind["solvable"] else DASH


def _language(study: Mapping[str, Any]) -> str:
    """Invalid calls in the test, and the perplexity of plain text, where it was read, over that of the source."""
    rows = study["numbers"].get("plain_text", [])
    before = {row["seed"]: row["perplexity"] for row in rows if row["ordering"] == SOURCE}
    shown = []
    for ordering in dict.fromkeys(row["ordering"] for row in rows):
        own = [row for row in rows if row["ordering"] == ordering]
        times = [row["perplexity"] / before[row["seed"]] for row in own]
        invalid = fmean(cell["invalid_rate"] for cell in study["cells"] if cell["ordering"] == ordering)
        perplexity = number(fmean(row["perplexity"] for row in own))
        shown.append([label(ordering), number(invalid, ".1%"), perplexity, _range(times, ".3f")])
    return table(["agent", "invalid calls", "perplexity of plain text", "times its source's, by chain"], shown)


def _beside(files: Mapping[str, Any]) -> str:
    shown = [row for name, words in STUDIES.items() if name in files for row in _rows(words, files[name])]
    for beta, kept in PERSISTENCE.items():
        shares = [number(kept[metric], ".3f") for metric in METRICS]
        r2 = number(FRONTIER["r2"]) if beta == min(PERSISTENCE) else DASH
        shown.append([f"published, beta {beta:g}", "1", *shares, DASH, DASH, DASH, r2, DASH])
    shares, gaps = ([f"{metric}{words}" for metric in METRICS] for words in (" persists", ", gap of the orders"))
    header = ["agents", "chains", *shares, *gaps, "twins told apart, S > H minus source"]
    return table([*header, "R²", "points off the line"], shown)


def _rows(words: str, study: Mapping[str, Any]) -> Iterator[list[str]]:
    numbers = study["numbers"]
    rows, fitted = numbers["persistence"], numbers["frontier"]["line"]
    columns = varied(rows)
    care = {place(row, columns): row["safety"]["changes"]["discrimination"] for row in numbers["surviving"]}
    whole = [interval_text(fitted.get(name), ".2f") for name in ("r2", "residual_sd")]
    for index, row in enumerate(rows):
        where = place(row, columns)
        yield [
            f"{words}: {where}",
            str(len(study["run"]["seeds"])),
            *(ratio_text(row[metric]) for metric in METRICS),
            *(interval_text(row["order"][metric]) for metric in METRICS),
            interval_text(care[where]["above_source"]),
            *(whole if index == 0 else [DASH, DASH]),
        ]
