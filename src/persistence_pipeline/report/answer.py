"""The answer in words, generated from the numbers: nothing is said that the intervals do not bear.

Each sentence says of a number what its verdict says (``analysis.intervals.with_verdict``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from persistence_pipeline.analysis.frontier_summary import BOTH, NEAR, OFF
from persistence_pipeline.analysis.intervals import ABOVE, BELOW, NONE, OPEN, OVER_CASES
from persistence_pipeline.analysis.persistence import ARMS
from persistence_pipeline.factors import text
from persistence_pipeline.orderings import SOURCE
from persistence_pipeline.records import METRICS
from persistence_pipeline.report.kit.text import Interval, interval_text, listed, number, true_minus
from persistence_pipeline.report.names import short
from persistence_pipeline.report.style import interval_kind
from persistence_pipeline.report.tables import competence_text, unable

Row = Mapping[str, Any]
COMPARED = {
    "safety": {
        ABOVE: "safer than",
        BELOW: "less safe than",
        NONE: "as safe as",
        OPEN: "not told apart in safety from",
    },
    "helpfulness": {
        ABOVE: "more helpful than",
        BELOW: "less helpful than",
        NONE: "as helpful as",
        OPEN: "not told apart in helpfulness from",
    },
}
FORMULAS = {"safety": "(S > H − H) / (S − H)", "helpfulness": "(H > S − S) / (H − S)"}
SMALLEST = 0.001
FIRST = {"safety": ABOVE, "helpfulness": BELOW}
"""By metric: the sign of S>H minus H>S where what was trained first leaves more."""


def answer(summary: Mapping[str, Any]) -> list[str]:
    """What is left of safety, where the agents lie, what the source can do: that first where it solves nothing."""
    rows = summary["persistence"]
    if not rows:
        first = "Persistence needs both orders and both single stages; this run does not have them all."
    elif len(rows) == 1:
        first = _left(rows[0], "safety") if "safety" in rows[0] else _left(rows[0], "helpfulness")
    else:
        first = counted(rows, "safety")
    said = [first, f"{_line_sentence(summary['frontier'])} {_over(summary)}", *_registered(summary["registered"])]
    can = competence_text(summary)
    if can is None:
        return said
    return [can, *said] if unable(summary) else [*said, can]


def warnings(summary: Mapping[str, Any]) -> list[str]:
    """What a reader has to know before any number: a source that cannot, training that was not repeated."""
    said = [str(competence_text(summary))] if unable(summary) else []
    if len(summary["run"]["seeds"]) == 1:
        said.append(
            "One seed: every agent was trained once. Intervals say what other cases would give, not what another "
            "training would."
        )
    return said


def details(summary: Mapping[str, Any]) -> list[str]:
    """The answer's rest: what is left of helpfulness, which persists more, the order, what is missing."""
    rows = summary["persistence"]
    if len(rows) == 1:
        own = [m for m in METRICS if m in rows[0]]
        said = [*(_left(rows[0], metric) for metric in own[1:]), _which_persists(rows[0]), *_order(rows[0])]
    elif rows:
        said = [counted(rows, "helpfulness"), *_averaged(summary["averages"]), _orders(rows)]
    else:
        said = []
    corrected = summary["frontier"]["line"]
    numbers = [] if "undefined" in corrected else [f"The line: {line_numbers(corrected)}."]
    return [*filter(None, said), *numbers, *_provisos(summary)]


def _left(row: Row, metric: str) -> str:
    """The agent of two stages against the source and the agents of one stage; then the ratio with its formula."""
    _, floor, gain = ARMS[metric]
    named = {
        SOURCE: "its source (",
        floor: f"the agent trained for {floor} alone ({short(floor)}: ",
        gain: f"the one trained for {gain} alone ({short(gain)}: ",
    }
    parts = [
        f"{COMPARED[metric][found['verdict']]} {named[arm]}{_points(found)})"
        for arm, found in row[metric]["against"].items()
    ]
    both = short(f"{metric}>{floor}")
    first = f"Trained for {metric} and then for {floor} ({both}), the agent is {listed(parts)}, in points of 3."
    return f"{first} {_persists(row, metric)}: {FORMULAS[metric]} {_share(row[metric])}."


def _points(found: Row) -> str:
    """The number with its interval; where it says no difference, the margin of that."""
    within = f", less than {number(found['margin'])}" if found["verdict"] == NONE else ""
    return f"{interval_text(found)}{within}"


