"""The data of the trajectory browser, one compact document: cells, cases, steps, grades with reasons.

Steps and texts repeat a great deal, so each is stored once and named by its index. Nothing here is markup: the
page's script writes every text as text.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import pandas as pd
from pydantic import Field

from persistence_pipeline.analysis.plain import plain
from persistence_pipeline.factors import further
from persistence_pipeline.records import HEADLINE_SPLIT, Message, Trajectory
from persistence_pipeline.report.reasons import Words
from persistence_pipeline.report.told import TOOL_WORLD, InWords, Told
from persistence_pipeline.report.wording import effect_words
from persistence_pipeline.strict import Strict

MEGABYTE = 1_000_000
Grade = tuple[float | None, float | None, str]
"""Safety, helpfulness, reasons."""
Grades = list[Grade | None]
"""By evaluator; None where it has not graded."""


class ReportSettings(Strict):
    """Settings of the report."""

    browser_megabytes: float = Field(8, gt=0)
    """Room for the trajectory browser's data. Where a study has more, whole cases are left out, and the page says
    how many."""
    pair_megabytes: float = Field(2, gt=0)
    """Room for the pairs that stages were taught with, shared by sources and objectives a case at a time."""


class Shown(Protocol):
    """A case as the browser needs it, whatever world it is played in."""

    @property
    def case_id(self) -> str: ...
    @property
    def twin_id(self) -> str: ...
    @property
    def split(self) -> str: ...


class Numbered:
    """Values by index; equal values share one."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self.size = 0
        """Characters of the values as JSON."""
        self._index: dict[str, int] = {}

    def add(self, value: Any) -> int:
        """The index of a value."""
        key = json.dumps(value, sort_keys=True, ensure_ascii=False)
        if key not in self._index:
            self._index[key] = len(self.values)
            self.values.append(value)
            self.size += len(key) + 1
        return self._index[key]


def browser_data(
    cases: Sequence[Shown],
    trajectories: Mapping[str, Sequence[Trajectory]],
    scores: pd.DataFrame,
    settings: ReportSettings,
    told: Told = TOOL_WORLD,
) -> dict[str, Any]:
    """The document of the browser.

    Args:
        cases: The cases of every seed.
        trajectories: Test trajectories by cell, in the order of the columns.
        scores: The study's scores; trajectories without a row are shown ungraded.
        settings: How much is shown.
        told: What a reader is told of the world of the cases.

    Returns:
        ``cells, cases, steps, texts, words, facts, evaluators, trajectories, total, left``. ``left`` are the ids
        of cases that there is no room for. A trajectory is a list: cell, case, sample, stop reason, indices of its
        steps, by evaluator its grade, and the index of what is
        counted of it among ``facts``, or None. A grade is a list: safety, helpfulness, reasons (or the reason for
        a missing score) and, where there are any, the indices of the ``words`` of each line of the reasons.
    """
    by_case: dict[str, list[tuple[int, Trajectory]]] = {}
    for index, group in enumerate(trajectories.values()):
        for trajectory in group:
            by_case.setdefault(trajectory.case_id, []).append((index, trajectory))
    played = [case for case in cases if case.case_id in by_case]
    evaluators = [str(name) for name in scores["evaluator"].unique()]
    grades, facts = _grades_by_trajectory(scores, evaluators), _Facts(scores)
    frame = {
        "cells": _cells(scores, list(trajectories)),
        "evaluators": evaluators,
        "total": {"trajectories": sum(map(len, by_case.values())), "cases": len(played)},
    }
    words = {case.case_id: told.in_words(case) for case in played}
    rows = _Rows(by_case, grades, words, facts, len(evaluators))
    names = [case.case_id for case in played]
    room = settings.browser_megabytes * MEGABYTE - characters(frame) - characters(names)
    shown = _chosen(played, rows, room, told.describe)
    held = {case.case_id for case in shown}
    table = _Rows(by_case, grades, words, facts, len(evaluators))
    return frame | {
        "left": [name for name in names if name not in held],
        "trajectories": [row for index, case in enumerate(shown) for row in table.of_case(index, case)],
        "cases": [told.describe(case) for case in shown],
        "steps": table.steps.values,
        "texts": table.texts.values,
        "words": table.words.values,
        "facts": {"names": facts.names, "values": facts.numbered.values},
    }


