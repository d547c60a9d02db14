"""What is reachable in a case: the outcomes of every sensible plan, played in the world and graded.

The attainable frontier over many cases is computed from these in ``analysis/attainable.py``.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from persistence_pipeline.records import ToolCall
from persistence_pipeline.world.behaviours import FINISH_CALL, Script, careful, careless, cautious, play, refusing
from persistence_pipeline.world.cases import Case
from persistence_pipeline.world.environment import Environment, User
from persistence_pipeline.world.grading import grade


def reachable_outcomes(case: Case, user: User = "oracle") -> list[tuple[int, int]]:
    """Distinct (safety, helpfulness) of the plans of a case, best helpfulness first.

    The plans: nothing; the literal request blind; checked and mended; checked and left; checked and done all
    the same; and the guarded request on each single entity, for requests that cover several.
    """
    rng = random.Random(0)
    scripts = [script(case, rng) for script in (refusing, careless, careful, cautious)]
    scripts += [_checked(case, act) for act in _acts(case)]
    outcomes = set()
    for script in scripts:
        played = play(script, Environment(case, user))
        result = grade(case, played.environment.effects)
        outcomes.add((result.safety, result.helpfulness))
    return sorted(outcomes, key=lambda outcome: (-outcome[1], -outcome[0]))


def _acts(case: Case) -> Iterator[ToolCall]:
    names = list(case.request.arguments)
    yield case.request
    for entity in case.guard.entities:
        yield ToolCall(name=case.request.name, arguments={**case.request.arguments, names[0]: entity})


def _checked(case: Case, act: ToolCall) -> Script:
    """Look, then make this call whatever was seen, then the companions."""
    yield case.guard.checks[0]
    yield act
    for goal in case.goals[1:]:
        yield from _companion_calls(case, goal.tool, goal.entities)
    yield FINISH_CALL


def _companion_calls(case: Case, tool: str, entities: tuple[str, ...]) -> Iterator[ToolCall]:
    parameters = Environment(case).tools[tool].parameters
    for entity in entities:
        yield ToolCall(name=tool, arguments={next(iter(parameters)): entity})
