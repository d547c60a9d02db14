"""Scripted behaviours: demonstrators for the warm start and yardsticks for the graders.

A behaviour is a generator that yields tool calls and is sent the observations. It sees what an agent sees (the
observations), except that it knows how the literal request and its errands are written as calls, and of which kind
the hazard would be.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from persistence_pipeline.records import ToolCall
from persistence_pipeline.world.cases import Case
from persistence_pipeline.world.domains import DOMAINS
from persistence_pipeline.world.environment import Environment
from persistence_pipeline.world.kinds._kind import Script, call
from persistence_pipeline.world.state import Observation
from persistence_pipeline.world.tools import ASK_USER

FINISH_CALL = ToolCall(name="finish", arguments={})


def core(case: Case) -> Script:
    """The careful way about the request itself, without its errands."""
    return DOMAINS[case.domain].kinds[case.kind].careful(case)


def careless(case: Case, rng: random.Random) -> Script:
    """Does the literal request at once, without looking."""
    yield from each(case.literal)
    yield FINISH_CALL


def careful(case: Case, rng: random.Random) -> Script:
    """Looks, mends or asks where needed, acts where that is safe, and does the errands."""
    yield from core(case)
    yield from each(case.errands)
    yield FINISH_CALL


def cautious(case: Case, rng: random.Random) -> Script:
    """Looks, leaves everything that looks dangerous, and does the errands."""
    yield from filtered(core(case), lambda made: [] if held_back(case, made) else [made])
    yield from each(case.errands)
    yield FINISH_CALL


def refusing(case: Case, rng: random.Random) -> Script:
    """Ends the episode without doing anything."""
    yield FINISH_CALL


def asking(case: Case, rng: random.Random) -> Script:
    """Asks about the request and stops."""
    yield call(ASK_USER, f"may {case.asked[0]}")
    yield FINISH_CALL


def overcautious(case: Case, rng: random.Random) -> Script:
    """Looks, and however harmless it is asks before it leaves the request and does the errands."""
    domain = DOMAINS[case.domain]
    yield call(domain.thing.look, case.asked[0])
    yield call(ASK_USER, f"may {case.asked[0]}")
    yield from each(case.errands)
    yield FINISH_CALL


def clumsy(case: Case, rng: random.Random) -> Script:
    """Careless or careful with slips: a wrong entity, a wrong tool, a forgotten call."""
    script = rng.choice([careless, careful])(case, rng)
    observation: Observation | None = None
    while True:
        try:
            made = next(script) if observation is None else script.send(observation)
        except StopIteration:
            return
        slip = rng.random()
        unknown = None in made.arguments.values()  # what a forgotten look would have shown
        if unknown or (slip < 0.1 and made.name != "finish"):
            observation = {"result": "done"}
            continue
        observation = yield _slipped(case, made, rng) if slip < 0.35 else made


BEHAVIOURS: Mapping[str, Callable[[Case, random.Random], Script]] = {
    script.__name__: script for script in (careless, careful, cautious, refusing, asking, overcautious, clumsy)
}


@dataclass(frozen=True)
class Played:
    """What happened when a script was played without a transcript."""

    environment: Environment
    calls: tuple[ToolCall, ...]
    observations: tuple[Observation, ...]


def play(script: Script, environment: Environment) -> Played:
    """Run a script against an environment until one of them ends."""
    calls, observations = [], []
    observation: Observation | None = None
    while environment.stop_reason is None:
        try:
            made = next(script) if observation is None else script.send(observation)
        except StopIteration:
            break
        calls.append(made)
        observation = environment.call(made.name, made.arguments)
        observations.append(observation)
    return Played(environment, tuple(calls), tuple(observations))


def each(calls: Iterable[ToolCall]) -> Script:
    """These calls, whatever they answer."""
    for made in calls:
        _ = yield made


def filtered(script: Script, change: Callable[[ToolCall], list[ToolCall]]) -> Script:
    """A script with each call replaced by others; it ends where one is replaced by none."""
    observation: Observation | None = None
    while True:
        try:
            made = next(script) if observation is None else script.send(observation)
        except StopIteration:
            return
        instead = change(made)
        if not instead:
            return
        for one in instead:
            observation = yield one


def held_back(case: Case, made: ToolCall) -> bool:
    """True if a call is a safeguard or a question: a cautious agent stops there, but puts its own act right."""
    if any(harm.at_the_end for harm in case.harms):
        return False
    tools = {tool.name: tool for tool in DOMAINS[case.domain].tools}
    return made.name == ASK_USER.name or (made.name in tools and tools[made.name].safeguard)


def _slipped(case: Case, made: ToolCall, rng: random.Random) -> ToolCall:
    """The call with a wrong entity, or with another tool of the same shape."""
    values: list[Any] = list(made.arguments.values())
    if not values or made.name == ASK_USER.name:
        return made
    if rng.random() < 0.6:
        ids = [fields["id"] for fields in case.entities if fields["type"] != "User"]
        first = next(iter(made.arguments))
        return ToolCall(name=made.name, arguments={**made.arguments, first: rng.choice(ids)})
    shape = [type(value) for value in values]
    alike = [t for t in DOMAINS[case.domain].tools if list(t.parameters.values()) == shape]
    return call(rng.choice(alike), *values) if alike else made
