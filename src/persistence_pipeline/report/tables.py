"""Tables of a study: which columns, in what words and with how many digits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from persistence_pipeline import factors
from persistence_pipeline.analysis.competence import ABLE, solved_by_source
from persistence_pipeline.analysis.intervals import OVER_CASES
from persistence_pipeline.orderings import in_order, label
from persistence_pipeline.records import METRICS
from persistence_pipeline.report.kit.tables import Column, Table, make_table, rich_table, without_column
from persistence_pipeline.report.kit.text import DASH, interval_text, number, ratio_text
from persistence_pipeline.report.published import FRONTIER, PERSISTENCE
from persistence_pipeline.report.style import headline_split, interval_kind

Summary = Mapping[str, Any]

MEANS: Sequence[Column] = [(metric, metric, ".2f") for metric in METRICS]
DELTAS: Sequence[Column] = [(f"delta_{metric}", f"Δ {metric}", interval_text) for metric in METRICS]
SHARES: Sequence[Column] = [(metric, f"{metric} persists", ratio_text) for metric in METRICS]
CELLS: Sequence[Column] = (
    ("ordering", "ordering", label),
    ("source", "source", str),
    ("beta", "beta", "g"),
    ("seed", "seed", str),
    *MEANS,
    *DELTAS,
    ("best_of_both", "3 and 3", ".0%"),
    ("discrimination", "told apart", ".0%"),
    ("refusal_rate", "did nothing", ".0%"),
    ("invalid_rate", "invalid calls", ".1%"),
)
COMPETENCE: Sequence[Column] = (
    ("source", "source", str),
    ("seed", "seed", str),
    ("kind", "kind", lambda kind: str(kind).replace("_", " ")),
    ("solved", "solved", ".0%"),
    ("n", "episodes", "d"),
    ("probability", "mending call", ".2f"),
    ("demonstrated", "of demonstrations", ".2f"),
    ("invalid_rate", "invalid calls", ".1%"),
)
POINTS: Sequence[Column] = (
    ("source", "source", str),
    ("beta", "beta", "g"),
    ("ordering", "ordering", label),
    ("n_runs", "runs", str),
    *MEANS,
    *DELTAS,
    ("height", "safety above the line", interval_text),
)
ALONG, OFF = "of it along the line", "height off it"
PERSISTENCES: Sequence[Column] = (
    ("source", "source", str),
    ("beta", "beta", "g"),
    *SHARES,
    *((f"gap_{metric}", f"S > H minus H > S: {metric}", interval_text) for metric in METRICS),
    ("excess", "sum − 1", interval_text),
    ("along", ALONG, interval_text),
    ("height", OFF, interval_text),
)
SHORT = {
    "S > H minus H > S: safety": "S>H−H>S:\nsafety",
    "S > H minus H > S: helpfulness": "S>H−H>S:\nhelpf.",
    "safety persists": "safety\npersists",
    "helpfulness persists": "helpfulness\npersists",
}
"""Headers for the terminal."""
VARIANCES: Sequence[Column] = (
    ("what", "number", str),
    ("value", "value", interval_text),
    ("error", "standard error", ".3f"),
    ("sampling", "from sampling episodes", ".3f"),
    ("cases", "from cases", ".3f"),
    ("training", "from training and source", ".3f"),
    ("df", "degrees of freedom", ".1f"),
    ("kind", "interval", str),
)
BOUNDS: Sequence[Column] = (
    *((key, key, str) for key in ("source", "evaluator")),
    ("beta", "beta", "g"),
    ("what", "number", str),
    ("available", "as scored", ".2f"),
    ("matched", "on cases complete in all arms", ".2f"),
    ("low", "lowest possible", ".2f"),
    ("high", "highest possible", ".2f"),
)
SIDES = ("chosen", "rejected")
PAIRS: Sequence[Column] = (
    ("arm", "arm", str),
    ("set", "set", str),
    ("n", "n", "d"),
    ("n_cases", "cases", "d"),
    ("best_of_both", "chosen 3 and 3", ".0%"),
    *((f"{side}_{metric}", f"{side} {metric}", ".2f") for metric in METRICS for side in SIDES),
    ("conflict_share", "in conflict", ".0%"),
    ("other_metric_gain", "gain in the other metric", ".2f"),
    *((f"{side}_tokens", f"{side} tokens", ".2f") for side in SIDES),
    ("turns", "turns", ".0f"),
    ("rendered_turns", "rendered", ".0f"),
    ("respelled_turns", "respelled", ".0f"),
    ("engine_ended_turns", "ended by the engine", ".0f"),
)
"""Columns of the pair audit; for the pool, “chosen” is every candidate."""
TRAINING: Sequence[Column] = (
    *((key, key, str) for key in ("cell", "objective", "loss", "reference")),
    ("n_pairs", "pairs", "d"),
    ("n_truncated", "truncated", "d"),
    ("n_steps", "steps", "d"),
    ("losses", "loss, first → last", str),
    ("last_accuracy", "accuracy", ".2f"),
    ("last_margin", "margin", ".2f"),
    *((f"{side}_logps", f"log p of {side}", str) for side in SIDES),
)
COMPARISONS: Sequence[Column] = (
    *((key, key, str) for key in ("metric", "first", "second")),
    ("wins", "won", "d"),
    ("losses", "lost", "d"),
    ("ties", "tied", "d"),
    ("difference", "difference", interval_text),
    ("p", "p", ".2g"),
)


def study_tables(summary: Summary) -> dict[str, Table]:
    """Every table of the report that the summary holds, by name."""
    audits, versions = summary["audits"], summary["run"]["versions"]
    return {
        "cells": cell_table(summary),
        "competence": competence_table(summary),
        "persistence_and_published": persistence_table(summary, published=True),
        "variances": variance_table(summary),
        "bounds": bounds_table(summary),
        "pairs": make_table(audits["pairs"], PAIRS),
        "training": training_table(summary),
        "comparisons": make_table(audits["comparisons"], COMPARISONS),
        "published": published_table(summary),
        "versions": (["package", "version"], [list(pair) for pair in versions.items()]),
    }


def with_factors(rows: Iterable[Mapping[str, Any]], columns: Sequence[Column]) -> Table:
    """Rows under the columns, with one for each further factor after beta."""
    shown = list(rows)
    names = dict.fromkeys(name for row in shown for name in factors.further(row))
    place = next(index for index, (key, _, _) in enumerate(columns) if key == factors.BETA) + 1
    own = [(name, factors.words(name), factors.level_text) for name in names]
    return make_table(shown, [*columns[:place], *own, *columns[place:]])


def cell_table(summary: Summary) -> Table:
    """One row per cell on the headline split."""
    split = summary["frontier"]["split"]
    deltas = ({f"delta_{m}": (cell["delta"] or {}).get(m) for m in METRICS} for cell in summary["cells"])
    rows = (
        {**cell, **cell["splits"][split], **delta} for cell, delta in zip(summary["cells"], deltas, strict=True)
    )
    return with_factors(rows, CELLS)


def competence_table(summary: Summary) -> Table:
    """One row per source, seed and kind of hazard; the first of each over all kinds."""
    rows = []
    for row in summary["competence"]:
        for part in ({**row, "kind": "all"}, *row["kinds"]):
            rows.append({**part, "source": row["source"], "seed": row["seed"]})
    return make_table(rows, COMPETENCE)


def point_table(summary: Summary) -> Table:
    """One row per point of the frontier: an ordering of a source at one beta, over seeds and evaluators."""
    points = sorted(summary["frontier"]["points"], key=lambda point: (point["source"], -point["beta"]))
    return with_factors(points, POINTS)


def persistence_table(summary: Summary, *, published: bool = False) -> Table:
    """One row per source and beta, and per evaluator where there are several; then the published averages."""
    several = len({row.get("evaluator") for row in summary["persistence"]}) > 1
    rows = [
        {
            **row,
            "source": f"{row['source']}, {row['evaluator']}" if several else row["source"],
            **_order_columns(row.get("order") or {}),
        }
        for row in summary["persistence"]
    ]
    for beta, shares in PERSISTENCE.items() if published else ():
        known = {metric: {"estimate": share, "defined": True} for metric, share in shares.items()}
        rows.append(
            {"source": "published", "beta": beta, **known, "excess": {"estimate": sum(shares.values()) - 1}}
        )
    return with_factors(rows, PERSISTENCES)


def _order_columns(order: Mapping[str, Any]) -> dict[str, Any]:
    gaps = {f"gap_{metric}": order.get(metric) for metric in METRICS}
    return {**gaps, **{name: order.get(name) for name in ("excess", "along", "height")}}


def variance_table(summary: Summary) -> Table:
    """Parts of the error of each headline number, as standard errors; what cannot be told is a dash."""
    rows = [
        {**found, "what": what, "value": found, **{key: _root(part) for key, part in found["parts"].items()}}
        for what, found in headline_numbers(summary)
        if found.get("parts")
    ]
    return make_table(rows, VARIANCES)


def headline_numbers(summary: Summary) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Names of the headline numbers, and what is known of each."""
    for row in summary["frontier"]["sources"]:
        for metric in METRICS:
            yield f"{metric} of the source, {row['source']}", row[metric]
    for point in summary["frontier"]["points"]:
        for metric in METRICS:
            yield f"Δ {metric}, {_place(point)}, {label(point['ordering'])}", point[f"delta_{metric}"]
    line = summary["frontier"]["line"]
    for name, words in {"slope": "slope of the line", "r2": "R² of the line"}.items():
        yield words, line.get(name) or {}
    for row in summary["persistence"]:
        order, place = row.get("order") or {}, _place(row)
        for metric in METRICS:
            yield f"persistence of {metric}, {place}", row.get(metric) or {}
            yield f"S > H minus H > S in {metric}, {place}", order.get(metric) or {}
        yield f"persistence of safety less that of helpfulness, {place}", order.get("more") or {}


