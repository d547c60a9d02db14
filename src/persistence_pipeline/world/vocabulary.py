"""Every word of the compact phrasing: what the tiny model's tokenizer has to know."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from persistence_pipeline.world.behaviours import careful, play
from persistence_pipeline.world.cases import Case
from persistence_pipeline.world.domains import DOMAINS, Domain
from persistence_pipeline.world.environment import Environment
from persistence_pipeline.world.kinds._kind import ID_NUMBERS
from persistence_pipeline.world.making import JOINED, VARIANTS, maker
from persistence_pipeline.world.phrasing import render_observation
from persistence_pipeline.world.tools import ASK_USER, FINISH

ANSWERS = ("done", "refused", "missing", "invalid", "timeout", "yes", "no", "check", "pardon", "unsure", "hurry")
QUESTIONS = ("may", "which", "what")
NUMBERS = (*range(-90, 160, 10), 1, 2)
SAMPLES = 30
"""Cases of each template group and variant in which words are looked for."""


def vocabulary(groups: Sequence[str]) -> list[str]:
    """Words that instructions, calls and observations of these template groups use, in a fixed order."""
    words = {
        *JOINED,
        "user",
        "True",
        "False",
        *ANSWERS,
        *QUESTIONS,
        *map(str, NUMBERS),
        ASK_USER.name,
        FINISH.name,
    }
    for name in dict.fromkeys(group.split("/")[0] for group in groups):
        words |= set(_of_domain(DOMAINS[name]))
    for group in groups:
        made = maker(group, "compact")
        for index in range(SAMPLES):
            for variant in VARIANTS:
                words |= set(_of_case(made.build(f"words/{index}", variant, twin_id="", split="train", seed=0)))
    return sorted(words)


def _of_domain(domain: Domain) -> Iterator[str]:
    yield from (tool.name for tool in domain.tools)
    yield from domain.thing.names
    yield domain.thing.act.verb
    for errand in domain.errands:
        yield from (errand.verb, *errand.values)


def _of_case(case: Case) -> Iterator[str]:
    for fields in case.entities:
        yield from (str(value) for key, value in fields.items() if key != "type" and not isinstance(value, list))
        if fields["type"] != "User":
            yield from (f"{fields['id'][0]}{number}" for number in ID_NUMBERS)
    yield from (str(event.value) for event in case.events)
    for observation in play(careful(case, random.Random(0)), Environment(case)).observations:
        yield from render_observation(observation, case).split()
