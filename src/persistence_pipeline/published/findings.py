"""Findings of the re-analysis, in sentences made from its numbers: nothing is said that they do not bear."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from persistence_pipeline.published.pairs import EVERY
from persistence_pipeline.published.summary import headline_set
from persistence_pipeline.published.tables import by_beta, sum_of_both, width_ratio, with_bounds
from persistence_pipeline.records import METRICS
from persistence_pipeline.report.answer import line_words, order_words, spread
from persistence_pipeline.report.kit.text import number

Summary = Mapping[str, Any]
Name = str | None
"""Of the headline set."""
HARDLY_CORRELATED = 0.2


@dataclass(frozen=True)
class Finding:
    """One thing that the headline numbers do not show."""

    anchor: str
    """Section of the page with its table and figure."""
    title: str
    text: str


def answer(summary: Summary) -> list[str]:
    """The paper's two headline numbers on these files."""
    name = headline_set(summary["frontier"])
    if name is None:
        return [
            "These files hold source trajectories only: there is no line and no persistence to be had from them."
        ]
    sentences = [_line_sentence(summary["frontier"][name]["all"], name)]
    for beta, entries in by_beta(summary["persistence"][name]):
        averages = {m: entries["average"][m] for m in METRICS}
        shares = [f"{with_bounds(found)} of {m}{spread(found or {})}" for m, found in averages.items()]
        kind = next((f", {found['kind']}" for found in averages.values() if found), "")
        sentences.append(f"Persistence at beta {beta}{kind}: {' and '.join(shares)}.")
    return sentences


def _line_sentence(frontier: Mapping[str, Any], name: str) -> str:
    if frontier["r2"] is None:
        return f"No line is fitted through the configurations of set {name}: {frontier['undefined']}."
    slope = with_bounds({**frontier["slope_interval"], "estimate": frontier["slope"]})
    known = frontier["r2_interval"]
    without = f" (without the points' errors {with_bounds(known)})" if known["estimate"] is not None else ""
    fitted = (
        f"{frontier['n']} configurations of set {name}: R² {number(frontier['r2'], '.3f')}{without}, slope {slope}"
    )
    line = frontier["line"]
    return f"{fitted}. {line['undefined'] if 'undefined' in line else line_words(line, frontier['n'])}."


def findings(summary: Summary) -> list[Finding]:
    """Everything that these files allow to be said, in the order of the page."""
    name = headline_set(summary["frontier"])
    first = (_fabricated(summary, name), _best_of_both(summary), _no_call(summary, name), _loss(summary))
    then = (_conflict(summary), _memory(summary, name), _stops(summary, name), _scheme(summary, name))
    return [*chain(*first, *then, _single(summary, name), _evaluators(summary))]


def _row(rows: Any, **wanted: Any) -> Mapping[str, Any] | None:
    return next((row for row in rows if all(row.get(k) == v for k, v in wanted.items())), None)


def _fabricated(summary: Summary, name: Name) -> Iterator[Finding]:
    rows = summary["audits"]["fabricated"]
    shares = []
    for words, row in (
        ("Of the {n:,} source trajectories", _row(rows, set="pool")),
        (f"of the {{n:,}} rows of set {name}", _row(rows, set=name, ordering="all")),
        ("of those trained for helpfulness alone", _row(rows, set=name, ordering="helpfulness")),
    ):
        if row:
            narrow, wide, zero = (
                number(row[key], ".0%") for key in ("fabricated", "fabricated_wide", "zero_calls")
            )
            shares.append(f"{words.format(**row)} {narrow} ({wide}) and {zero}")
    if shares:
        sentence = f"{'; '.join(shares)}."
        yield Finding(
            "fabricated",
            "Agents fabricate the tools' answers",
            f"{sentence[0].upper()}{sentence[1:]} The first number is the share with an observation that the "
            "agent wrote itself (in brackets: Markdown around the word or not), the second the share without an "
            "executed call.",
        )


