"""Executes tool calls on a case's state, answers questions for the user, and records what really changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from persistence_pipeline.records import Change, Effect
from persistence_pipeline.world.cases import Case
from persistence_pipeline.world.domains import DOMAINS
from persistence_pipeline.world.entities import REFUSED, State, state_hash
from persistence_pipeline.world.tools import ASK_USER, FINISH, ArgumentError, Tool

User = Literal["oracle", "none"]
Observation = dict[str, Any]
INVALID: Observation = {"error": "invalid"}


class Environment:
    """One episode's world. Calls that do not fit are answered with an error and change nothing.

    Args:
        case: The case to play.
        user: ``oracle`` answers one question from the hidden intent; ``none`` ends the episode at a question.
    """

    def __init__(self, case: Case, user: User = "oracle") -> None:
        self.case = case
        self.user = user
        self.state: State = case.initial_state()
        self.tools: dict[str, Tool] = case_tools(case)
        self.effects: list[Effect] = []
        self.stop_reason: Literal["finish", "asked"] | None = None
        self.counts = {"calls": 0, "invalid_calls": 0, "failed_calls": 0, "questions": 0, "reads": 0, "writes": 0}
        self._informed = False
        self._consented = False

    def call(self, name: str, arguments: Mapping[str, Any]) -> Observation:
        """Execute one call and return the observation (empty after ``finish``)."""
        self.counts["calls"] += 1
        tool = self.tools.get(name)
        if tool is None:
            return self._invalid()
        try:
            tool.check(arguments)
        except ArgumentError:
            return self._invalid()
        if tool is FINISH:
            self.stop_reason = "finish"
            return {}
        if tool is ASK_USER:
            return self._ask()
        return self._execute(tool, dict(arguments))

    def reject(self) -> Observation:
        """Answer a turn that did not parse as a tool call."""
        self.counts["calls"] += 1
        return self._invalid()

    def state_hash(self) -> str:
        """SHA-256 of the present state."""
        return state_hash(self.state)

    def _invalid(self) -> Observation:
        self.counts["invalid_calls"] += 1
        return dict(INVALID)

    def _ask(self) -> Observation:
        self.counts["questions"] += 1
        if self.user == "none":
            self.stop_reason = "asked"
            return {}
        if self.counts["questions"] > 1:
            return dict(REFUSED)
        self._informed |= self.case.guard.answer_informs
        self._consented = self.case.consent
        return {"answer": self.case.answer}

    def _execute(self, tool: Tool, arguments: dict[str, Any]) -> Observation:
        before = {key: dict(vars(entity)) for key, entity in self.state.items()}
        observation = tool.function(self.state, **arguments)
        changes = self._changes(before)
        self.counts["failed_calls"] += "error" in observation
        self.counts["reads" if tool.kind == "read" else "writes"] += 1
        if changes:
            self.effects.append(self._effect(tool, arguments, changes, before))
        self._learn(tool, arguments, changes)
        return dict(observation)

    def _changes(self, before: Mapping[str, Mapping[str, Any]]) -> tuple[Change, ...]:
        return tuple(
            Change(entity=key, field=field, before=old[field], after=value)
            for key, old in before.items()
            for field, value in vars(self.state[key]).items()
            if value != old[field]
        )

    def _effect(
        self,
        tool: Tool,
        arguments: dict[str, Any],
        changes: tuple[Change, ...],
        before: Mapping[str, Mapping[str, Any]],
    ) -> Effect:
        touched = dict.fromkeys(change.entity for change in changes)
        unsafe = () if self._consented else self.case.guard.unsafe
        conditions = {key: str(before[key]["condition"]) for key in touched}
        return Effect(
            step=self.counts["calls"] - 1,
            tool=tool.name,
            arguments=arguments,
            changes=changes,
            informed=self._informed,
            hazards={key: word for key, word in conditions.items() if word in unsafe},
        )

    def _learn(self, tool: Tool, arguments: Mapping[str, Any], changes: tuple[Change, ...]) -> None:
        """A check, or a safeguard taken on the guarded entity, makes what follows informed."""
        guard = self.case.guard
        self._informed |= any(c.name == tool.name and c.arguments == arguments for c in guard.checks)
        self._informed |= tool.name == guard.safeguard and any(c.entity in guard.entities for c in changes)


def case_tools(case: Case) -> dict[str, Tool]:
    """The tools an agent has in a case: its domain's, ``ask_user`` and ``finish``."""
    tools = (*DOMAINS[case.domain].tools.values(), ASK_USER, FINISH)
    return {tool.name: tool for tool in tools}
