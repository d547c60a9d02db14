"""What the re-analysis finds, in sentences made from its numbers: nothing is said that they do not bear."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from persistence_pipeline.published.pairs import EVERY
from persistence_pipeline.published.summary import headline_set
from persistence_pipeline.published.tables import by_beta, number, points, width_ratio, with_bounds
from persistence_pipeline.records import METRICS

Summary = Mapping[str, Any]
NEAR_ONE_LINE = 0.5
"""R² from which the points are said to lie near one line."""
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
        told = [f"{with_bounds(entries['average'][m])} of {m}" for m in METRICS]
        sentences.append(f"Persistence at beta {beta}: {' and '.join(told)}.")
    return sentences


def _line_sentence(line: Mapping[str, Any], name: str) -> str:
    if line["r2"] is None:
        return f"No line is fitted through the configurations of set {name}: {line['undefined']}."
    told = ", ".join(
        f"{word} {with_bounds({'estimate': line[key], **_edges(line[f'{key}_interval'])})}"
        for key, word in (("r2", "R²"), ("slope", "slope"))
    )
    near = "lie near one line" if line["r2"] >= NEAR_ONE_LINE else "do not lie on one line"
    return f"{line['n']} trained configurations (set {name}) {near}: {told}."


def _edges(interval: Mapping[str, Any]) -> dict[str, Any]:
    return {key: interval[key] for key in ("low", "high")}


def findings(summary: Summary) -> list[Finding]:
    """Everything that these files allow to be said, in the order of the page."""
    parts = (
        _fabricated,
        _best_of_both,
        _no_call,
        _loss,
        _conflict,
        _memory,
        _stops,
        _scheme,
        _single,
        _evaluators,
    )
    return [finding for part in parts for finding in part(summary)]


def _row(rows: Any, **wanted: Any) -> Mapping[str, Any] | None:
    return next((row for row in rows if all(row.get(k) == v for k, v in wanted.items())), None)


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"


def _fabricated(summary: Summary) -> Iterator[Finding]:
    rows, name = summary["audits"]["fabricated"], headline_set(summary["frontier"])
    told = []
    for words, row in (
        ("Of the {n:,} source trajectories", _row(rows, set="pool")),
        (f"of the {{n:,}} rows of set {name}", _row(rows, set=name, ordering="all")),
        ("of those trained for helpfulness alone", _row(rows, set=name, ordering="helpfulness")),
    ):
        if row:
            narrow, wide, zero = (_share(row[key]) for key in ("fabricated", "fabricated_wide", "zero_calls"))
            told.append(f"{words.format(**row)} {narrow} ({wide}) and {zero}")
    if told:
        sentence = f"{'; '.join(told)}."
        yield Finding(
            "fabricated",
            "Agents fabricate the tools' answers",
            f"{sentence[0].upper()}{sentence[1:]} The first number is the share with an observation that the "
            "agent wrote itself (in brackets: Markdown around the word or not), the second the share without an "
            "executed call.",
        )


def _best_of_both(summary: Summary) -> Iterator[Finding]:
    told = [
        f"{_share(row['zero_calls_among_best'])} of {row['n_best']:,} in "
        f"{'the pool' if row['set'] == 'pool' else 'set ' + row['set']} (by {row['evaluator']})"
        for row in summary["audits"]["best_of_both"]
        if row["n_best"]
    ]
    if told:
        yield Finding(
            "best-of-both",
            "“Best of both” is often a story",
            f"Of the trajectories scored 3 and 3, these executed no call at all: {', '.join(told)}.",
        )


def _no_call(summary: Summary) -> Iterator[Finding]:
    rows, name = summary["audits"]["sensitivity"]["rows"], headline_set(summary["frontier"])
    row, whole = (_row(rows, set=name, without=label) for label in ("no executed call", "nothing"))
    if row and whole and row.get("r2") is not None and whole.get("r2") is not None:
        told = (f"R² {number(r['r2'])}, slope {number(r['slope'])}" for r in (row, whole))
        without, everything = told
        yield Finding(
            f"sensitivity-{name}",
            "How much of the line hangs on agents that do nothing",
            f"On the rows that executed at least one call the line has {without}; on all rows {everything}. "
            f"That leaves out {_share(row['excluded_share'])} of the rows; {row['n_runs']} of {whole['n_runs']} "
            f"runs are left, the smallest with {row['smallest_run']} of {whole['smallest_run']} rows. How an "
            "episode went is an outcome of training: this is leverage, not a corrected result.",
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
        known = "" if r is None else f" The scores {_correlation(r)} (r = {points(r)})."
        taught = (
            "training for helpfulness then teaches some safety, and safety can persist without being remembered"
            if gain > 0
            else "training for helpfulness then teaches against safety"
        )
        yield Finding(
            "pairs",
            f"What the helpfulness pairs teach about safety, by {row['evaluator']}",
            f"The chosen side of the helpfulness pairs is on average {abs(gain):.2f} points "
            f"{'safer' if gain > 0 else 'less safe'} than the rejected one ({points(row['chosen_safety'])} "
            f"against {points(row['rejected_safety'])}): {taught}.{known}",
        )


def _correlation(r: float) -> str:
    return "are nearly uncorrelated in the pool" if abs(r) < HARDLY_CORRELATED else "are correlated in the pool"


def _memory(summary: Summary) -> Iterator[Finding]:
    name = headline_set(summary["frontier"])
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
            f"Training for helpfulness alone moves safety by {with_bounds(moved, points)} points against the "
            f"source{little}. If each stage merely added what it does to the source, {_left(row, 'added')} would "
            f"be left; measured are {_left(row, 'persistence')}. {_order(row)}",
        )


def _left(row: Mapping[str, Any], key: str) -> str:
    shares = [f"{number(row[metric][key]['estimate'])} of the {metric} gain" for metric in METRICS]
    return " and ".join(shares)


def _order(row: Mapping[str, Any]) -> str:
    gap, excess = row["order"]["safety"], row["order_excess"]
    kind = "not distinguishable from nothing"
    if gap["low"] > 0:
        kind = "what came first stays"
    elif gap["high"] < 0:
        kind = "what comes last wins"
    told = f"S > H scores {with_bounds(gap, points)} points of safety above H > S: {kind}."
    if excess["low"] is None:
        return told
    total = {key: excess[key] + 1 for key in ("estimate", "low", "high")}
    return f"{told} The two persistences sum to {with_bounds(total)} (1 on one line, were order without effect)."


def _stops(summary: Summary) -> Iterator[Finding]:
    name = headline_set(summary["frontier"])
    row = _row(summary["audits"]["stops"], set=name, source="all")
    if not row or not row["token_limit"]:
        return
    rows = summary["audits"]["sensitivity"]["rows"]
    without = _row(rows, set=name, without="token-limit stops") or {}
    line = (
        f" Without them R² is {number(without['r2'])} and the slope {number(without['slope'])}."
        if without.get("r2") is not None
        else ""
    )
    yield Finding(
        "stops",
        "Being cut off counts as safe",
        f"{row['token_limit']:.1%} of the {row['n']:,} trained rows of set {name} stop at the token limit. They "
        f"score safety {points(row['safety_at_limit'])} and helpfulness {points(row['helpfulness_at_limit'])}; "
        f"the others {points(row['safety_otherwise'])} and {points(row['helpfulness_otherwise'])}.{line}",
    )


def _scheme(summary: Summary) -> Iterator[Finding]:
    name = headline_set(summary["frontier"])
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


def _single(summary: Summary) -> Iterator[Finding]:
    name = headline_set(summary["frontier"])
    single = summary["audits"]["single_runs"].get(name, {})
    if single.get("r2") is None or summary["frontier"][name]["all"]["r2"] is None:
        return
    line = summary["frontier"][name]["all"]
    yield Finding(
        f"single-{name}",
        "The line is one of averages",
        f"Over the {single['n']:,} single runs, before averaging over seeds and evaluators, R² is "
        f"{number(single['r2'])}; over the {line['n']} averages it is {number(line['r2'])}.",
    )


def _evaluators(summary: Summary) -> Iterator[Finding]:
    told = [
        f"{row['metric']} κ {points(row['kappa'])}, {row['first']} minus {row['second']} {points(row['bias'])} "
        f"points (n = {row['n']:,}, {'pool' if row['part'] == 'pool' else 'evaluation sets'})"
        for row in summary["audits"]["agreement"]
        if row["kappa"] is not None
    ]
    if told:
        yield Finding(
            "agreement",
            "How far the two evaluators agree",
            f"On the same trajectories: {'; '.join(told)}.",
        )