FACTS = {
    "n_calls": "calls",
    "n_harms": "harms",
    "n_irreversible": "irreversible",
    "n_to_others": "to_others",
    "n_blind": "blind",
    "n_invalid": "invalid",
    "n_failed": "failed",
    "n_questions": "questions",
    "n_writes": "writes",
    "refused": "refused",
    "fabricated": "fabricated",
    "fabricated_wide": "fabricated_wide",
    "again": "again",
    "twice": "twice",
    "told": "told",
    "needless_questions": "needless_questions",
    "needless_safeguards": "needless_safeguards",
    "needless_refusal": "needless_refusal",
}
"""Columns of the scores that can be filtered by, with the names that the filter has for them."""


class _Facts:
    """What is counted of each trajectory, by the first evaluator that counts it."""

    def __init__(self, scores: pd.DataFrame) -> None:
        columns = [column for column in FACTS if column in scores]
        self.names = [FACTS[column] for column in columns]
        self.numbered = Numbered()
        counted = scores.dropna(subset=columns, how="all").drop_duplicates("trajectory_id")
        rows = counted[["trajectory_id", *columns]].itertuples(index=False)
        self.of = {str(row[0]): self.numbered.add([_number(value) for value in row[1:]]) for row in rows}


def _number(value: Any) -> int | None:
    """A count, or a mark as 0 or 1."""
    return None if pd.isna(value) else int(value)


class _Rows:
    """Rows of trajectories, and the steps and texts that they name."""

    def __init__(
        self,
        by_case: Mapping[str, list[tuple[int, Trajectory]]],
        grades: Mapping[str, Grades],
        words: Mapping[str, InWords],
        facts: _Facts,
        n_evaluators: int,
    ) -> None:
        self.steps, self.texts, self.words = Numbered(), Numbered(), Numbered()
        self._grades, self._words, self._facts = grades, words, facts
        self._by_case = by_case
        self._ungraded: Grades = [None] * n_evaluators

    @property
    def shared(self) -> int:
        """Characters, as JSON, of what rows name by index."""
        shared = (self.steps, self.texts, self.words, self._facts.numbered)
        return sum(part.size for part in shared) + characters(self._facts.names)

    def of_case(self, index: int, case: Shown) -> list[list[Any]]:
        """The rows of a case's trajectories."""
        return [
            [
                cell,
                index,
                trajectory.sample,
                self.texts.add(trajectory.stop_reason),
                [self.steps.add(step) for step in episode_steps(trajectory)],
                self._graded(trajectory),
                self._facts.of.get(trajectory.trajectory_id),
            ]
            for cell, trajectory in self._by_case[case.case_id]
        ]

    def _graded(self, trajectory: Trajectory) -> list[list[Any] | None]:
        """By evaluator: the grade, where there is one."""
        in_words, effects = self._words[trajectory.case_id], trajectory.effects
        return [
            grade and graded(grade, in_words(grade[2], effects), self.texts, self.words)
            for grade in self._grades.get(trajectory.trajectory_id, self._ungraded)
        ]


def graded(grade: Grade, lines: Sequence[Words | None], texts: Numbered, words: Numbered) -> list[Any]:
    """A grade as the page's script reads it: safety, helpfulness, index of the reasons, indices of their words.

    The last are there if any line has words.

    Args:
        grade: Safety, helpfulness, reasons.
        lines: Of each line of the reasons the words, or None.
        texts: Holds the reasons.
        words: Holds the words.
    """
    told = [[line and words.add(line) for line in lines]] if any(lines) else []
    return [*grade[:2], texts.add(grade[2]), *told]


def _chosen(
    cases: Sequence[Shown], rows: _Rows, room: float, describe: Callable[[Any], dict[str, Any]]
) -> list[Shown]:
    """Whole twin pairs, the headline split first, until the room is used; in the order they were given."""
    twins: dict[str, list[Shown]] = {}
    for case in sorted(cases, key=_order_of_choice):
        twins.setdefault(case.twin_id, []).append(case)
    chosen: set[str] = set()
    size = 0
    for pair in twins.values():
        size += sum(characters(describe(case)) + characters(rows.of_case(0, case)) for case in pair)
        if size + rows.shared > room:
            break
        chosen |= {case.case_id for case in pair}
    return [case for case in cases if case.case_id in chosen]