def _root(variance: float | None) -> float | None:
    return None if variance is None else variance**0.5


def _place(row: Mapping[str, Any]) -> str:
    evaluator = f", {row['evaluator']}" if "evaluator" in row else ""
    return f"{row['source']}{evaluator}, {factors.text(row)}"


def bounds_table(summary: Summary) -> Table:
    """Changes that missing scores could make; empty where none is missing."""
    rows = [
        {**row, **row[metric][number], "what": name.format(metric)}
        for row in summary["missing"]["rows"]
        for metric in METRICS
        for number, name in (("persistence", "persistence of {}"), ("gap", "S > H minus H > S in {}"))
        if number in row.get(metric, {})
    ]
    return with_factors(rows, BOUNDS)


def pool_texts(summary: Summary) -> list[str]:
    """A sentence on how scores and lengths go together in each arm's candidates."""
    named = (
        ("score_correlation", "safety and helpfulness"),
        ("length_safety_correlation", "length and safety"),
        ("length_helpfulness_correlation", "length and helpfulness"),
    )
    return [
        f"{row['arm']}: {', '.join(f'{name} {number(row.get(key))}' for key, name in named)}"
        for row in summary["audits"]["pairs"]
        if row["set"] == "pool"
    ]


def training_table(summary: Summary) -> Table:
    """One row per stage, with log-probabilities at both ends."""
    rows = [
        {
            **row,
            "losses": f"{number(row['first_loss'], '.3f')} → {number(row['last_loss'], '.3f')}",
            **{
                f"{side}_logps": f"{number(row[f'{side}_logp_before'])} → {number(row[f'{side}_logp_after'])}"
                for side in SIDES
            },
        }
        for row in summary["audits"]["training"]
    ]
    return make_table(rows, TRAINING)


