"""Which cases a study uses: template groups by tier, slots divided between warm start, training and tests."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from persistence_pipeline.records import Split
from persistence_pipeline.strict import Strict
from persistence_pipeline.world.cases import Case, CaseFactory, Phrasing, Slots, factory
from persistence_pipeline.world.domains import DOMAINS
from persistence_pipeline.world.hazards import FAMILIES

WARM_START_BUCKETS = 3
BUCKETS = 10
"""Slots fall into ten buckets by hash: the first three are the warm start's, the rest the study's."""


class NoMoreCasesError(ValueError):
    """More cases are asked for than there are."""


class WorldSettings(Strict):
    """What a study's cases are made of."""

    phrasing: Phrasing = "compact"
    conflict_share: float = Field(0.5, ge=0, le=1)
    """Share of the hazard cases that are conflicting."""
    held_out_domain: str = "database"
    held_out_combinations: tuple[str, ...] = Field((), strict=False)
    """Template groups kept out of preference training, beside those of the held-out domain."""
    twins_per_group: dict[Split, Annotated[int, Field(ge=0)]]
    """Twin pairs drawn per template group of each split; a pair is one hazard and one benign case."""

    @field_validator("held_out_domain")
    @classmethod
    def _known_domain(cls, name: str) -> str:
        if name not in DOMAINS:
            raise ValueError(f"unknown domain {name!r}; known: {list(DOMAINS)}")
        return name

    @field_validator("held_out_combinations")
    @classmethod
    def _known_groups(cls, groups: tuple[str, ...]) -> tuple[str, ...]:
        for group in groups:
            factory(group, "compact")
            if groups.count(group) > 1:
                raise ValueError(f"{group} is named twice")
        return groups

    @model_validator(mode="after")
    def _held_out_once(self) -> Self:
        for group in self.held_out_combinations:
            if group.startswith(f"{self.held_out_domain}/"):
                raise ValueError(f"held_out_combinations: {group} is held out with its domain already")
        groups = {split: self.groups(split) for split in self.twins_per_group}
        for group in dict.fromkeys(chain.from_iterable(groups.values())):
            wanted = sum(n for split, n in self.twins_per_group.items() if group in groups[split])
            most = room(group, study=True)
            if wanted > most:
                raise ValueError(f"twins_per_group: {wanted} twin pairs of {group}, of which there are {most}")
        return self

    def n_cases(self, split: Split) -> int:
        """Cases of a split on one seed."""
        return 2 * self.twins_per_group.get(split, 0) * len(self.groups(split))

    def groups(self, split: Split) -> list[str]:
        """Template groups of a split, in a fixed order."""
        everything = all_groups()
        if split == "test_domain":
            return [g for g in everything if g.startswith(f"{self.held_out_domain}/")]
        if split == "test_combination":
            return [g for g in everything if g in self.held_out_combinations]
        held_out = {*self.groups("test_domain"), *self.groups("test_combination")}
        return [g for g in everything if g not in held_out]


def room(group: str, *, study: bool) -> int:
    """About how many twin pairs of a template group the study has, or the warm start."""
    share = BUCKETS - WARM_START_BUCKETS if study else WARM_START_BUCKETS
    return factory(group, "compact").n_slots * share // BUCKETS


def all_groups() -> list[str]:
    """Every domain × hazard family."""
    return [f"{domain}/{family}" for domain in DOMAINS for family in FAMILIES]


def generate_cases(settings: WorldSettings, seed: int) -> list[Case]:
    """The cases of one seed: every split, twins together, no slots in two splits.

    Slots are drawn without repetition within a template group, so train and ``test_iid`` share none.
    """
    cases: list[Case] = []
    drawn = dict.fromkeys(settings.twins_per_group, 0)
    for group in all_groups():
        make = factory(group, settings.phrasing)
        slots = _distinct_slots(make, f"study/{seed}/{group}", study=True)
        for split, n in settings.twins_per_group.items():
            if group in settings.groups(split):
                chosen = [next(slots) for _ in range(n)]
                conflicts = _spread(drawn[split], n, settings.conflict_share)
                cases += _twins(make, chosen, conflicts, split, seed)
                drawn[split] += n
    return cases


def warm_start_cases(settings: WorldSettings, twins_per_group: int, seed: int) -> list[Case]:
    """Cases of every template group with slots that no case of the study uses, marked ``train``."""
    cases: list[Case] = []
    for index, group in enumerate(all_groups()):
        make = factory(group, settings.phrasing)
        slots = _distinct_slots(make, f"warm/{seed}/{group}", study=False)
        chosen = [next(slots) for _ in range(twins_per_group)]
        conflicts = _spread(index * twins_per_group, twins_per_group, settings.conflict_share)
        cases += _twins(make, chosen, conflicts, "train", seed, name="warm")
    return cases


def _spread(start: int, n: int, share: float) -> list[bool]:
    """Which of the next ``n`` hazard cases conflict, evenly spread; ``start`` came before them."""
    return [int((index + 1) * share) > int(index * share) for index in range(start, start + n)]


def _distinct_slots(make: CaseFactory, key: str, *, study: bool) -> Iterator[Slots]:
    rng = random.Random(key)
    seen: set[tuple[object, ...]] = set()
    for _ in range(1_000_000):
        slots = make.slots(rng)
        identity = (slots.targets, slots.word, slots.value, slots.companions)
        if identity in seen or (slots.bucket(make.group, BUCKETS) >= WARM_START_BUCKETS) != study:
            continue
        seen.add(identity)
        yield slots
    raise NoMoreCasesError(f"{make.group}: no more distinct slots after {len(seen)}; ask for fewer cases")


def _twins(
    make: CaseFactory, chosen: Sequence[Slots], conflicts: Sequence[bool], split: Split, seed: int, name: str = "s"
) -> list[Case]:
    """Hazard and benign case of each slot set."""
    cases = []
    for index, (slots, conflicting) in enumerate(zip(chosen, conflicts, strict=True)):
        twin_id = f"{name}{seed}.{split}.{make.domain.name}.{make.family.name}.{index:04d}"
        build = partial(make.build, slots, twin_id=twin_id, split=split, seed=seed)
        cases += [build(hazard=True, conflicting=conflicting), build(hazard=False, conflicting=False)]
    return cases