def characters(value: Any) -> int:
    """Length of a value as JSON, with what divides it from the next."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":"))) + 1


def impartial(name: str) -> str:
    """Sorts by name in an order that favours nothing, always the same."""
    return hashlib.sha256(name.encode()).hexdigest()


def _order_of_choice(case: Shown) -> tuple[bool, str]:
    """The headline split first; within a split an order that favours nothing."""
    return case.split != HEADLINE_SPLIT, impartial(case.twin_id)


def _grades_by_trajectory(scores: pd.DataFrame, evaluators: Sequence[str]) -> dict[str, Grades]:
    """By trajectory and evaluator: safety, helpfulness, and the reasons or why there is no score."""
    grades: dict[str, Grades] = {}
    columns = ["trajectory_id", "evaluator", "safety", "helpfulness", "missing_reason"]
    reasons = scores["reasons"] if "reasons" in scores else [""] * len(scores)
    for row, reason in zip(scores[columns].itertuples(index=False), reasons, strict=True):
        safety, helpfulness = plain(row.safety), plain(row.helpfulness)
        text = f"not graded: {row.missing_reason}" if None in (safety, helpfulness) else str(reason or "")
        place = grades.setdefault(str(row.trajectory_id), [None] * len(evaluators))
        place[evaluators.index(str(row.evaluator))] = (safety, helpfulness, text)
    return grades


def _cells(scores: pd.DataFrame, names: Iterable[str]) -> list[dict[str, Any]]:
    first = scores.drop_duplicates("cell").set_index("cell").to_dict("index")
    fields = ("ordering", "source", "beta", *further(scores.columns), "seed")
    return [plain({"name": name, **{key: first[name][key] for key in fields}}) for name in names]


def episode_steps(trajectory: Trajectory) -> list[dict[str, Any]]:
    """The calls of an episode in order, each with its observation and its effect.

    A step is one of ``conversation_steps``; where the call wrote something, it has ``changes`` and ``knew``, too.
    """
    steps = conversation_steps(trajectory.messages)
    calls = [step for step in steps if "role" not in step]
    for effect in trajectory.effects:
        place = calls[effect.step] if effect.step < len(calls) else _further(steps)
        place.update(effect_words(effect))
    return steps


def conversation_steps(messages: Sequence[Message], *, scored: bool = False) -> list[dict[str, Any]]:
    """The calls of a conversation in order, each with its observation.

    A step has ``tool`` and ``arguments`` (or only ``text`` where a turn was not a call) and ``observation``; one
    of anybody else has ``role`` and ``text``.

    Args:
        messages: What precedes the agent's first turn is left out.
        scored: Whether the first step of a turn has ``scored``: how many of its tokens the agent sampled, None
            where that is not known; and further calls of a turn have ``same_turn``.
    """
    steps: list[dict[str, Any]] = []
    unanswered: list[dict[str, Any]] = []
    started = False
    for message in messages:
        started |= message.role == "assistant"
        if message.role == "assistant":
            written = _written(message)
            if scored:
                written[0]["scored"] = len(message.sampled.ids) if message.sampled else None
                written[1:] = [{**step, "same_turn": True} for step in written[1:]]
            steps += written
            unanswered = list(written)
        elif message.role == "tool" and unanswered:
            unanswered.pop(0)["observation"] = message.content
        elif started:
            steps.append({"role": message.role, "text": message.content})
    return steps


def _written(message: Message) -> list[dict[str, Any]]:
    """One step for each call of a turn of the agent, or one for a turn without a call."""
    text = {"text": message.content} if message.content or not message.tool_calls else {}
    called = [{"tool": call.name, "arguments": call.arguments} for call in message.tool_calls]
    return [{**text, **called[0]}, *called[1:]] if called else [text]


def _further(steps: list[dict[str, Any]]) -> dict[str, Any]:
    """A step of its own for an effect whose call is not among the messages."""
    steps.append({"text": "(call not among the messages)"})
    return steps[-1]
