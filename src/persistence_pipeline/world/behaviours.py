"""Scripted behaviours: demonstrators for the warm start and yardsticks for the graders.

A behaviour is a generator that yields tool calls and is sent the observations. It sees what an agent sees
(the observations), except that it knows how the literal request and its companions are written as calls.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from persistence_pipeline.records import ToolCall
from persistence_pipeline.world.cases import UNSET, UNSURE, Case
from persistence_pipeline.world.domains import DOMAINS
from persistence_pipeline.world.entities import UNMENDABLE
from persistence_pipeline.world.environment import Environment, Observation

Script = Generator[ToolCall, Observation, None]
Settled = Generator[ToolCall, Observation, "ToolCall | None"]
FINISH_CALL = ToolCall(name="finish", arguments={})


def careless(case: Case, rng: random.Random) -> Script:
    """Does the literal request at once, without looking."""
    yield case.request
    yield from _companions(case)
    yield FINISH_CALL


def careful(case: Case, rng: random.Random) -> Script:
    """Checks, mends or asks where needed, acts where that is safe, and does the harmless rest."""
    act = yield from _settle(case, mend=True)
    if act is not None:
        yield act
    yield from _companions(case)
    yield FINISH_CALL


def cautious(case: Case, rng: random.Random) -> Script:
    """Checks, leaves everything that looks dangerous, and does the harmless rest."""
    act = yield from _settle(case, mend=False)
    if act is not None:
        yield act
    yield from _companions(case)
    yield FINISH_CALL


def refusing(case: Case, rng: random.Random) -> Script:
    """Ends the episode without doing anything."""
    yield FINISH_CALL


def asking(case: Case, rng: random.Random) -> Script:
    """Asks about the request and stops."""
    yield _question(case)
    yield FINISH_CALL


def clumsy(case: Case, rng: random.Random) -> Script:
    """Careless or careful with slips: a wrong entity, a wrong tool, a forgotten call."""
    script = rng.choice([careless, careful])(case, rng)
    observation: Observation | None = None
    while True:
        try:
            call = next(script) if observation is None else script.send(observation)
        except StopIteration:
            return
        slip = rng.random()
        if slip < 0.1 and call.name != "finish":
            observation = {"result": "done"}
            continue
        observation = yield _slipped(case, call, rng) if slip < 0.35 else call


BEHAVIOURS: Mapping[str, Callable[[Case, random.Random], Script]] = {
    script.__name__: script for script in (careless, careful, cautious, refusing, asking, clumsy)
}


@dataclass(frozen=True)
class Played:
    """What happened when a script was played without a transcript."""

    environment: Environment
    calls: tuple[ToolCall, ...]


def play(script: Script, environment: Environment) -> Played:
    """Run a script against an environment until one of them ends."""
    calls = []
    observation: Observation | None = None
    while environment.stop_reason is None:
        try:
            call = next(script) if observation is None else script.send(observation)
        except StopIteration:
            break
        calls.append(call)
        observation = environment.call(call.name, call.arguments)
    return Played(environment, tuple(calls))


# -- parts -------------------------------------------------------------------------------------


def _companions(case: Case) -> Iterator[ToolCall]:
    for goal in case.goals[1:]:
        yield _call(case, goal.tool, *goal.entities)


def _settle(case: Case, *, mend: bool) -> Settled:
    """Look, and find the call that is safe to make; None where there is none."""
    observation = yield case.guard.checks[0]
    if "matches" in observation:
        return (yield from _settle_matches(case, observation["matches"], mend))
    if observation.get("usual") == UNSET:
        return (yield from _settle_by_asking(case, mend))
    if "usual" in observation:
        return _request_with(case, value=observation["usual"])
    condition = observation.get("condition")
    if condition not in case.guard.unsafe:
        return case.request
    if not mend or condition in UNMENDABLE:
        return None
    if case.guard.safeguard == "ask_user":
        return (yield from _settle_by_asking(case, mend))
    yield _call(case, case.guard.safeguard, case.guard.entities[0])
    return case.request


def _settle_matches(case: Case, matches: list[dict[str, str]], mend: bool) -> Settled:
    """A listing: one match is the target; several need a question; a flagged member needs safeguarding."""
    flagged = [m for m in matches if m.get("flag") in case.guard.unsafe]
    if case.guard.intended_entities is None:
        if not flagged:
            return case.request
        if not mend or flagged[0]["flag"] in UNMENDABLE:
            return None
        yield _call(case, case.guard.safeguard, flagged[0]["id"])
        return case.request
    if len(matches) == 1:
        return _request_with(case, target=matches[0]["id"])
    return (yield from _settle_by_asking(case, mend))


def _settle_by_asking(case: Case, mend: bool) -> Settled:
    if not mend:
        return None
    answer = (yield _question(case)).get("answer")
    if answer in (UNSURE, "no", None):
        return None
    if answer == "yes":
        return case.request
    if case.guard.intended_entities is not None:
        return _request_with(case, target=answer)
    return _request_with(case, value=answer)


def _question(case: Case) -> ToolCall:
    return ToolCall(name="ask_user", arguments={"question": str(next(iter(case.request.arguments.values())))})


def _request_with(case: Case, *, target: Any = None, value: Any = None) -> ToolCall:
    """The literal request with another target or another second argument."""
    arguments = dict(case.request.arguments)
    names = list(arguments)
    if target is not None:
        arguments[names[0]] = target
    if value is not None:
        arguments[names[1]] = value
    return ToolCall(name=case.request.name, arguments=arguments)


def _call(case: Case, tool: str, *values: Any) -> ToolCall:
    declared = next(t for t in DOMAINS[case.domain].tools.values() if t.name == tool)
    return ToolCall(name=tool, arguments=dict(zip(declared.parameters, values, strict=True)))


def _slipped(case: Case, call: ToolCall, rng: random.Random) -> ToolCall:
    """The call with a wrong entity, or with another tool of the same shape."""
    arguments = dict(call.arguments)
    if not arguments:
        return call
    if rng.random() < 0.6:
        first = next(iter(arguments))
        arguments[first] = rng.choice([entity["id"] for entity in case.state])
        return ToolCall(name=call.name, arguments=arguments)
    values = list(arguments.values())
    same_shape = [t for t in DOMAINS[case.domain].tools.values() if len(t.parameters) == len(values)]
    return _call(case, rng.choice(same_shape).name, *values)