def published_table(summary: Summary) -> Table:
    """This study's line and persistence beside the published ones."""
    line = summary["frontier"]["ols"]
    rows = [
        [name, number(line.get(key), ".3f"), number(FRONTIER[key], ".3f")]
        for key, name in (("r2", "R²"), ("slope", "slope"), ("intercept", "intercept"))
    ]
    rows.append(["points", str(line["n"]), str(FRONTIER["n"])])
    for row in summary["persistence"]:
        for metric in METRICS:
            name = f"persistence of {metric}, {row['source']}, {factors.text(row)}"
            published = PERSISTENCE.get(row["beta"], {}).get(metric)
            rows.append([name, ratio_text(row.get(metric)), number(published, ".3f")])
    return ["", "this study", "published (LLM agents on ToolEmu)"], rows


def group_tables(scores: pd.DataFrame) -> dict[str, Table]:
    """Mean scores by domain and by kind of hazard: a row for each group, a column for each ordering."""
    orderings = in_order(scores["ordering"])
    tables = {}
    for column, name in (("domain", "domains"), ("kind", "kinds")):
        means = scores.groupby([column, "ordering"])[list(METRICS)].mean()
        rows = [
            [str(group).replace("_", " "), *(_means_text(means, (group, ordering)) for ordering in orderings)]
            for group in sorted(scores[column].unique())
        ]
        tables[name] = ([column, *map(label, orderings)], rows)
    return tables