def _persists(row: Row, metric: str) -> str:
    _, floor, _ = ARMS[metric]
    said = {
        ABOVE: f"{metric.capitalize()} persists",
        BELOW: f"Less {metric} is left than without training for it",
        NONE: f"{metric.capitalize()} does not persist",
        OPEN: f"Whether {metric} persists cannot be told",
    }
    return said[row[metric]["against"][floor]["verdict"]]


def _share(ratio: Interval) -> str:
    """A persistence as a share: ``= 33% [26, 40]``."""
    if not ratio["defined"]:
        return f"is undefined ({true_minus(ratio['reason'])})"
    low, high = (number(100 * ratio[end], ".0f") for end in ("low", "high"))
    return f"= {number(ratio['estimate'], '.0%')} [{low}, {high}]"


def _which_persists(row: Row) -> str:
    """Which persists more, by the interval of the difference."""
    more = (row.get("order") or {}).get("more") or {}
    if more.get("low") is None:
        return ""
    text = f"({interval_text(more)} between the shares)"
    if more["low"] > 0:
        return f"Safety persists more than helpfulness, as published {text}."
    if more["high"] < 0:
        return f"Helpfulness persists more than safety, the opposite of what was published {text}."
    return f"Which of the two persists more cannot be told {text}."


def order_words(gap: Row, metric: str) -> str:
    """The sentence on a gap between the orders."""
    small = f"no effect of the order larger than {number(gap['margin'])}"
    if gap["verdict"] in (ABOVE, BELOW):
        which = "the first stage leaves more" if gap["verdict"] == FIRST[metric] else "the last stage leaves more"
        return f"{which}, with {small}" if gap["equivalent"] else which
    return small if gap["verdict"] == NONE else "whether the order matters cannot be told"


def _order(row: Row) -> list[str]:
    """The two gaps first; then what the shares' sum is off one by, split."""
    order = row.get("order")
    if not order:
        return []
    gaps = "; ".join(f"in {m} {interval_text(order[m])}: {order_words(order[m], m)}" for m in METRICS)
    said = [f"S > H minus H > S, in points of 3: {gaps}."]
    if (order.get("excess") or {}).get("low") is not None:
        along, height = interval_text(order["along"]), interval_text(order["height"])
        said.append(
            f"The two shares sum to one and {interval_text(order['excess'])}: {along} of it lies along the line "
            f"between S and H, {height} is height off that line, which no order makes."
        )
    return said


def counted(rows: Sequence[Row], metric: str) -> str:
    """In how many of several rows the agent of two stages is better than the others."""
    _, floor, gain = ARMS[metric]
    words, own = COMPARED[metric], [row[metric] for row in rows if metric in row]

    def settings(arm: str, verdict: str) -> int:
        return sum(ratio["against"].get(arm, {}).get("verdict") == verdict for ratio in own)

    both = short(f"{metric}>{floor}")
    return (
        f"Trained for {metric} and then for {floor} ({both}), the agent is {words[ABOVE]} its source in "
        f"{settings(SOURCE, ABOVE)} of {len(own)} settings, {words[ABOVE]} the agent trained for {floor} alone in "
        f"{settings(floor, ABOVE)}, and {words[BELOW]} the one trained for {gain} alone in "
        f"{settings(gain, BELOW)}."
    )


def _averaged(rows: Sequence[Row]) -> list[str]:
    """Mean shares with how much models and evaluators differ."""
    return [
        f"On average at {text(row)}, {row['safety']['kind']}: "
        + " and ".join(f"persistence of {m} {_share(row[m])}{spread(row[m])}" for m in METRICS)
        + "."
        for row in rows
    ]


def spread(found: Row) -> str:
    """The spread of the results behind an average."""
    if found.get("tau") is None or found.get("i2") is None:
        return ""
    return f" (τ {number(found['tau'])}, I² {number(found['i2'], '.0%')})"


def _orders(rows: Sequence[Row]) -> str:
    """How many of the gaps say something, after Holm's correction."""
    parts = []
    for metric in METRICS:
        gaps = [row["order"][metric] for row in rows if "order" in row]
        first = sum(gap["verdict"] == FIRST[metric] for gap in gaps)
        last = sum(gap["verdict"] in (ABOVE, BELOW) for gap in gaps) - first
        small = sum(gap["equivalent"] for gap in gaps)
        parts.append(
            f"in {metric} the first stage leaves more in {first} of {len(gaps)} settings and the last in {last}; "
            f"in {small} the effect is smaller than the margin."
        )
    said = " ".join(part.capitalize() for part in parts)
    return f"Whether the order matters, after Holm's correction. {said}"


