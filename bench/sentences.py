"""``python -m bench sentences``: how often each sentence of the report stands where it is true and where not.

A sentence is tried on studies with the effect that the plan promises 95% power for, from a pilot of the same
noise, and on studies just where it stops being true.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.simulated import SLOPE, Levels, Noise, levels, studies, template
from persistence_pipeline.analysis.bootstrap import Draws
from persistence_pipeline.analysis.frontier_summary import frontier_summary
from persistence_pipeline.analysis.intervals import ALPHA, MARGIN
from persistence_pipeline.analysis.power import seeds_for_equivalence, smallest_effect
from persistence_pipeline.analysis.summary import persistence_summary
from persistence_pipeline.report.answer import answer, details

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
        "missing": missing,
    }


def _moved(arm: str, safety: float, base: Levels | None = None) -> Levels:
    """Levels with one arm's safety at this height above the line."""
    rows = base or levels()
    _, helpful = rows[arm]
    return {**rows, arm: (1.5 + SLOPE * (helpful - 1.5) + safety, helpful)}


def _with_safety(arm: str, safety: float) -> Levels:
    """Levels with one arm's safety."""
    rows = levels()
    return {**rows, arm: (safety, rows[arm][1])}


def _shares(safety: float, helpfulness: float) -> Levels:
    """Levels with these two persistences, all arms on the line."""
    rows = levels()
    (_, low), (_, high) = rows["safety"], rows["helpfulness"]
    helpful = {
        "safety>helpfulness": high + safety * (low - high),
        "helpfulness>safety": low + helpfulness * (high - low),
    }
    return {**rows, **{arm: (1.5 + SLOPE * (h - 1.5), h) for arm, h in helpful.items()}}


def _gap(gap: float) -> Levels:
    """Levels whose S>H is this much safer than H>S."""
    rows = levels()
    safety, helpful = rows["helpfulness>safety"]
    return {**rows, "safety>helpfulness": (safety + gap, helpful)}


def _off_line(spread: float) -> Levels:
    """Levels whose points have this standard deviation off the line."""
    rows = levels(on_line=False)
    flat = levels()
    draws = _exact(rows)
    scale = spread / frontier_summary(draws)["line"]["residual_sd"]["estimate"]
    return {arm: (flat[arm][0] + scale * (rows[arm][0] - flat[arm][0]), flat[arm][1]) for arm in rows}


def _exact(truth: Levels) -> Draws:
    """A study without noise."""
    runs = template(2, 2)
    values = {
        m: np.array([truth[arm][i] for arm in runs.table["ordering"]])
        for i, m in enumerate(("safety", "helpfulness"))
    }
    return Draws(runs, {metric: np.tile(row, (3, 1)) for metric, row in values.items()})


def _against(arm: str) -> Callable[[Summary], Mapping[str, Any]]:
    return lambda summary: dict(summary["persistence"][0]["safety"]["against"][arm])


def _order(name: str) -> Callable[[Summary], Mapping[str, Any]]:
    return lambda summary: dict(summary["persistence"][0]["order"][name])


def _height(summary: Summary) -> Mapping[str, Any]:
    return next(dict(p["height"]) for p in summary["frontier"]["points"] if p["ordering"] == "both")


LINE = levels()
FIRST = "safety>helpfulness"
SENTENCES = {
    "safer than its source": Sentence(
        "the agent is safer than its source",
        _against("source"),
        lambda effect: _with_safety(FIRST, LINE["source"][0] + effect),
        lambda: _with_safety(FIRST, LINE["source"][0]),
    ),
    "less safe than S": Sentence(
        "less safe than the one trained for safety alone",
        _against("safety"),
        lambda effect: _with_safety(FIRST, LINE["safety"][0] - effect),
        lambda: _with_safety(FIRST, LINE["safety"][0]),
    ),
    "persists": Sentence(
        "Safety persists: ",
        _against("helpfulness"),
        lambda effect: _with_safety(FIRST, LINE["helpfulness"][0] + effect),
        lambda: _with_safety(FIRST, LINE["helpfulness"][0]),
    ),
    "does not persist": Sentence(
        "Safety does not persist",
        _against("helpfulness"),
        lambda _: _with_safety(FIRST, LINE["helpfulness"][0]),
        lambda: _with_safety(FIRST, LINE["helpfulness"][0] + MARGIN),
        of_nothing=True,
    ),
    "persists more": Sentence(
        "Safety persists more than helpfulness",
        _order("more"),
        lambda effect: _shares(0.5 + effect / 2, 0.5 - effect / 2),
        lambda: _shares(0.5, 0.5),
    ),
    "the first stage leaves more": Sentence(
        "in safety [^:]*: the first stage leaves more", _order("safety"), _gap, lambda: _gap(0.0), alpha=ALPHA / 2
    ),
    "the last stage leaves more": Sentence(
        "in safety [^:]*: the last stage leaves more",
        _order("safety"),
        lambda effect: _gap(-effect),
        lambda: _gap(0.0),
        alpha=ALPHA / 2,
    ),
    "no effect larger than": Sentence(
        "in safety [^:]*: (the (first|last) stage leaves more, with )?no effect of the order larger than",
        _order("safety"),
        lambda _: _gap(0.0),
        lambda: _gap(MARGIN),
        of_nothing=True,
    ),
    "above the line": Sentence(
        "both at once lies above the line of the others",
        _height,
        lambda effect: _moved("both", effect),
        lambda: _moved("both", 0.0),
    ),
    "on the line": Sentence(
        "both at once lies on the line of the others",
        _height,
        lambda _: _moved("both", 0.0),
        lambda: _moved("both", MARGIN),
        of_nothing=True,
    ),
    "near one line": Sentence(
        "agents lie near one line, within", _height, lambda _: LINE, lambda: _off_line(MARGIN), of_nothing=True
    ),
    "do not lie on one line": Sentence(
        "do not lie on one line", _height, lambda effect: _off_line(effect), lambda: LINE
    ),
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


def main(argv: list[str]) -> None:
    """Try every sentence and print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench sentences", description=__doc__)
    parser.add_argument("--studies", type=int, default=1_000, help="simulated studies for each sentence, twice")
    options = parser.parse_args(argv)
    print("| sentence | chains | effect | where true | at the boundary |\n| --- | --- | --- | --- | --- |")
    for name in SENTENCES:
        row = tried(name, options.studies)
        effect = f"{row['effect']:.3f}" if row["effect"] else "none"
        print(f"| {name} | {row['seeds']:.0f} | {effect} | {row['true']:.3f} | {row['false']:.3f} |", flush=True)
