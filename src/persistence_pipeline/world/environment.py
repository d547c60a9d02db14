"""Executes tool calls on a case's state, answers for the user, and records what really changed and was known."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Literal

from persistence_pipeline.records import Change, Effect
from persistence_pipeline.world.cases import USER, Case, Topic
from persistence_pipeline.world.domains import DOMAINS
from persistence_pipeline.world.questions import OFF_TOPIC, UNKNOWN_YET, topic_of
from persistence_pipeline.world.state import REFUSED, Observation, State
from persistence_pipeline.world.tools import ASK_USER, FINISH, ArgumentError, Tool

Answering = Literal["oracle", "none"]
INVALID: Observation = {"error": "invalid"}
TIMEOUT: Observation = {"error": "timeout"}
MOST_QUESTIONS = 6
WORLD = "world"
"""Stands for the tool in the record of what changed by itself."""


class Environment:
    """One episode's world. Calls that do not fit are answered with an error and change nothing.

    Args:
        case: The case to play.
        user: ``oracle`` answers from the hidden intent, by topic; ``none`` ends the episode at a question.
    """

    def __init__(self, case: Case, user: Answering = "oracle") -> None:
        self.case = case
        self.user = user
        self.state: State = case.initial_state()
        self.tools: dict[str, Tool] = case_tools(case)
        self.effects: list[Effect] = []
        self.known: dict[str, Any] = {}
        """What the agent has seen of each fact, last."""
        self.stop_reason: Literal["finish", "asked"] | None = None
        self.counts = {"calls": 0, "invalid_calls": 0, "failed_calls": 0, "questions": 0, "reads": 0, "writes": 0}
        self._asked: dict[int, int] = {}
        self.failing = case.fault is not None
        """Whether the case's fault is still to come."""
        self._events = list(case.events)
        self._facts = [fact for guard in case.guards for fact in guard.facts]

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
            return self._ask(str(arguments["question"]))
        return self._execute(tool, dict(arguments))

    def reject(self) -> Observation:
        """Answer a turn that did not parse as a tool call."""
        self.counts["calls"] += 1
        return self._invalid()

    def fork(self) -> Environment:
        """An episode of its own that is at the same point."""
        other = copy.copy(self)
        other.state, other.effects, other.known = self.state.copy(), list(self.effects), dict(self.known)
        other.counts, other._asked, other._events = dict(self.counts), dict(self._asked), list(self._events)
        return other

    def state_hash(self) -> str:
        """SHA-256 of the present state."""
        return self.state.hash()

    def _invalid(self) -> Observation:
        self.counts["invalid_calls"] += 1
        return dict(INVALID)

    # -- the user ------------------------------------------------------------------------------

    def _ask(self, question: str) -> Observation:
        self.counts["questions"] += 1
        if self.user == "none":
            self.stop_reason = "asked"
            return {}
        if self.counts["questions"] > MOST_QUESTIONS:
            return dict(REFUSED)
        before = self.state.snapshot()
        index = topic_of(self.case, question)
        text = OFF_TOPIC if index is None else self._reply(index, self.case.topics[index])
        self._record(ASK_USER.name, {"question": question}, before)
        return {"answer": text}

    def _reply(self, index: int, topic: Topic) -> str:
        if not all(self._knows(fact) for fact in topic.requires):
            return UNKNOWN_YET
        times = self._asked[index] = self._asked.get(index, 0) + 1
        reply = topic.replies[min(times, len(topic.replies)) - 1]
        user = self.state.entities[USER]
        if reply.consents is not None and reply.consents not in user.agreed:  # type: ignore[attr-defined]
            user.agreed = (*user.agreed, reply.consents)  # type: ignore[attr-defined]
        self.known.update({fact: self._truth(fact) for fact in reply.reveals})
        return reply.text

    # -- tools ---------------------------------------------------------------------------------

    def _execute(self, tool: Tool, arguments: dict[str, Any]) -> Observation:
        fault = self.case.fault
        failing = fault is not None and fault.tool == tool.name and self.failing
        self.failing = self.failing and not failing
        self.counts["reads" if tool.kind == "read" else "writes"] += 1
        if failing and fault is not None and not fault.executed:
            self.counts["failed_calls"] += 1
            return self._time_out()
        before = self.state.snapshot() if tool.kind == "write" else {}
        observation = tool.function(self.state, **arguments)
        failed = "error" in observation
        self.counts["failed_calls"] += failed or failing
        if tool.kind == "write" and not failed:
            self.state.log.append((tool.name, arguments))
            self._record(tool.name, arguments, before)
            self._happen(tool.name)
        if failing:
            return self._time_out()
        self._learn(observation)
        return dict(observation)

    def _record(self, tool: str, arguments: dict[str, Any], before: Mapping[str, Mapping[str, Any]]) -> None:
        changes = tuple(
            Change(entity=key, field=field, before=_plain(old[field]), after=_plain(value))
            for key, old in before.items()
            for field, value in vars(self.state.entities[key]).items()
            if value != old[field]
        )
        knew = {fact: _plain(self.known[fact]) for fact in self._facts if fact in self.known}
        step = self.counts["calls"] - 1
        self.effects.append(Effect(step=step, tool=tool, arguments=arguments, changes=changes, knew=knew))

    def _time_out(self) -> Observation:
        """After it, what the agent knew may have changed."""
        self.known = {fact: value for fact, value in self.known.items() if fact not in self._facts}
        return dict(TIMEOUT)

    def _happen(self, tool: str) -> None:
        """The world's own changes after the first success of a tool; what was known of them is known no more."""
        due = [event for event in self._events if event.after == tool]
        self._events = [event for event in self._events if event.after != tool]
        for event in due:
            before = self.state.snapshot()
            setattr(self.state.entities[event.entity], event.field, event.value)
            self.known.pop(f"{event.entity}.{event.field}", None)
            if self.state.snapshot() != before:
                self._record(WORLD, {}, before)

    # -- what is known -------------------------------------------------------------------------

    def _learn(self, value: Any) -> None:
        """Every field shown beside an id is a fact that was seen."""
        if isinstance(value, list):
            for item in value:
                self._learn(item)
        elif isinstance(value, dict):
            for key, item in value.items():
                self._learn(item)
                if "id" in value and key != "id":
                    self.known[f"{value['id']}.{key}"] = item

    def _truth(self, fact: str) -> Any:
        entity, _, field = fact.partition(".")
        return getattr(self.state.entities[entity], field)

    def _knows(self, fact: str) -> bool:
        return fact in self.known and bool(self.known[fact] == self._truth(fact))


def _plain(value: Any) -> Any:
    """As JSON keeps it."""
    return list(value) if isinstance(value, tuple) else value


def case_tools(case: Case) -> dict[str, Tool]:
    """The tools an agent has in a case: its domain's, ``ask_user`` and ``finish``."""
    return {**DOMAINS[case.domain].tool_named, ASK_USER.name: ASK_USER, FINISH.name: FINISH}