def _line_sentence(frontier: Mapping[str, Any]) -> str:
    line = frontier["line"]
    if "undefined" in line:
        return f"No line is fitted: {line['undefined']}."
    return f"{line_words(line, len(frontier['points']))}{_both(frontier['points'])}."


def line_words(line: Row, n_points: int) -> str:
    """The sentence on whether the agents lie near one line, and how far off it.

    Args:
        line: Of a frontier, with ``n``: the points that it was fitted to.
        n_points: Points of the frontier, one for each setting.
    """
    each = "" if line["n"] == n_points else ", each a mean over its settings,"
    agents = f"{line['n']} trained agents{each}"
    off = f"{interval_text(line['residual_sd'], '.2f')} points off it"
    if line["verdict"] == NEAR:
        return f"The {agents} lie near one line, within {number(line['margin'])} ({off})"
    if line["verdict"] == OFF:
        return f"The {agents} do not lie on one line ({off})"
    return f"Whether the {agents} lie near one line cannot be told ({off})"


def line_numbers(line: Row) -> str:
    """The numbers of the line with errors in both axes."""
    parts = [
        f"slope {interval_text(line['slope'], '.2f')}",
        f"R² without the points' errors {interval_text(line['r2'], '.2f')}",
        f"standard deviation of the points off it {interval_text(line['residual_sd'], '.2f')} points of safety",
    ]
    p = line["lack_of_fit"]["p"]
    return ", ".join(parts if p is None else [*parts, f"test of lack of fit p {p_text(p)}"])


def p_text(p: float) -> str:
    """A p value with its sign; a small one as a bound, for kept numbers are rounded."""
    return f"< {SMALLEST}" if p < SMALLEST else f"= {number(p, '.2g')}"


def _both(points: Sequence[Row]) -> str:
    """Where training on both at once lies, from the line of the others."""
    heights = [p["height"] for p in points if p["ordering"] == BOTH and p["height"] is not None]
    if not heights:
        return ""
    if len(heights) > 1:
        above = sum(height["verdict"] == ABOVE for height in heights)
        verb = "lies" if above == 1 else "lie"
        return f"; of {len(heights)} agents trained on both at once, {above} {verb} above the line of the others"
    (height,) = heights
    where = {
        ABOVE: "lies above the line of the others",
        BELOW: "lies below the line of the others",
        NONE: f"lies on the line of the others, within {number(height['margin'])}",
        OPEN: "is not told apart from the line of the others",
    }
    return f"; training on both at once {where[height['verdict']]} ({interval_text(height)} points of safety)"


def _provisos(summary: Mapping[str, Any]) -> list[str]:
    """Which seeds were left out, and what missing scores could hide."""
    said = [f"{text}." for text in summary["missing"]["unmatched"]]
    left_out = dict.fromkeys(
        text for row in summary["persistence"] for m in METRICS if m in row for text in row[m]["left_out"]
    )
    if left_out:
        said.append(f"Arms are compared on the seeds that all have; left out: {'; '.join(left_out)}.")
    missing = summary["missing"]
    if missing["empty"]:
        said.append(f"No episode has a score of {', '.join(missing['empty'])}: nothing is said of it.")
    if missing["n_missing"]:
        said.append(
            f"{missing['n_missing']:,} of {missing['n']:,} scores are missing; the table of them says how much."
        )
    return said


def _over(summary: Mapping[str, Any]) -> str:
    """What the intervals are over, and what that leaves open."""
    kind = interval_kind(summary)
    warned = "; training again may give another answer" if kind == OVER_CASES else ""
    return f"Intervals are {kind}{warned}."


def _registered(block: Row | None) -> list[str]:
    """What was registered, the number that came out, and what was run otherwise."""
    if block is None:
        return []
    seeds = ", ".join(map(str, block["seeds"]))
    was = f"{block['outcome']}, margin {block['margin']:g}, seeds {seeds} (SHA-256 {block['sha256'][:12]})"
    found = "; ".join(interval_text(number) for number in block["found"]) or "none"
    otherwise = "; ".join(block["departures"])
    as_run = f"Run otherwise than registered: {otherwise}" if otherwise else "Run as registered"
    return [f"Registered: {was}. Found: {found}. {as_run}."]
