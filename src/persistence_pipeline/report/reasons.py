"""The reasons of a grade in plain words: what thing it was about, what was wanted of it, and what came.

``world/grading.py`` writes the reasons, a line for each point lost, and they stay as they are stored. Here a line
is read with its case and the effects of its episode. A line of another form, such as a judge's, has no words here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from persistence_pipeline.records import Effect
from persistence_pipeline.report.wording import Things, changed, fact_words, flag, noun, value
from persistence_pipeline.world.cases import USER, Case, Test

HARM = re.compile(r"safety \d: call (\d+) \S+: (.+? (?:inside|beside|beyond) the request), (.+)")
BLIND = re.compile(r"safety \d: call (\d+) \S+: made blind, not knowing (.+)")
UNMET = re.compile(r"helpfulness: not (.+)")
STRAY = re.compile(r"(\w+)\.(\w+) became (.*?)(?=, \w+\.\w+ became |$)")
Words = tuple[str, str, str]
"""What it was, what was wanted, and what came."""


class Course:
    """Values of the fields of a case's things in the course of an episode."""

    def __init__(self, case: Case, effects: Sequence[Effect]) -> None:
        self._start = case.initial_state().entities
        self._effects = effects

    def value(self, entity: str, field: str, step: int | None = None) -> Any:
        """The value after a call; at the end where none is named."""
        found = getattr(self._start.get(entity), field, None)
        for effect in self._effects:
            if step is not None and effect.step > step:
                break
            for change in effect.changes:
                if (change.entity, change.field) == (entity, field):
                    found = change.after
        return found

    def knew(self, step: int) -> dict[str, Any]:
        """What was known at a call of what matters."""
        return next((dict(effect.knew) for effect in self._effects if effect.step == step), {})


class Reasons:
    """Makes words of the reasons of a case's grades."""

    def __init__(self, case: Case) -> None:
        self._case, self._things = case, Things(case)
        self._goals = {str(goal): goal for goal in case.goals}
        self._harms = {str(harm): harm for harm in case.harms}

    def words(self, reasons: str, effects: Sequence[Effect]) -> list[Words | None]:
        """The words of each line of the reasons; None where a line is not one of the grader's.

        Args:
            reasons: As the score table has them, a line for each point lost.
            effects: Of the episode that was graded.
        """
        course = Course(self._case, effects)
        return [self._line(line, course) for line in reasons.split("\n")]

    def _line(self, line: str, course: Course) -> Words | None:
        if match := BLIND.fullmatch(line):
            return self._blind(int(match[1]), match[2].split(", "), course)
        if match := HARM.fullmatch(line):
            return self._harm(int(match[1]), match[2], match[3], course)
        match = UNMET.fullmatch(line)
        goal = self._goals.get(match[1]) if match else None
        if goal is None:
            return None
        tests = [test for clause in goal.any_of for test in clause]
        return "not done", self._things.goal(goal), self._came(tests, course, None)

    def _harm(self, step: int, kind: str, what: str, course: Course) -> Words | None:
        harm = self._harms.get(what)
        if harm is None:
            return self._stray(step, kind, STRAY.findall(what), course)
        came = self._came(harm.all_of, course, None if harm.at_the_end else step)
        return f"{kind}, “{harm.name}”", self._things.spared(harm), came

    def _stray(self, step: int, kind: str, changes: list[tuple[str, ...]], course: Course) -> Words | None:
        """Changes that nobody asked for, or not so."""
        if not changes:
            return None
        asked = {(own.entity, own.field): own.value for own in self._case.licences if own.value is not None}
        wanted, came = [], []
        for entity, field, _ in changes:
            name, before = self._things.name(entity), course.value(entity, field, step - 1)
            right = self._things.state(field, asked.get((entity, field), before))
            stays = asked.get((entity, field), before) == before
            wanted.append(f"{name}: {right.replace(' is ', ' stays ', 1) if stays else right}")
            came.append(f"{name}: {changed(field, before, course.value(entity, field, step))}")
        how = "not as asked" if all(change[:2] in asked for change in changes) else "not asked for"
        return f"{kind}, {how}", "; ".join(wanted), "; ".join(came)

    def _blind(self, step: int, facts: Sequence[str], course: Course) -> Words:
        knew = course.knew(step)
        truths: dict[tuple[str, str], list[str]] = {}
        for fact in facts:
            entity, _, field = fact.partition(".")
            truths.setdefault((field, self._truth(fact, knew, course, step - 1)), []).append(entity)
        came = "; ".join(f"{fact_words(field, things)}: {truth}" for (field, truth), things in truths.items())
        return "made blind", f"to know first: {self._things.facts(facts)}", came

    def _truth(self, fact: str, knew: dict[str, Any], course: Course, step: int) -> str:
        """What was not known: as it was, and as it had been seen before."""
        entity, _, field = fact.partition(".")
        now = course.value(entity, field, step)
        if entity == USER:
            return (
                "not asked" if field == "agreed" or now is None else f"not asked; it is {self._things.name(now)}"
            )
        truth = self._things.explained(now)
        return f"seen as {value(knew[fact])}, and is {truth}" if fact in knew else f"not seen; it is {truth}"

    def _came(self, tests: Iterable[Test], course: Course, step: int | None) -> str:
        """What the fields of tests were after a call, or at the end, and what before where it changed them."""
        said: dict[str, dict[str, str]] = {}
        for test in tests:
            said.setdefault(test.entity, {})[test.field] = self._now(test, course, step)
        named = {entity: "" if entity == USER else f"{self._things.name(entity)}: " for entity in said}
        return "; ".join(f"{named[entity]}{', '.join(words.values())}" for entity, words in said.items())

    def _now(self, test: Test, course: Course, step: int | None) -> str:
        now = course.value(test.entity, test.field, step)
        if test.op in ("has", "lacks"):
            agreed = test.value in now
            return f"the user had {'' if agreed else 'not '}agreed to {test.value}"
        before = course.value(test.entity, test.field, -1 if step is None else step - 1)
        if before != now:
            return changed(test.field, before, now)
        word = flag(test.field, now)
        return f"it is {word}" if word else f"{noun(test.field)} is {value(now)}"
