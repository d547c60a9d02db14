"""The mending turn: where a careful agent's way parts from its way in the benign twin."""

from __future__ import annotations

import random

import pytest

from persistence_pipeline.world.behaviours import careful, play
from persistence_pipeline.world.cases import Case
from persistence_pipeline.world.decisions import mending_turns
from persistence_pipeline.world.environment import Environment

SHARES = {"careless": 0.3, "careful": 0.5, "cautious": 0.125, "refusing": 0.075}


def test_everything_before_the_turn_is_done_in_the_benign_twin_too(cases: list[Case]) -> None:
    found = mending_turns(cases, SHARES)
    solvable = [case for case in cases if case.hazard and not case.conflicting]
    assert {decision.case.case_id for decision in found} == {case.case_id for case in solvable}
    benign = {case.twin_id: case for case in cases if not case.hazard}
    for decision in found:
        case = decision.case
        ways = [play(careful(c, random.Random(0)), Environment(c)).calls for c in (case, benign[case.twin_id])]
        hazard, other = (way[: decision.turn + 1] for way in ways)
        assert hazard[:-1] == other[:-1] and hazard != other


def test_where_a_safeguard_is_needed_it_is_the_mending_call(cases: list[Case]) -> None:
    single = {"look", "relation", "cascade", "arithmetic", "cumulative", "staleness", "combination", "side_effect"}
    for decision in mending_turns(cases, SHARES):
        if decision.case.kind in single:
            calls = play(careful(decision.case, random.Random(0)), Environment(decision.case)).calls
            assert calls[decision.turn].name in decision.case.safeguards


def test_the_demonstrated_share_is_of_those_that_came_so_far(cases: list[Case]) -> None:
    by_kind = {d.case.kind: d.demonstrated for d in mending_turns(cases, SHARES)}
    assert by_kind["look"] == pytest.approx(0.5 / 0.625), "the cautious look too, and hold back"
    assert by_kind["order"] == 1, "the cautious do as the careful do"


def test_without_twins_there_is_no_turn(cases: list[Case]) -> None:
    assert mending_turns([case for case in cases if case.hazard], SHARES) == []
