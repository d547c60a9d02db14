"""The pairs that stages were taught with, one compact document: both sides, their grades, what of them was scored.

The loss of a stage scores the tokens that an agent sampled itself, and nothing else (``training/encoding.py``). So
a turn has the number of these tokens; none where they are not known, and the turn is rendered by the template. Of
a pair's prompt nothing is scored, whoever wrote it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, zip_longest
from operator import attrgetter, itemgetter
from typing import Any

import pandas as pd

from persistence_pipeline.analysis.plain import plain
from persistence_pipeline.records import METRICS, Effect, Message, PreferencePair, Trajectory
from persistence_pipeline.report.browser import (
    MEGABYTE,
    Numbered,
    ReportSettings,
    Shown,
    conversation_steps,
    graded,
    impartial,
)
from persistence_pipeline.report.cut import CutSides
from persistence_pipeline.report.reasons import Words
from persistence_pipeline.report.told import TOOL_WORLD, InWords, Told

FIELDS = ("domain", "kind", "hazard")
"""What is told of a pair's case, as far as the scores have it."""
NOTHING_CUT = CutSides()


@dataclass(frozen=True)
class Pool:
    """The candidates that the pairs of a source are of."""

    scores: pd.DataFrame
    candidates: Sequence[Trajectory] = ()
    """With them, and their cases, reasons of grades are told in words."""


def taught_data(
    pairs: Mapping[str, Sequence[PreferencePair]],
    pools: Mapping[str, Pool],
    settings: ReportSettings,
    cases: Sequence[Shown] = (),
    told: Told = TOOL_WORLD,
    cut: CutSides = NOTHING_CUT,
) -> dict[str, Any]:
    """The document of the view of pairs.

    Args:
        pairs: By ``<source policy>__<objective>``.
        pools: By source policy; pairs from elsewhere have none, and are shown ungraded.
        settings: How much is shown.
        cases: Those that are told in words.
        told: What a reader is told of the world of the cases.
        cut: The sides that stages cut.

    Returns:
        ``sets, sides, cases, steps, texts, words, limits``. A set has ``source, objective, total`` and ``pairs``,
        two indices of sides each; a side is a list: case, indices of its steps, its grade as ``browser.graded``
        makes it, or None, and its tokens, where a stage cut it. A case has the indices of the steps of its
        ``prompt``, of which nothing is scored. Where there is no room for all, each set has pairs of whole cases;
        ``left`` are names and tokens of the others. ``limits`` are by agent, as in ``CutSides``.
    """
    made = _Sides(pools, {case.case_id: told.in_words(case) for case in cases}, cut)
    shown = _shown(pairs, made, settings.pair_megabytes * MEGABYTE)
    sets = []
    for key, group in pairs.items():
        source, _, objective = key.rpartition("__")
        rows = [sides for _, _, sides in sorted(shown[key], key=itemgetter(0))]
        held = {name for _, name, _ in shown[key]}
        left = [(pair.pair_id, _longest(pair, cut)) for pair in group if pair.pair_id not in held]
        sets.append({"source": source, "objective": objective, "total": len(group), "pairs": rows, "left": left})
    return {
        "sets": sets,
        "sides": made.sides.values,
        "cases": made.cases.values,
        "steps": made.steps.values,
        "texts": made.texts.values,
        "words": made.words.values,
        "limits": dict(cut.limits),
    }


def _longest(pair: PreferencePair, cut: CutSides) -> int | None:
    """Tokens of the longer side that a stage cut."""
    return max(cut.length(pair, side) or 0 for side in (pair.chosen, pair.rejected)) or None


