"""What the search finds reachable is what every sequence of calls reaches, with a user who answers and without.

Every harmful write is among the calls, wherever it is made.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence

import pytest
from tests.exhausting import EXHAUST
from world_settings import SETTINGS

from persistence_pipeline.records import ToolCall
from persistence_pipeline.world.attainable import looks, plans, questions, reachable_outcomes, undominated
from persistence_pipeline.world.cases import Case
from persistence_pipeline.world.domains import DOMAINS
from persistence_pipeline.world.environment import Answering, Environment
from persistence_pipeline.world.grading import grade
from persistence_pipeline.world.kinds import KINDS
from persistence_pipeline.world.kinds._kind import call
from persistence_pipeline.world.kinds.side_effect import SideEffect
from persistence_pipeline.world.splits import generate_cases

MOST_ACTS = 6
TWICE = 2
AT_ONCE = 2
"""Harmful writes of one search, beside all that help: another harm never mends one."""
N_CASES = 200 if EXHAUST else len(KINDS)
"""Cases whose every sequence of calls is tried; of 200 it takes six minutes (``make exhaust``)."""


def harmful(case: Case) -> list[ToolCall]:
    """Every write of the domain, on anything of the case, that does harm or is blind if it is made first."""
    named = {made.name: tuple(made.arguments.values())[1:] for made in case.literal}
    found = []
    for tool in DOMAINS[case.domain].tools:
        for fields in case.entities if tool.kind == "write" else ():
            values = (fields["id"], *named.get(tool.name, ()))
            if len(values) == len(tool.parameters):
                made, world = call(tool, *values), Environment(case)
                world.call(made.name, made.arguments)
                result = grade(case, world.effects)
                found += [made] if result.harms or result.blind else []
    return found


def exhaustive(case: Case, user: Answering, most: int | None = None) -> list[tuple[int, int]]:
    """Outcomes of searches with all that helps and some of what harms, until all that harms was tried."""
    helps = [*plans(case), *_undoing(case)]
    harms = [made for made in harmful(case) if made not in helps][:most]
    parts = [harms[start : start + AT_ONCE] for start in range(0, max(1, len(harms)), AT_ONCE)]
    return undominated(outcome for part in parts for outcome in _exhausted(case, user, [*helps, *part]))


def _undoing(case: Case) -> list[ToolCall]:
    kind = DOMAINS[case.domain].kinds[case.kind]
    return [call(kind.undo, case.guards[0].entity)] if isinstance(kind, SideEffect) else []


def _exhausted(case: Case, user: Answering, writes: Sequence[ToolCall]) -> set[tuple[int, int]]:
    """Outcomes of all sequences of reads, questions and at most six writes, none more than twice, in any order.

    Two sequences are one where the state, what is known, what was asked and what was harmed so far are equal.
    """
    found: set[tuple[int, int]] = set()
    queue, seen = deque([Environment(case, user)]), set()
    calls = [*questions(case), *looks(case), *writes]
    while queue:
        world = queue.popleft()
        found.add(_outcome(world))
        if world.stop_reason is not None:
            continue
        done = Counter(f"{effect.tool} {effect.arguments}" for effect in world.effects)
        for made in calls:
            if made in writes and done[f"{made.name} {made.arguments}"] >= TWICE:
                continue
            following = world.fork()
            following.call(made.name, made.arguments)
            key = _key(following)
            if key not in seen and following.counts["writes"] <= MOST_ACTS:
                seen.add(key)
                queue.append(following)
    return found


def _outcome(world: Environment) -> tuple[int, int]:
    result = grade(world.case, world.effects)
    return result.safety, result.helpfulness


def _key(world: Environment) -> str:
    facts = {fact for guard in world.case.guards for fact in guard.facts}
    facts |= {fact for topic in world.case.topics for fact in topic.requires}
    known = sorted((fact, str(value)) for fact, value in world.known.items() if fact in facts)
    harmed = grade(world.case, world.effects).safety
    state = sorted(world.state.snapshot().items())
    asked = sorted(world._asked.items())
    return repr((state, known, asked, harmed, world.failing, world.stop_reason))


def _small_cases() -> Iterator[Case]:
    """Cases of every kind, with one errand, so that few acts matter."""
    more = SETTINGS.model_copy(update={"twins_per_group": {"train": 8, "test_combination": 8, "test_domain": 8}})
    for case in generate_cases(more, 0):
        if case.n_errands == 1 and len(plans(case)) <= MOST_ACTS:
            yield case


SMALL = list(_small_cases())


def _sampled(n: int) -> list[Case]:
    """As many small cases, of every kind in turn."""
    turns: Counter[str] = Counter()
    drawn = []
    for case in SMALL:
        drawn.append((turns[case.kind], case))
        turns[case.kind] += 1
    return [case for _, case in sorted(drawn, key=lambda ranked: ranked[0])[:n]]


def test_small_cases_are_of_every_kind() -> None:
    assert len(SMALL) >= 200
    assert {case.kind for case in _sampled(N_CASES)} == set(KINDS)


@pytest.mark.slow
@pytest.mark.parametrize("user", ["oracle", "none"])
def test_the_search_finds_what_exhaustion_finds(user: Answering) -> None:
    for case in _sampled(N_CASES):
        assert reachable_outcomes(case, user) == exhaustive(case, user), case.case_id


@pytest.mark.parametrize("user", ["oracle", "none"])
def test_the_search_finds_what_exhaustion_finds_in_a_case_of_each_kind(user: Answering) -> None:
    for case in {case.kind + str(case.hazard): case for case in SMALL}.values():
        assert reachable_outcomes(case, user) == exhaustive(case, user, most=1), case.case_id


def test_reconcilable_cases_can_be_solved_and_conflicting_ones_cannot(cases: list[Case]) -> None:
    for case in cases:
        outcomes = reachable_outcomes(case)
        assert ((3, 3) in outcomes) != case.conflicting, case.case_id
        assert max(helpfulness for _, helpfulness in outcomes) == 3, case.case_id


def test_without_a_user_what_takes_an_answer_is_out_of_reach(cases: list[Case]) -> None:
    asked = [case for case in cases if case.hazard and case.kind in ("insistence", "identity")]
    assert asked and all((3, 3) not in reachable_outcomes(case, "none") for case in asked)


def test_plans_are_calls_of_the_case(cases: list[Case]) -> None:
    for case in cases:
        assert plans(case) and all(isinstance(made, ToolCall) for made in plans(case))
