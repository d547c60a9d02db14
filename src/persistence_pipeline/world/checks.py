"""Checks of a world when it is built; each says by name what it refuses.

A domain without a phrase, twins whose openings differ, and a predicate that no episode, or every one, makes true.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from functools import cache

from persistence_pipeline.world.attainable import looks, plans, questions
from persistence_pipeline.world.behaviours import (
    BEHAVIOURS,
    FINISH_CALL,
    careful,
    each,
    play,
)
from persistence_pipeline.world.cases import Case
from persistence_pipeline.world.domains import DOMAINS, Domain
from persistence_pipeline.world.environment import Environment
from persistence_pipeline.world.grading import grade
from persistence_pipeline.world.kinds import Script
from persistence_pipeline.world.making import VARIANTS, maker
from persistence_pipeline.world.phrasing import opening, render_observation

RANDOM_EPISODES = 1000
"""In which each predicate has to be true at least once and false at least once, all template groups together."""
TURN = 4
"""Tokens around a call and its observation: who speaks, and the ends of both turns."""
LENGTH_SAMPLES = 12


class WorldError(ValueError):
    """A world that cannot be played as it says."""


@cache
def check_world(groups: tuple[str, ...]) -> None:
    """See that these template groups can be played.

    Raises:
        WorldError: naming the group or the domain, and what is wrong with it.
    """
    for name in dict.fromkeys(group.split("/")[0] for group in groups):
        _check_phrases(DOMAINS[name])
    for group in groups:
        _check_twins(group)
        _check_predicates(group, max(RANDOM_EPISODES // len(groups), 2 * len(VARIANTS) * len(BEHAVIOURS)))


@cache
def longest_episode(group: str) -> int:
    """Compact tokens of the longest of some careful episodes of a template group."""
    return max(_tokens(_sample(group, variant, index)) for index in range(LENGTH_SAMPLES) for variant in VARIANTS)


def _sample(group: str, variant: str, index: int) -> Case:
    made = maker(group, "compact")
    return made.build(f"check/{index}", variant, twin_id=group, split="train", seed=0)  # type: ignore[arg-type]


def _tokens(case: Case) -> int:
    played = play(careful(case, random.Random(0)), Environment(case))
    said = [*opening(case)[0].content.split()]
    for made, observation in zip(played.calls, played.observations, strict=True):
        said += [made.name, *(word for value in made.arguments.values() for word in str(value).split())]
        said += render_observation(observation, case).split()
    return len(said) + TURN * len(played.calls)  # the instruction has two ends, and `finish` has no answer


def _check_phrases(domain: Domain) -> None:
    for what, phrases in (
        (f"the act {domain.thing.act.tool.name}", domain.thing.act.phrases),
        *((f"the errand {errand.tool.name}", errand.phrases) for errand in domain.errands),
    ):
        if not phrases or not all("{target}" in phrase for phrase in phrases):
            raise WorldError(f"domain {domain.name}: {what} needs phrases, each with {{target}}; it has {phrases}")
    if not domain.errands:
        raise WorldError(f"domain {domain.name}: it has no errands")


def _check_twins(group: str) -> None:
    for index in range(LENGTH_SAMPLES):
        cases = [_sample(group, variant, index) for variant in VARIANTS]
        if len({case.instruction for case in cases}) > 1:
            told = ", ".join(repr(case.instruction) for case in cases)
            raise WorldError(f"{group}: twins open differently: {told}")
        if len({tuple(entity["id"] for entity in case.entities) for case in cases}) > 1:
            raise WorldError(f"{group}: twins have different entities")


def _check_predicates(group: str, n: int) -> None:
    """Goals and harms are true in some episodes and false in others."""
    held: dict[str, list[bool]] = {}
    for index in range(n):
        case = _sample(group, VARIANTS[index % len(VARIANTS)], index)
        for name, holds in _predicates(case, _random_script(case, index)):
            held.setdefault(name, []).append(holds)
    for name, values in held.items():
        if all(values) or not any(values):
            often = "always" if all(values) else "never"
            raise WorldError(f"{group}: {name} is {often} true over {len(values)} random episodes")


def _predicates(case: Case, script: Script) -> Iterator[tuple[str, bool]]:
    environment = play(script, Environment(case)).environment
    done = {harm.what.split(":")[0] for harm in grade(case, environment.effects).harms}
    for index, goal in enumerate(case.goals):
        yield f"goal {index}", goal.holds(environment.state)
    for name in dict.fromkeys(harm.name for harm in case.harms):
        yield f"the harm {name!r}", name in done


def _random_script(case: Case, index: int) -> Script:
    """A behaviour, or calls drawn at random from those that matter."""
    rng = random.Random(f"{case.case_id}/{index}")
    names = list(BEHAVIOURS)
    if index // len(VARIANTS) % 2:
        return BEHAVIOURS[names[rng.randrange(len(names))]](case, rng)
    pools: Sequence[Sequence[object]] = (plans(case), [*case.literal], looks(case), questions(case))
    calls = [made for pool in pools for made in pool]
    drawn = [rng.choice(calls) for _ in range(rng.randint(1, 12))]
    return each([*drawn, FINISH_CALL])  # type: ignore[list-item]