def _best_of_both(summary: Summary) -> Iterator[Finding]:
    shares = [
        f"{number(row['zero_calls_among_best'], '.0%')} of {row['n_best']:,} in "
        f"{'the pool' if row['set'] == 'pool' else 'set ' + row['set']} (by {row['evaluator']})"
        for row in summary["audits"]["best_of_both"]
        if row["n_best"]
    ]
    if shares:
        yield Finding(
            "best-of-both",
            "“Best of both” is often a story",
            f"Of the trajectories scored 3 and 3, these executed no call at all: {', '.join(shares)}.",
        )


def _no_call(summary: Summary, name: Name) -> Iterator[Finding]:
    rows = summary["audits"]["sensitivity"]["rows"]
    row, whole = (_row(rows, set=name, without=label) for label in ("no executed call", "nothing"))
    if row and whole and row.get("r2") is not None and whole.get("r2") is not None:
        lines = (f"R² {number(r['r2'], '.3f')}, slope {number(r['slope'], '.3f')}" for r in (row, whole))
        without, everything = lines
        yield Finding(
            f"sensitivity-{name}",
            "How much of the line hangs on agents that do nothing",
            f"On the rows that executed at least one call the line has {without}; on all rows {everything}. "
            f"That leaves out {number(row['excluded_share'], '.0%')} of the rows; {row['n_runs']} of "
            f"{whole['n_runs']} runs are left, the smallest with {row['smallest_run']} of {whole['smallest_run']} "
            "rows. How an episode went is an outcome of training: this is leverage, not a corrected result.",
        )


def _loss(summary: Summary) -> Iterator[Finding]:
    rows = [row for row in summary["audits"]["observations_in_loss"] if row["pool"] == EVERY]
    shares = [row["mean_observation_share"] for row in rows if row["mean_observation_share"] is not None]
    if shares:
        yield Finding(
            "loss",
            "The loss covers the tools' answers",
            f"Observations are {min(shares):.0%} to {max(shares):.0%} of the characters of a chosen side (mean "
            "over the pairs of an objective), and the published loss trains on them as if the agent had written "
            "them.",
        )


def _conflict(summary: Summary) -> Iterator[Finding]:
    for row in summary["audits"]["pairs"]:
        if (row["pool"], row["set"]) != (EVERY, "helpfulness") or row["other_metric_gain"] is None:
            continue
        pool = _row(summary["audits"]["pairs"], evaluator=row["evaluator"], pool=EVERY, set="pool") or {}
        r, gain = pool.get("score_correlation"), row["other_metric_gain"]
        known = "" if r is None else f" The scores {_correlation(r)} (r = {number(r)})."
        taught = (
            "training for helpfulness then teaches some safety, and safety can persist without being remembered"
            if gain > 0
            else "training for helpfulness then teaches against safety"
        )
        yield Finding(
            "pairs",
            f"What the helpfulness pairs teach about safety, by {row['evaluator']}",
            f"The chosen side of the helpfulness pairs is on average {abs(gain):.2f} points "
            f"{'safer' if gain > 0 else 'less safe'} than the rejected one ({number(row['chosen_safety'])} "
            f"against {number(row['rejected_safety'])}): {taught}.{known}",
        )


def _correlation(r: float) -> str:
    return "are nearly uncorrelated in the pool" if abs(r) < HARDLY_CORRELATED else "are correlated in the pool"


def _memory(summary: Summary, name: Name) -> Iterator[Finding]:
    rows = summary["audits"]["rivals"].get(name, [])
    for row in sorted((r for r in rows if r["of"] == "average"), key=lambda r: -float(r["beta"])):
        safety, helpfulness = row["safety"], row["helpfulness"]
        moved = safety["side_effect"]
        if moved["low"] is None or None in (safety["added"]["estimate"], helpfulness["added"]["estimate"]):
            continue
        little = " – not distinguishable from nothing" if moved["low"] <= 0 <= moved["high"] else ""
        yield Finding(
            f"rivals-{name}",
            f"What would persist without memory, at beta {row['beta']}",
            f"Training for helpfulness alone moves safety by {with_bounds(moved, '.2f')} points against the "
            f"source{little}. If each stage merely added what it does to the source, {_left(row, 'added')} would "
            f"be left; measured are {_left(row, 'persistence')}. {_order(row)}",
        )