def _means_text(means: pd.DataFrame, key: tuple[Any, str]) -> str:
    return " / ".join(f"{means.loc[key, metric]:.2f}" for metric in METRICS) if key in means.index else DASH


def fit_text(summary: Summary) -> str:
    """The fitted line in one sentence: least squares as published, then without the points' errors."""
    line, corrected = summary["frontier"]["ols"], summary["frontier"]["line"]
    if "undefined" in line:
        return f"No line: {line['undefined']}."
    known = {**line.get("r2_interval", {}), "estimate": (line.get("r2_interval") or {}).get("estimate")}
    without = (
        f" (without the points' errors {interval_text(known, '.2f')})" if known["estimate"] is not None else ""
    )
    text = (
        f"Least squares: R² = {number(line['r2'])}{without}, slope {number(line['slope'])}, intercept "
        f"{number(line['intercept'])}, {line['n']} points"
    )
    if "undefined" in corrected:
        return text
    return f"{text}. With errors in both axes: slope {interval_text(corrected['slope'], '.2f')}"


def unable(summary: Summary) -> list[str]:
    """The sources that solve hardly any of the hazards that can be solved."""
    shares = solved_by_source(summary["competence"])
    return [source for source, share in shares.items() if share < ABLE]


def competence_text(summary: Summary) -> str | None:
    """How much the sources solve; None where nothing was measured."""
    shares = solved_by_source(summary["competence"])
    if not shares:
        return None
    solve = [f"{source} solves {number(share, '.0%')}" for source, share in shares.items()]
    one = f"this source solves {number(next(iter(shares.values())), '.0%')}"
    said = f"of the hazards that can be solved {one if len(solve) == 1 else ', '.join(solve)}"
    if not unable(summary):
        return f"{said[0].upper()}{said[1:]}."
    return (
        f"Read this first: {said}. Where a source does not solve hazards, being safe and helpful at once is out "
        "of its reach, and what follows cannot show what training does to an agent that can."
    )


NARROW = {"did nothing": "did\nnothing", "helpfulness": "help-\nfulness", "invalid calls": "invalid\ncalls"}
"""Headers that are wider than what stands below them."""
LEAST = ("3 and 3", NARROW["invalid calls"], NARROW["did nothing"], "safety", NARROW["helpfulness"])


def console_table(summary: Summary, width: int) -> Any:
    """The result for a terminal of this many columns; what all cells have in common stands in the title."""
    from rich.console import Group

    (header, rows), common = cell_table(summary), []
    further = dict.fromkeys(name for cell in summary["cells"] for name in factors.further(cell))
    for name in ("source", "beta", *map(factors.words, further), "seed"):
        place = header.index(name)
        values = {row[place] for row in rows} - {DASH}
        if len(values) == 1:
            header, rows = without_column((header, rows), name)
            common.append(values.pop() if name == "source" else f"{name} {values.pop()}")
    rows = [[row[0].replace(" > ", " >\n"), *row[1:]] for row in rows]
    cells = [NARROW.get(name, name) for name in header], rows
    names, lines = without_column(without_column(persistence_table(summary), ALONG), OFF)
    shares = [SHORT.get(name, name) for name in names], lines
    title = "; ".join([f"Scores on {headline_split(summary)} (0–3)", *([", ".join(common)] if common else [])])
    title = f"{title}; 95% intervals {OVER_CASES}"
    can = competence_text(summary)
    said = [can] if can else []
    return Group(
        *(said if unable(summary) else []),
        rich_table(title, cells, width, left=("ordering", "source"), least=LEAST),
        rich_table(f"Persistence; 95% intervals {interval_kind(summary)}", shares, width, least=("sum − 1",)),
        f"Frontier: {fit_text(summary)}",
        *([] if unable(summary) else said),
    )
