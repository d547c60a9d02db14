"""Tables of a study: which columns, in what words and with how many digits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd

from persistence_pipeline import factors
from persistence_pipeline.analysis.competence import ABLE, solved_by_source
from persistence_pipeline.analysis.plain import plain
from persistence_pipeline.orderings import SOURCE, in_order, label
from persistence_pipeline.records import METRICS
from persistence_pipeline.report.kit.tables import Column, Lead, Table, linked, make_table, without_column
from persistence_pipeline.report.kit.text import DASH, interval_text, number, ratio_text
from persistence_pipeline.report.links import STATES, WORST, Links
from persistence_pipeline.report.plain_text import plain_text_table
from persistence_pipeline.report.published import FRONTIER, PERSISTENCE

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


def study_tables(summary: Summary, links: Links) -> dict[str, Table]:
    """Every table of the report that the summary holds, by name; its numbers lead to their trajectories."""
    audits, versions = summary["audits"], summary["run"]["versions"]
    return {
        "orderings": ordering_table(summary, links),
        "cells": cell_table(summary, links),
        "competence": competence_table(summary, links),
        "plain_text": plain_text_table(summary),
        "persistence": persistence_table(summary, links),
        "shares": shares_table(summary, links),
        "variances": variance_table(summary, links),
        "bounds": bounds_table(summary, links),
        "pairs": make_table(audits["pairs"], PAIRS, links.taught),
        "training": training_table(summary, links),
        "comparisons": make_table(audits["comparisons"], COMPARISONS, links.comparison),
        "published": published_table(summary, links),
        "versions": (["package", "version"], [list(pair) for pair in versions.items()]),
    }


def with_factors(rows: Iterable[Mapping[str, Any]], columns: Sequence[Column], lead: Lead | None = None) -> Table:
    """Rows under the columns, with one for each further factor after beta."""
    shown = list(rows)
    names = dict.fromkeys(name for row in shown for name in factors.further(row))
    place = next(index for index, (key, _, _) in enumerate(columns) if key == factors.BETA) + 1
    own = [(name, factors.words(name), factors.level_text) for name in names]
    return make_table(shown, [*columns[:place], *own, *columns[place:]], lead)


def cell_table(summary: Summary, links: Links | None = None) -> Table:
    """One row per cell on the headline split."""
    split = summary["frontier"]["split"]
    deltas = ({f"delta_{m}": (cell["delta"] or {}).get(m) for m in METRICS} for cell in summary["cells"])
    rows = (
        {**cell, **cell["splits"][split], **delta} for cell, delta in zip(summary["cells"], deltas, strict=True)
    )
    return with_factors(rows, CELLS, links.cell if links else None)


ORDERINGS: Sequence[Column] = (
    ("ordering", "agent", label),
    *MEANS,
    ("discrimination", "told apart", ".0%"),
    ("refusal_rate", "did nothing", ".0%"),
)


def ordering_table(summary: Summary, links: Links) -> Table:
    """One row per ordering on the headline split: means over its cells."""
    split, rows = summary["frontier"]["split"], []
    for ordering in in_order(cell["ordering"] for cell in summary["cells"]):
        cells = [cell for cell in summary["cells"] if cell["ordering"] == ordering]
        means = pd.DataFrame([cell["splits"][split] for cell in cells]).mean(numeric_only=True)
        rows.append({"ordering": ordering, "cells": [cell["cell"] for cell in cells], **plain(means.to_dict())})
    return make_table(rows, ORDERINGS, lambda row, key: links.to(row["cells"], **STATES.get(key, WORST)))


def competence_table(summary: Summary, links: Links | None = None) -> Table:
    """One row per source, seed and kind of hazard; the first of each over all kinds.

    What is measured on train cases leads to the source's test trajectories of the kind.
    """
    rows = []
    for row in summary["competence"]:
        for part in ({**row, "kind": "all"}, *row["kinds"]):
            rows.append({**part, "source": row["source"], "seed": row["seed"]})
    return make_table(rows, COMPETENCE, links.competence if links else None)


def point_table(summary: Summary) -> Table:
    """One row per point of the frontier: an ordering of a source at one beta, over seeds and evaluators."""
    points = sorted(summary["frontier"]["points"], key=lambda point: (point["source"], -point["beta"]))
    return with_factors(points, POINTS)


def persistence_table(summary: Summary, links: Links | None = None) -> Table:
    """One row per source and beta, and per evaluator where there are several."""
    several = len({row.get("evaluator") for row in summary["persistence"]}) > 1
    rows = [
        {
            **row,
            "of": row["source"],
            "source": f"{row['source']}, {row['evaluator']}" if several else row["source"],
            **_order_columns(row.get("order") or {}),
        }
        for row in summary["persistence"]
    ]
    return with_factors(rows, PERSISTENCES, links.persistence if links else None)


def shares_table(summary: Summary, links: Links | None = None) -> Table:
    """As ``persistence_table``, without what the sum is split into."""
    return without_column(without_column(persistence_table(summary, links), ALONG), OFF)


def _order_columns(order: Mapping[str, Any]) -> dict[str, Any]:
    gaps = {f"gap_{metric}": order.get(metric) for metric in METRICS}
    return {**gaps, **{name: order.get(name) for name in ("excess", "along", "height")}}


def variance_table(summary: Summary, links: Links | None = None) -> Table:
    """Parts of the error of each headline number, as standard errors; what cannot be told is a dash."""
    rows = [
        {
            **found,
            "what": what,
            "value": found,
            **{key: _root(part) for key, part in found["parts"].items()},
            "href": lead(links) if links else None,
        }
        for what, found, lead in headline_numbers(summary)
        if found.get("parts")
    ]
    return make_table(rows, VARIANCES, lambda row, _: row["href"])


def headline_numbers(summary: Summary) -> Iterator[tuple[str, Mapping[str, Any], Callable[[Links], str | None]]]:
    """Names of the headline numbers, what is known of each, and where it leads."""
    for row in summary["frontier"]["sources"]:
        for metric in METRICS:
            own = partial(Links.agents, row={"source": row["source"], "ordering": SOURCE}, _=metric)
            yield f"{metric} of the source, {row['source']}", row[metric], own
    for point in summary["frontier"]["points"]:
        for metric in METRICS:
            gap = partial(Links.gap, row=point, first=point["ordering"], second=SOURCE, metric=metric)
            yield f"Δ {metric}, {_place(point)}, {label(point['ordering'])}", point[f"delta_{metric}"], gap
    line = summary["frontier"]["line"]
    for name, words in {"slope": "slope of the line", "r2": "R² of the line"}.items():
        yield words, line.get(name) or {}, partial(Links.agents, row={}, _="")
    for row in summary["persistence"]:
        order, place = row.get("order") or {}, _place(row)
        for metric in METRICS:
            share, gap = (partial(Links.persistence, row=row, key=key) for key in (metric, f"gap_{metric}"))
            yield f"persistence of {metric}, {place}", row.get(metric) or {}, share
            yield f"S > H minus H > S in {metric}, {place}", order.get(metric) or {}, gap
        more = partial(Links.persistence, row=row, key="more")
        yield f"persistence of safety less that of helpfulness, {place}", order.get("more") or {}, more


def _root(variance: float | None) -> float | None:
    return None if variance is None else variance**0.5


def _place(row: Mapping[str, Any]) -> str:
    evaluator = f", {row['evaluator']}" if "evaluator" in row else ""
    return f"{row['source']}{evaluator}, {factors.text(row)}"


def bounds_table(summary: Summary, links: Links | None = None) -> Table:
    """Changes that missing scores could make; empty where none is missing. Each leads to what has no score."""
    rows = [
        {**row, **row[metric][number], "what": name.format(metric)}
        for row in summary["missing"]["rows"]
        for metric in METRICS
        for number, name in (("persistence", "persistence of {}"), ("gap", "S > H minus H > S in {}"))
        if number in row.get(metric, {})
    ]
    return with_factors(rows, BOUNDS, links.missing if links else None)


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


def training_table(summary: Summary, links: Links | None = None) -> Table:
    """One row per stage, with log-probabilities at both ends; each leads to the pairs that it was trained on."""
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
    return make_table(rows, TRAINING, links.stage if links else None)


def published_table(summary: Summary, links: Links | None = None) -> Table:
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
            share = linked(ratio_text(row.get(metric)), links.persistence(row, metric) if links else None)
            rows.append([name, share, number(published, ".3f")])
    return ["number", "this study", "published (LLM agents on ToolEmu)"], rows


def group_tables(scores: pd.DataFrame, links: Links) -> dict[str, Table]:
    """Mean scores by domain and by kind of hazard: a row for each group, a column for each ordering."""
    orderings = in_order(scores["ordering"])
    cells = {ordering: list(dict.fromkeys(rows["cell"])) for ordering, rows in scores.groupby("ordering")}
    tables = {}
    for column, name in (("domain", "domains"), ("kind", "kinds")):
        means = scores.groupby([column, "ordering"])[list(METRICS)].mean()
        rows = [
            [
                str(group).replace("_", " "),
                *(
                    linked(
                        _means_text(means, (group, ordering)),
                        links.to(cells[ordering], sort="safety", **{str(column): str(group)}),
                    )
                    for ordering in orderings
                ),
            ]
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