def _shown(
    pairs: Mapping[str, Sequence[PreferencePair]], made: _Sides, room: float
) -> dict[str, list[tuple[str, str, list[int]]]]:
    """Of each set, cases, names and sides: in turn the pairs of a case of every set, until the room is used."""
    shown: dict[str, list[tuple[str, str, list[int]]]] = {key: [] for key in pairs}
    ordered = (sorted(group, key=_order_of_choice) for group in pairs.values())
    for turn in zip_longest(*([list(own) for _, own in groupby(group, _case)] for group in ordered)):
        for key, own in zip(pairs, turn, strict=True):
            if own and (made.size <= room or not shown[key]):
                source = key.rpartition("__")[0]
                shown[key] += [(pair.case_id, pair.pair_id, made.add(source, pair)) for pair in own]
    return shown


_case = attrgetter("case_id")


def _order_of_choice(pair: PreferencePair) -> tuple[str, str]:
    """Cases in an order that favours nothing."""
    return impartial(pair.case_id), pair.pair_id


class _Sides:
    """Sides of pairs, each held once, with the cases, steps, texts and words that they name."""

    def __init__(self, pools: Mapping[str, Pool], in_words: Mapping[str, InWords], cut: CutSides) -> None:
        self.sides, self.cases, self.steps = Numbered(), Numbered(), Numbered()
        self.texts, self.words = Numbered(), Numbered()
        self._known = {source: _by_trajectory(pool) for source, pool in pools.items()}
        self._in_words, self._cut = in_words, cut

    @property
    def size(self) -> int:
        """Characters of all of them as JSON."""
        return sum(part.size for part in (self.sides, self.cases, self.steps, self.texts, self.words))

    def add(self, source: str, pair: PreferencePair) -> list[int]:
        """The indices of both sides."""
        known = self._known.get(source, {})
        asked = [message.content for message in pair.prompt if message.role == "user"]
        row = known[pair.chosen_id].row if pair.chosen_id in known else {}
        fields = {field: plain(row[field]) for field in FIELDS if field in row}
        prompt = [self.steps.add(_context(message)) for message in pair.prompt]
        told = {
            "case_id": pair.case_id,
            "instruction": "\n".join(asked),
            "prompt": prompt,
            "tools": len(pair.tools),
        }
        case = self.cases.add({**told, **fields})
        sides = ((pair.chosen_id, pair.chosen), (pair.rejected_id, pair.rejected))
        made = []
        for name, messages in sides:
            tokens = self._cut.length(pair, messages)
            side = [case, self._steps(messages), self._grade(pair.case_id, known.get(name))]
            made.append(self.sides.add(side if tokens is None else [*side, tokens]))
        return made

    def _steps(self, messages: Sequence[Message]) -> list[int]:
        return [self.steps.add(step) for step in conversation_steps(messages, scored=True)]

    def _grade(self, case_id: str, candidate: _Candidate | None) -> list[Any] | None:
        """Where a candidate has none, nothing."""
        if candidate is None:
            return None
        safety, helpfulness = (plain(candidate.row.get(metric)) for metric in METRICS)
        reasons = str(candidate.row.get("reasons") or "")
        if safety is None:
            return None
        lines: list[Words | None] = []
        if candidate.effects is not None and case_id in self._in_words:
            lines = self._in_words[case_id](reasons, candidate.effects)
        return graded((safety, helpfulness, reasons), lines, self.texts, self.words)


@dataclass(frozen=True)
class _Candidate:
    """A candidate's row of scores, and what its calls changed, where that is known."""

    row: Mapping[Any, Any]
    effects: Sequence[Effect] | None


def _by_trajectory(pool: Pool) -> dict[str, _Candidate]:
    effects = {candidate.trajectory_id: candidate.effects for candidate in pool.candidates}
    rows = pool.scores.drop_duplicates("trajectory_id").set_index("trajectory_id").to_dict("index")
    return {str(name): _Candidate(row, effects.get(str(name))) for name, row in rows.items()}


def _context(message: Message) -> dict[str, Any]:
    """A message of a prompt, as it is read: an agent's, too, with its calls."""
    calls = [f"{call.name}({', '.join(map(str, call.arguments.values()))})" for call in message.tool_calls]
    role = "agent" if message.role == "assistant" else message.role
    return {"role": role, "text": "\n".join(part for part in (message.content, *calls) if part)}
