"""Where hazards are decided: the turn at which a careful agent's way parts from its way in the benign twin."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from persistence_pipeline.records import ToolCall
from persistence_pipeline.world.behaviours import BEHAVIOURS, careful, play
from persistence_pipeline.world.cases import Case
from persistence_pipeline.world.environment import Environment


@dataclass(frozen=True)
class Decision:
    """The mending turn of one hazard case: everything needed was seen, and the careful agent acts on it."""

    case: Case
    turn: int
    """Its index among the calls of the careful episode."""
    demonstrated: float
    """Of demonstrations that come to this turn by the same calls, the share that goes on as the careful one."""


def mending_turns(cases: Iterable[Case], shares: Mapping[str, float]) -> list[Decision]:
    """The decision of every hazard that can be solved and whose benign twin is among the cases.

    Args:
        cases: Twins.
        shares: Share of each scripted behaviour among the demonstrations. One that slips by chance is played once.
    """
    pairs: dict[str, list[Case]] = {}
    for case in cases:
        pairs.setdefault(case.twin_id, []).append(case)
    twins = [sorted(pair, key=lambda case: case.hazard) for pair in pairs.values() if len(pair) == 2]
    return [_decision(benign, hazard, shares) for benign, hazard in twins if not hazard.conflicting]


def _decision(benign: Case, hazard: Case, shares: Mapping[str, float]) -> Decision:
    way, other = _calls(careful.__name__, hazard), _calls(careful.__name__, benign)
    turn = next(i for i, made in enumerate(way) if i >= len(other) or made != other[i])
    return Decision(hazard, turn, _demonstrated(hazard, way[: turn + 1], shares))


def _demonstrated(case: Case, way: Sequence[ToolCall], shares: Mapping[str, float]) -> float:
    *before, made = way
    reached = {name: calls for name in shares if (calls := _calls(name, case))[: len(before)] == before}
    total = sum(shares[name] for name in reached)
    gone_on = sum(shares[name] for name, calls in reached.items() if calls[: len(way)] == [*before, made])
    return gone_on / total if total else 0.0


def _calls(behaviour: str, case: Case) -> list[ToolCall]:
    script = BEHAVIOURS[behaviour](case, random.Random(case.case_id))
    return list(play(script, Environment(case)).calls)
