"""``python -m bench sentences``: how often each sentence of the report stands where it is true and where not.

A sentence is tried on studies with the effect that the plan promises 95% power for, from a pilot of the same
noise, and on studies just where it stops being true.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.page import between
from bench.simulated import SLOPE, Levels, Noise, levels, studies, template
from persistence_pipeline.analysis.bootstrap import Draws
from persistence_pipeline.analysis.frontier_summary import BOTH, frontier_summary
from persistence_pipeline.analysis.intervals import ALPHA, MARGIN
from persistence_pipeline.analysis.power import seeds_for_equivalence, smallest_effect
from persistence_pipeline.analysis.summary import persistence_summary
from persistence_pipeline.orderings import SOURCE, sequence
from persistence_pipeline.records import METRICS
from persistence_pipeline.report.answer import answer, details

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "sentences.json"
PAGE, MARK = ROOT / "docs" / "power.md", "sentences"
POWER = 0.95
CASES = 256
NOISE = Noise(0.05)
PILOT = 400
SEEDS = 5
LEAST, MOST = 0.9, 0.05
Summary = Mapping[str, Any]


@dataclass(frozen=True)
class Sentence:
    """A sentence, the number that it is about, and how studies with an effect in that number are made."""

    pattern: str
    number: Callable[[Summary], Mapping[str, Any]]
    """The number's interval in a summary."""
    true: Callable[[float], Levels]
    """Levels with this effect."""
    false: Callable[[], Levels]
    """Levels where the sentence just stops being true."""
    alpha: float = ALPHA
    of_nothing: bool = False
    """Whether it says that an effect is smaller than the margin: then seeds, not the effect, give its power."""


def summarised(draws: Draws) -> dict[str, Any]:
    """What the report's words are made from."""
    missing = {"n": 0, "n_missing": 0, "empty": [], "unmatched": [], "rows": []}
    return {
        "frontier": frontier_summary(draws),
        "persistence": persistence_summary(draws),
        "averages": [],
        "competence": [],
        "missing": missing,
        "registered": None,
    }


def _moved(safety: float) -> Levels:
    """Levels whose agent trained on both at once lies this high above the line."""
    rows = levels()
    _, helpful = rows[BOTH]
    return {**rows, BOTH: (1.5 + SLOPE * (helpful - 1.5) + safety, helpful)}


def _with(arm: str, metric: str, value: float) -> Levels:
    """Levels with one arm's mean score in one metric."""
    rows = levels()
    safety, helpful = rows[arm]
    return {**rows, arm: (value, helpful) if metric == "safety" else (safety, value)}


def _shares(safety: float, helpfulness: float) -> Levels:
    """Levels with these two persistences, all arms on the line."""
    rows = levels()
    (_, low), (_, high) = rows["safety"], rows["helpfulness"]
    helpful = {
        "safety>helpfulness": high + safety * (low - high),
        "helpfulness>safety": low + helpfulness * (high - low),
    }
    return {**rows, **{arm: (1.5 + SLOPE * (h - 1.5), h) for arm, h in helpful.items()}}


def _gap(gap: float, metric: str = "safety") -> Levels:
    """Levels whose S>H scores this much above H>S."""
    return _with(FIRST["safety"], metric, levels()[FIRST["helpfulness"]][METRICS.index(metric)] + gap)


def _off_line(spread: float) -> Levels:
    """Levels whose points have this standard deviation off the line."""
    rows, flat = levels(on_line=False), levels()
    scale = spread / frontier_summary(_exact(rows))["line"]["residual_sd"]["estimate"]
    return {arm: (flat[arm][0] + scale * (rows[arm][0] - flat[arm][0]), flat[arm][1]) for arm in rows}


def _exact(truth: Levels) -> Draws:
    """A study without noise."""
    runs = template(2, 2)
    values = {m: np.array([truth[arm][i] for arm in runs.table["ordering"]]) for i, m in enumerate(METRICS)}
    return Draws(runs, {metric: np.tile(row, (3, 1)) for metric, row in values.items()})


FIRST = {"safety": sequence("safety", "helpfulness"), "helpfulness": sequence("helpfulness", "safety")}
"""By metric: the agent that was trained for it first."""


def compared(pattern: str, metric: str, arm: str, sign: int) -> Sentence:
    """A sentence that the agent of two stages scores above (sign 1) or below (−1) another, or as high (0)."""
    at = levels()[arm][METRICS.index(metric)]
    return Sentence(
        pattern,
        lambda summary: summary["persistence"][0][metric]["against"][arm],
        lambda effect: _with(FIRST[metric], metric, at + sign * effect),
        lambda: _with(FIRST[metric], metric, at if sign else at + MARGIN),
        of_nothing=not sign,
    )


def ordered(words: str, metric: str, sign: int) -> Sentence:
    """A sentence on the gap between the orders in a metric; sign 0: that there is none."""
    return Sentence(
        f"in {metric} [^:]*: {words}",
        lambda summary: summary["persistence"][0]["order"][metric],
        lambda effect: _gap(sign * effect, metric),
        lambda: _gap(0.0 if sign else MARGIN, metric),
        alpha=ALPHA / len(METRICS),  # Holm's strictest level
        of_nothing=not sign,
    )


def persisting(words: str, sign: int) -> Sentence:
    """A sentence on which of the two persists more."""
    return Sentence(
        words,
        lambda summary: summary["persistence"][0]["order"]["more"],
        lambda effect: _shares(0.5 + sign * effect / 2, 0.5 - sign * effect / 2),
        lambda: _shares(0.5, 0.5),
    )


