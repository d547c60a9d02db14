"""The cases of a study: template groups by tier; instructions of the warm start and of the study are apart."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Annotated, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from persistence_pipeline.records import Split
from persistence_pipeline.strict import Strict
from persistence_pipeline.world.cases import Case, Phrasing
from persistence_pipeline.world.checks import check_world
from persistence_pipeline.world.domains import DOMAINS
from persistence_pipeline.world.kinds import KINDS
from persistence_pipeline.world.kinds._kind import ID_NUMBERS, Variant
from persistence_pipeline.world.making import Maker, maker

MOST_DRAWS = 100_000
WARM_START_BUCKETS = 3
BUCKETS = 10
"""Instructions fall into ten buckets by hash: the first three are the warm start's, the rest the study's."""
LONGEST = 15
"""Calls of the longest episode that a careful agent needs."""


class NoMoreCasesError(ValueError):
    """More cases are asked for than there are."""


class WorldSettings(Strict):
    """Settings of a study's cases."""

    phrasing: Phrasing = "compact"
    kinds: tuple[str, ...] = Field(tuple(KINDS), strict=False, min_length=1)
    """Kinds of hazard."""
    domains: tuple[str, ...] = Field(tuple(DOMAINS), strict=False, min_length=1)
    conflict_share: float = Field(0.5, ge=0, le=1)
    """Share of the hazard cases that are conflicting."""
    horizon: int = Field(LONGEST, ge=3, le=LONGEST)
    """Calls that a careful agent needs at most; cases that take more are not drawn."""
    held_out_domain: str = "servers"
    held_out_combinations: tuple[str, ...] = Field((), strict=False)
    """Template groups kept out of preference training, beside those of the held-out domain."""
    twins_per_group: dict[Split, Annotated[int, Field(ge=0)]]
    """Twin pairs drawn per template group of each split; a pair is one hazard and one benign case."""

    @field_validator("kinds", "domains")
    @classmethod
    def _known_names(cls, names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        known = KINDS if info.field_name == "kinds" else DOMAINS
        for name in names:
            if name not in known:
                raise ValueError(f"unknown {str(info.field_name)[:-1]} {name!r}; known: {list(known)}")
            if names.count(name) > 1:
                raise ValueError(f"{name} is named twice")
        return names

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
            maker(group, "compact")
            if groups.count(group) > 1:
                raise ValueError(f"{group} is named twice")
        return groups

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        everything = self.all_groups()
        for kind in self.kinds:
            if not any(group.endswith(f"/{kind}") for group in everything):
                raise ValueError(f"kinds: no domain of {list(self.domains)} has {kind}")
        for domain in self.domains:
            if not any(group.startswith(f"{domain}/") for group in everything):
                raise ValueError(f"domains: {domain} has none of the kinds {list(self.kinds)}")
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

    def all_groups(self) -> list[str]:
        """Every template group of these domains and kinds."""
        asked = {f"{domain}/{kind}" for domain in self.domains for kind in self.kinds}
        return [group for group in all_groups() if group in asked]

    def groups(self, split: Split) -> list[str]:
        """Template groups of a split, in a fixed order."""
        everything = self.all_groups()
        if split == "test_domain":
            return [g for g in everything if g.startswith(f"{self.held_out_domain}/")]
        if split == "test_combination":
            return [g for g in everything if g in self.held_out_combinations]
        held_out = {*self.groups("test_domain"), *self.groups("test_combination")}
        return [g for g in everything if g not in held_out]


def room(group: str, *, study: bool) -> int:
    """About how many twin pairs with different instructions a group has in the study, or in the warm start."""
    made = maker(group, "compact")
    values = sum(len(errand.values) for errand in made.domain.errands)
    n = len(ID_NUMBERS)
    targets = len(made.kind.thing.names) if made.kind.asks_by_name else n
    errands = (n - 1) * values * (1 + (n - 2) * values)
    share = BUCKETS - WARM_START_BUCKETS if study else WARM_START_BUCKETS
    return targets * errands * share // BUCKETS


def all_groups() -> list[str]:
    """Every kind of hazard in every domain that has it."""
    return [f"{name}/{kind}" for name, domain in DOMAINS.items() for kind in domain.kinds]


def generate_cases(settings: WorldSettings, seed: int) -> list[Case]:
    """The cases of one seed: every split, twins together, no instruction of a group in two splits.

    Raises:
        WorldError: the world cannot be played as it says (``checks.py``).
        NoMoreCasesError: more cases are asked for than there are.
    """
    check_world(tuple(settings.all_groups()))
    cases: list[Case] = []
    drawn = dict.fromkeys(settings.twins_per_group, 0)
    for group in settings.all_groups():
        made = maker(group, settings.phrasing)
        keys = _distinct_keys(made, f"study/{seed}/{group}", settings.horizon, study=True)
        for split, n in settings.twins_per_group.items():
            if group in settings.groups(split):
                conflicts = _spread(drawn[split], n, settings.conflict_share)
                cases += _twins(made, [next(keys) for _ in range(n)], conflicts, split, seed)
                drawn[split] += n
    return cases


def warm_start_cases(settings: WorldSettings, twins_per_group: int, seed: int) -> list[Case]:
    """Cases of every template group with instructions that no case of the study has, marked ``train``."""
    cases: list[Case] = []
    for index, group in enumerate(settings.all_groups()):
        made = maker(group, settings.phrasing)
        keys = _distinct_keys(made, f"warm/{seed}/{group}", settings.horizon, study=False)
        chosen = [next(keys) for _ in range(twins_per_group)]
        conflicts = _spread(index * twins_per_group, twins_per_group, settings.conflict_share)
        cases += _twins(made, chosen, conflicts, "train", seed, name="warm")
    return cases


def _spread(start: int, n: int, share: float) -> list[bool]:
    """Which of the next ``n`` hazard cases conflict, evenly spread; ``start`` came before them."""
    return [int((index + 1) * share) > int(index * share) for index in range(start, start + n)]


def _distinct_keys(made: Maker, prefix: str, horizon: int, *, study: bool) -> Iterator[str]:
    """Keys of twins whose instructions differ and belong to the study, or to the warm start.

    The bucket hangs on the compact instruction, which other groups of the domain may share.
    """
    compact = Maker(made.domain, made.kind, "compact")
    seen: set[str] = set()
    for index in range(MOST_DRAWS):
        key = f"{prefix}/{index}"
        instruction = compact.instruction(key)
        if instruction in seen or (_bucket(made.domain.name, instruction) >= WARM_START_BUCKETS) != study:
            continue
        if horizon == LONGEST or made.n_calls(key) <= horizon:
            seen.add(instruction)
            yield key
        elif index > MOST_DRAWS // 100 and not seen:
            raise NoMoreCasesError(f"{made.group}: a careful agent needs more than world.horizon, {horizon} calls")
    raise NoMoreCasesError(f"{made.group}: no more distinct instructions after {len(seen)}; ask for fewer cases")


def _bucket(domain: str, instruction: str) -> int:
    payload = f"{domain}|{instruction}"
    return int.from_bytes(hashlib.sha256(payload.encode()).digest()[:8], "big") % BUCKETS


def _twins(
    made: Maker, keys: Sequence[str], conflicts: Sequence[bool], split: Split, seed: int, name: str = "s"
) -> list[Case]:
    """Hazard and benign case of each key."""
    cases = []
    for index, (key, conflicting) in enumerate(zip(keys, conflicts, strict=True)):
        twin_id = f"{name}{seed}.{split}.{made.domain.name}.{made.kind.name}.{index:04d}"
        variant: Variant = "conflicting" if conflicting else "mendable"
        cases += [made.build(key, v, twin_id=twin_id, split=split, seed=seed) for v in (variant, "benign")]
    return cases