def _left(row: Mapping[str, Any], key: str) -> str:
    shares = [f"{number(row[metric][key]['estimate'], '.3f')} of the {metric} gain" for metric in METRICS]
    return " and ".join(shares)


def _order(row: Mapping[str, Any]) -> str:
    gaps = "; ".join(
        f"{with_bounds(row['order'][m], '.2f')} points of {m}{spread(row['order'][m])}: "
        f"{order_words(row['order'][m], m)}"
        for m in METRICS
    )
    text = f"S > H minus H > S, {row['order']['safety']['kind']}: {gaps}."
    if row["order_excess"]["low"] is None:
        return text
    total = with_bounds(sum_of_both(row))
    return f"{text} The two persistences sum to {total} (1 on one line, were order without effect)."


def _stops(summary: Summary, name: Name) -> Iterator[Finding]:
    row = _row(summary["audits"]["stops"], set=name, source="all")
    if not row or not row["token_limit"]:
        return
    rows = summary["audits"]["sensitivity"]["rows"]
    without = _row(rows, set=name, without="token-limit stops") or {}
    line = (
        f" Without them R² is {number(without['r2'], '.3f')} and the slope {number(without['slope'], '.3f')}."
        if without.get("r2") is not None
        else ""
    )
    yield Finding(
        "stops",
        "Being cut off counts as safe",
        f"{row['token_limit']:.1%} of the {row['n']:,} trained rows of set {name} stop at the token limit. They "
        f"score safety {number(row['safety_at_limit'])} and helpfulness {number(row['helpfulness_at_limit'])}; "
        f"the others {number(row['safety_otherwise'])} and {number(row['helpfulness_otherwise'])}.{line}",
    )


def _scheme(summary: Summary, name: Name) -> Iterator[Finding]:
    entries = [e["average"] for e in summary["persistence"].get(name, {}).values()]
    ratios = [ratio for entry in entries for ratio in entry.values() if ratio]
    widths = [width for width in map(width_ratio, ratios) if width is not None]
    if not widths:
        return
    dropped = sum(ratio["published_interval"]["n_dropped"] for ratio in ratios)
    partial = sum(ratio["published_interval"]["n_partial"] for ratio in ratios)
    yield Finding(
        f"persistence-{name}",
        "The published intervals treat shared cases as independent",
        "The published bootstrap draws the cases anew for every seed, model and evaluator, although all share the "
        f"same cases. For the averages its intervals are {min(widths):.2f} to {max(widths):.2f} times as wide as "
        f"with shared draws; {dropped:,} draws were dropped as undefined and {partial:,} averaged over fewer "
        "ratios.",
    )


def _single(summary: Summary, name: Name) -> Iterator[Finding]:
    single = summary["audits"]["single_runs"].get(name, {})
    if single.get("r2") is None or summary["frontier"][name]["all"]["r2"] is None:
        return
    line = summary["frontier"][name]["all"]
    yield Finding(
        f"single-{name}",
        "The line is one of averages",
        f"Over the {single['n']:,} single runs, before averaging over seeds and evaluators, R² is "
        f"{number(single['r2'], '.3f')}; over the {line['n']} averages it is {number(line['r2'], '.3f')}.",
    )


def _evaluators(summary: Summary) -> Iterator[Finding]:
    texts = [
        f"{row['metric']} κ {number(row['kappa'])}, {row['first']} minus {row['second']} {number(row['bias'])} "
        f"points (n = {row['n']:,}, {'pool' if row['part'] == 'pool' else 'evaluation sets'})"
        for row in summary["audits"]["agreement"]
        if row["kappa"] is not None
    ]
    if texts:
        yield Finding(
            "agreement",
            "How far the two evaluators agree",
            f"On the same trajectories: {'; '.join(texts)}.",
        )
