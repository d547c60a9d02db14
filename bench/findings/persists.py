"""The page on what persists, the tiny agents and the pretrained one side by side; and the README's answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.findings._words import (
    PRETRAINED,
    bullets,
    described,
    direction,
    largest,
    of_largest,
    once,
    place,
    said,
    table,
    varied,
)
from persistence_pipeline.analysis.intervals import OVER_CASES
from persistence_pipeline.analysis.pairs import PARTS
from persistence_pipeline.analysis.runs import ALL
from persistence_pipeline.factors import level_text, words
from persistence_pipeline.orderings import label
from persistence_pipeline.report.answer import answer, counted
from persistence_pipeline.report.kit.text import interval_text, listed

Row = Mapping[str, Any]
WORDS = {
    "told_apart": "twin served (told apart)",
    "held_back": "twin held back",
    "neither": "twin bungled or done blindly",
    "twins": "on the twins themselves",
    "twins_harmless": "on twins, hazard left harmless",
    "twins_harmed": "on twins, hazard harmed",
    "hazards_harmless": "on hazards, harmless",
    "hazards_harmed": "on hazards, with harm",
}
SURVIVES = {"safety": "S > H minus H", "helpfulness": "H > S minus S"}
FIRST = {"safety": "S > H", "helpfulness": "H > S"}


def blocks(files: Mapping[str, Any]) -> dict[str, str]:
    """Runs, levels, the split of both metrics and sentences."""
    rows, every = _rows(files)
    if not rows:
        return {}
    return {
        "persists-runs": _runs(files),
        "persists-levels": _levels(every, rows),
        "persists-safety": _split(every, rows, "safety"),
        "persists-helpfulness": _split(every, rows, "helpfulness"),
        "persists-says": bullets(_sentences(every, rows)),
    }


def kinds(files: Mapping[str, Any]) -> dict[str, str]:
    """Runs, and the split by kind of hazard."""
    rows, every = _rows(files)
    return {"kinds-runs": _runs(files), "persists-kinds": _kinds(every, rows)} if rows else {}


def _rows(files: Mapping[str, Any]) -> tuple[dict[str, Sequence[Row]], list[tuple[str, Row]]]:
    """What survives in the largest study of tiny agents and in that of a pretrained one, by study and row by row.

    Nothing without the first.
    """
    tiny = largest(files)
    pretrained = {PRETRAINED: files[PRETRAINED]} if PRETRAINED in files else {}
    studies = {} if tiny is None else {"tiny": tiny, **pretrained}
    rows = {name: study["numbers"]["surviving"] for name, study in studies.items()}
    return rows, [(name, row) for name, found in rows.items() for row in found]


def _runs(files: Mapping[str, Any]) -> str:
    runs = [of_largest(files)]
    if PRETRAINED in files:
        runs.append(f"A pretrained model: {described(files[PRETRAINED]['run'])}")
    return bullets(runs)


def first_screen(files: Mapping[str, Any]) -> dict[str, str]:
    """``answer``: what is left of safety, and of what kind it is, over all that the grid has."""
    study = largest(files)
    if study is None:
        return {}
    kept = _kept(study["numbers"]["surviving"])
    gap = "\n\n" if kept.startswith("-") else " "
    return {"answer": f"{_left(study)}{gap}{kept}\n\n{of_largest(files)}"}


def _left(study: Row) -> str:
    """Whether the agent is better than its source, and keeps something; of several settings, in how many."""
    rows = study["numbers"]["persistence"]
    if len(rows) == 1:
        return answer({**study["numbers"], "run": study["run"]})[0]
    settings = [listed(str(row["source"]) for row in rows)]
    settings += [f"{words(name)} {listed(level_text(row[name]) for row in rows)}" for name in varied(rows)]
    return f"{counted(rows, 'safety')[:-1]} ({'; '.join(settings)})."


def _kept(rows: Sequence[Row]) -> str:
    """Of what kind the safety above the source is: the mean of the sources where there are several."""
    means = [row for row in rows if row["source"] == ALL] or list(rows)
    return "\n".join(_made_of(row, place(row, varied(means)) if len(means) > 1 else "") for row in means)


def _made_of(row: Row, where: str) -> str:
    """What the safety of S > H above the source is made of; ``where`` says of which agents, in a list."""
    parts = {
        name: interval_text(row["safety"]["above_source"][name]) for name in ("whole", "told_apart", "held_back")
    }
    change = interval_text(row["safety"]["changes"]["discrimination"]["above_source"])
    begun = f"- {where[:1].upper()}{where[1:]}: of" if where else "Of"
    return (
        f"{begun} {parts['whole']} points of safety above the source, {parts['told_apart']} are on hazards "
        f"whose harmless twin it serves, and {parts['held_back']} on hazards whose twin it holds back from; the "
        f"share of twins told apart changes by {change}."
    )


def _place(name: str, row: Row, rows: Mapping[str, Sequence[Row]]) -> str:
    once_only = row["safety"]["survives"]["whole"]["kind"] == OVER_CASES
    return place(row, varied(rows[name])) + (" (this run only)" if once_only else "")


def _means(every: Sequence[tuple[str, Row]], rows: Mapping[str, Sequence[Row]]) -> list[tuple[str, Row]]:
    """The mean of the sources where a study has several, else its source."""
    several = {name for name, found in rows.items() if any(row["source"] == ALL for row in found)}
    return [(name, row) for name, row in every if name not in several or row["source"] == ALL]


def _levels(every: Sequence[tuple[str, Row]], rows: Mapping[str, Sequence[Row]]) -> str:
    measures = ("discrimination", "caution", "refusal", "d_prime")
    shown = [
        [
            _place(name, row, rows),
            label(level["ordering"]),
            *(interval_text(level[measure], ".2f") for measure in measures),
        ]
        for name, row in every
        if row["source"] != ALL
        for level in row["levels"]
    ]
    header = ["twins told apart", "needless caution", "needless refusal", "d′ of acting"]
    return table(["agents", "ordering", *header], once(shown))


def _split(every: Sequence[tuple[str, Row]], rows: Mapping[str, Sequence[Row]], metric: str) -> str:
    against = {"survives": SURVIVES[metric], "above_source": f"{FIRST[metric]} minus the source"}
    shown = [
        [
            _place(name, row, rows),
            words,
            *(interval_text(row[metric][change][part]) for part in ("whole", *PARTS[metric])),
        ]
        for change, words in against.items()
        for name, row in every
    ]
    return table(["agents", "change", metric, *(WORDS[part] for part in PARTS[metric])], shown)


def _kinds(every: Sequence[tuple[str, Row]], rows: Mapping[str, Sequence[Row]]) -> str:
    shown = []
    for name, row in _means(every, rows):
        for kind in row["kinds"]:
            of = {level["ordering"]: level["discrimination"] for level in kind["levels"]}
            levels = [of[ordering] for ordering in ("source", "safety>helpfulness")]
            change = kind["safety"]["above_source"]
            shown.append(
                [
                    _place(name, row, rows),
                    kind["kind"].replace("_", " "),
                    *(interval_text(level, ".2f") for level in levels),
                    *(said(change[part]) for part in ("told_apart", "held_back")),
                ]
            )
    header = ["agents", "kind", "told apart by the source", "by S > H"]
    return table(
        [*header, *(f"safety above the source: {WORDS[part]}" for part in ("told_apart", "held_back"))], shown
    )


def _sentences(every: Sequence[tuple[str, Row]], rows: Mapping[str, Sequence[Row]]) -> list[str]:
    lines = []
    for name, row in _means(every, rows):
        where = _place(name, row, rows)
        for metric, first in FIRST.items():
            found = row[metric]
            parts = found["above_source"]
            split = "; ".join(f"{WORDS[part]} {said(parts[part])}" for part in PARTS[metric])
            apart = found["changes"]["discrimination"]["above_source"]
            lines.append(
                f"{where}. {metric.capitalize()} of {first} minus that of the source: {said(parts['whole'])}. "
                f"Its parts: {split}. Share of twins told apart: {interval_text(apart)}, {direction(apart)}."
            )
    return lines
