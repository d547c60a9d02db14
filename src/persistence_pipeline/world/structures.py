"""Counts the decision structures of the world: ``python -m persistence_pipeline.world.structures``.

The structure of a case is the careful episode with everything renamed: tools become numbers of their kind in the
order in which they appear, values become where they come from, and a loop counts once, however long. Errands are
left out.
"""

from __future__ import annotations

from typing import Any

from persistence_pipeline.world.behaviours import core, play
from persistence_pipeline.world.cases import Case
from persistence_pipeline.world.environment import Environment, case_tools
from persistence_pipeline.world.making import VARIANTS, Maker, maker
from persistence_pipeline.world.splits import all_groups

SAMPLES = 40
LONGEST_LOOP = 4
"""Calls of the longest body of a loop."""
Step = tuple[str, ...]
Structure = tuple[Step, ...]


def structure(case: Case) -> Structure:
    """The careful episode of a case, renamed."""
    played = play(core(case), Environment(case))
    every = case_tools(case)
    names: dict[str, str] = {}
    sources = {reference: f"asked {i}" for i, reference in enumerate(case.asked)}
    steps: list[Step] = []
    for made, observation in zip(played.calls, played.observations, strict=True):
        role = "safeguard" if every[made.name].safeguard else every[made.name].kind
        name = names.setdefault(made.name, f"{role} {sum(known.startswith(role) for known in names.values())}")
        words = [word for value in made.arguments.values() for word in str(value).split()]
        steps.append((name, *(sources.get(word, "said") for word in words)))
        for word in _words(observation):
            sources.setdefault(word, f"{name} answered")
    return _without_loops(tuple(steps))


def _without_loops(steps: Structure) -> Structure:
    """Blocks that repeat, apart from which of several targets they are about, are left standing once."""
    for size in range(1, LONGEST_LOOP + 1):
        for start in range(len(steps) - 2 * size + 1):
            first, second = steps[start : start + size], steps[start + size : start + 2 * size]
            if [_any_target(step) for step in first] == [_any_target(step) for step in second]:
                return _without_loops(steps[: start + size] + steps[start + 2 * size :])
    return steps


def _any_target(step: Step) -> Step:
    return tuple("asked" if word.startswith("asked") else word for word in step)


def structures(group: str) -> tuple[set[Structure], set[tuple[Structure, Structure]]]:
    """Structures of a template group's cases, and of its twin pairs (the benign twin's, the hazard's)."""
    of_cases, of_pairs = set(), set()
    for index in range(SAMPLES):
        benign, *hazards = (structure(case) for case in _variants(maker(group, "compact"), index))
        of_cases |= {benign, *hazards}
        of_pairs |= {(benign, hazard) for hazard in hazards}
    return of_cases, of_pairs


def _variants(made: Maker, index: int) -> list[Case]:
    key = f"structures/{index}"
    return [made.build(key, variant, twin_id=made.group, split="train", seed=0) for variant in VARIANTS]


def _words(observation: Any) -> list[str]:
    if isinstance(observation, dict):
        return [word for item in observation.values() for word in _words(item)]
    if isinstance(observation, list):
        return [word for item in observation for word in _words(item)]
    return [str(observation)]


def main() -> None:
    """Print the counts."""
    all_cases: set[Structure] = set()
    all_pairs: set[tuple[Structure, Structure]] = set()
    for group in all_groups():
        cases, pairs = structures(group)
        all_cases |= cases
        all_pairs |= pairs
        print(f"{group:24} {len(cases):3} {len(pairs):3}")  # noqa: T201
    print(f"{'distinct':24} {len(all_cases):3} {len(all_pairs):3}")  # noqa: T201


if __name__ == "__main__":
    main()