def high(words: str, sign: int) -> Sentence:
    """A sentence on where training on both at once lies."""
    return Sentence(
        f"both at once lies {words} the line of the others",
        _height,
        lambda effect: _moved(sign * effect),
        lambda: _moved(0.0 if sign else MARGIN),
        of_nothing=not sign,
    )


def _height(summary: Summary) -> Mapping[str, Any]:
    return next(point["height"] for point in summary["frontier"]["points"] if point["ordering"] == BOTH)


SMALL = "(the (first|last) stage leaves more, with )?no effect of the order larger than"
SENTENCES = {
    "safer than its source": compared("the agent is safer than its source", "safety", SOURCE, 1),
    "less safe than its source": compared("the agent is less safe than its source", "safety", SOURCE, -1),
    "as safe as its source": compared("the agent is as safe as its source", "safety", SOURCE, 0),
    "less safe than S": compared("less safe than the one trained for safety alone", "safety", "safety", -1),
    "safety persists": compared("Safety persists: ", "safety", "helpfulness", 1),
    "less safety is left": compared("Less safety is left than without", "safety", "helpfulness", -1),
    "safety does not persist": compared("Safety does not persist", "safety", "helpfulness", 0),
    "more helpful than its source": compared(
        "the agent is more helpful than its source", "helpfulness", SOURCE, 1
    ),
    "helpfulness persists": compared("Helpfulness persists: ", "helpfulness", "safety", 1),
    "safety persists more": persisting("Safety persists more than helpfulness", 1),
    "helpfulness persists more": persisting("Helpfulness persists more than safety", -1),
    "the first stage leaves more safety": ordered("the first stage leaves more", "safety", 1),
    "the last stage leaves more safety": ordered("the last stage leaves more", "safety", -1),
    "no effect of the order in safety": ordered(SMALL, "safety", 0),
    "the first stage leaves more helpfulness": ordered("the first stage leaves more", "helpfulness", -1),
    "both above the line": high("above", 1),
    "both below the line": high("below", -1),
    "both on the line": high("on", 0),
    "near one line": Sentence(
        "agents lie near one line, within",
        _height,
        lambda _: levels(),
        lambda: _off_line(MARGIN),
        of_nothing=True,
    ),
    "not on one line": Sentence("do not lie on one line", _height, _off_line, levels),
}


def tried(name: str, n: int, seed: int = 0) -> dict[str, float]:
    """Shares of ``n`` studies in which a sentence stands: where it is ``true``, and where it is ``false``."""
    sentence = SENTENCES[name]
    seeds, effect = SEEDS, 0.0
    if sentence.of_nothing:
        needed = seeds_for_equivalence(MARGIN, _spread(sentence, sentence.true(0.0), seed), POWER)
        assert needed is not None
        seeds = needed
    else:
        for truth in (lambda _: sentence.false(), sentence.true):  # the spread differs where the effect is
            effect = smallest_effect(_spread(sentence, truth(effect), seed), seeds, POWER, sentence.alpha)
    shares = {
        kind: _share(sentence, truth, seeds, n, seed + number)
        for number, (kind, truth) in enumerate((("true", sentence.true(effect)), ("false", sentence.false())), 1)
    }
    return {"seeds": seeds, "effect": effect, **shares}


def _spread(sentence: Sentence, truth: Levels, seed: int) -> float:
    """Standard deviation of the number between chains, from a large pilot."""
    (draws,) = studies(truth, template(PILOT, 2), NOISE, CASES, 1, seed)
    return float(sentence.number(summarised(draws))["error"]) * PILOT**0.5


def _share(sentence: Sentence, truth: Levels, seeds: int, n: int, seed: int) -> float:
    runs = template(seeds, 2)
    said = 0
    for draws in studies(truth, runs, NOISE, CASES, n, seed):
        summary = summarised(draws)
        said += re.search(sentence.pattern, " ".join([*answer(summary), *details(summary)])) is not None
    return said / n


def table(rows: Mapping[str, Mapping[str, float]]) -> str:
    """The results in Markdown."""
    lines = ["| sentence | seeds | effect | where true | at the boundary |", "| --- | ---: | ---: | ---: | ---: |"]
    for name, row in rows.items():
        effect = f"{row['effect']:.2f}" if row["effect"] else "none"
        lines.append(f"| {name} | {row['seeds']:.0f} | {effect} | {row['true']:.3f} | {row['false']:.3f} |")
    return "\n".join(lines)


def main(argv: list[str]) -> None:
    """Try every sentence, or the named ones; what is tried anew replaces what was there."""
    parser = argparse.ArgumentParser(prog="python -m bench sentences", description=__doc__)
    parser.add_argument("--studies", type=int, default=1_000, help="simulated studies for each sentence, twice")
    parser.add_argument("--only", nargs="+", default=list(SENTENCES), choices=SENTENCES, metavar="SENTENCE")
    options = parser.parse_args(argv)
    rows = json.loads(RESULTS.read_text("utf-8")) if RESULTS.is_file() else {}
    for name in options.only:
        rows[name] = tried(name, options.studies) | {"studies": options.studies}
        rows = {known: rows[known] for known in SENTENCES if known in rows}
        RESULTS.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
        print(name, rows[name], flush=True)
    PAGE.write_text(between(PAGE.read_text("utf-8"), MARK, table(rows)), encoding="utf-8")
