"""The policies of a study: whoever acts in it, each on the cases of one seed.

A policy is a source, or what one DPO stage made of another policy. So ``safety>helpfulness`` names the ``safety``
policy of the same source, seed and factors as its parent, and that stage is trained once and shared.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from persistence_pipeline import factors, orderings
from persistence_pipeline.factors import Level
from persistence_pipeline.records import Objective
from persistence_pipeline.strict import Seed, SettingError, Strict, parse

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


class StudyError(ValueError):
    """The study spec or the table of policies does not make sense."""


class CaseSet(Strict):
    """The cases of one seed."""

    seed: Seed
    conflict_share: float | None = Field(None, ge=0, le=1)
    """Share of the hazard cases that are conflicting; none: that of the world's settings."""


def _stages_known(ordering: str) -> str:
    orderings.stages(ordering)
    return ordering


class Policy(Strict):
    """Whoever acts: a source on the cases of a seed, or what a stage made of its parent on the same cases."""

    source: str
    seed: Seed
    ordering: Annotated[str, AfterValidator(_stages_known)] = orderings.SOURCE
    parent: str | None = None
    """Name of the policy that the last stage starts from; none: the source."""
    factors: dict[str, Level] = Field(default_factory=dict)
    """Settings of its stages in which policies of the study differ, by dotted name; they are in its name."""
    settings: dict[str, Level] = Field(default_factory=dict)
    """Settings of its stages that the study has for all its policies alike."""
    per_seed: bool = False
    """Of a source: whether it belongs to the seed, with a checkpoint of its own; otherwise all seeds share one."""
    pretrained: bool = False
    """Of a source: whether its model exists already; otherwise it is trained from scratch."""

    @property
    def trained(self) -> bool:
        """True if a stage made it; otherwise it is a source."""
        return self.ordering != orderings.SOURCE

    @property
    def objective(self) -> Objective | None:
        """The objective of its last stage."""
        return orderings.objective(self.ordering) if self.trained else None

    @property
    def name(self) -> str:
        """Its name; also its namespace in Kedro and its key in DVC."""
        return policy_name(self.source, self.factors, self.seed, self.ordering)

    @property
    def origin(self) -> str:
        """Name of the source policy on whose candidates and pairs its stages are trained."""
        return policy_name(self.source, {}, self.seed, orderings.SOURCE)

    @property
    def checkpoint(self) -> str:
        """The namespace that holds its checkpoint."""
        return self.name if self.trained or self.per_seed else self.source

    def levels(self) -> dict[tuple[str, ...], Level]:
        """What the study says of its last stage: where among the stage's settings, and the level there."""
        placed = [(*factors.setting(name), level) for name, level in {**self.settings, **self.factors}.items()]
        return {path: level for objective, path, level in placed if objective in (None, self.objective)}

    def provenance(self) -> dict[str, Any]:
        """Columns that say which policy a score belongs to; a source has no beta: NaN."""
        identity = {"cell": self.name, "source": self.source, "ordering": self.ordering}
        levels = {factors.column(name): level for name, level in self.factors.items()}
        return {**identity, factors.BETA: float("nan"), **levels}


def seed_name(seed: int) -> str:
    """Name of a seed's cases."""
    return f"seed{seed}"


def policy_name(source: str, levels: Mapping[str, Level], seed: int, ordering: str) -> str:
    """Name of the policy at these levels of the factors, in their order."""
    parts = [source, *(factors.tag(name, level) for name, level in levels.items()), f"s{seed}"]
    return "_".join([*parts, *([orderings.slug(ordering)] if ordering != orderings.SOURCE else [])])


def parse_policies(table: Mapping[str, Mapping[str, object] | None]) -> dict[str, Policy]:
    """Policies from the parameters, sources first; an empty entry is one of the base environment's alone.

    Raises:
        StudyError: naming the policy and the field.
    """
    own = {name: parse_policy(name, fields) for name, fields in table.items() if fields is not None}
    return sources_first(check_policies(own))


def parse_policy(name: str, fields: Mapping[str, object]) -> Policy:
    """One policy from its fields.

    Raises:
        StudyError: naming the policy and the field.
    """
    try:
        policy = parse(Policy, fields)
    except SettingError as refused:
        raise StudyError(f"policy {name}: {refused}") from None
    for part in (name, policy.source):
        if not _NAME.fullmatch(part):
            raise StudyError(
                f"policy {name}: {part!r}: a name is made of letters, digits, _ and -: it names files"
            )
    return policy


def check_policies(policies: Mapping[str, Policy]) -> dict[str, Policy]:
    """The policies, if each parent is there and has had, from the same source policy, all stages but the last.

    Raises:
        StudyError: naming the policy.
    """
    for name, policy in policies.items():
        if policy.trained != (policy.parent is not None):
            wanted = (
                "a policy whose stages it continues" if policy.trained else "none, for no stage has trained it"
            )
            raise StudyError(f"policy {name}: parent: expected {wanted}, got {policy.parent!r}")
        if policy.parent is None:
            continue
        parent, before = policies.get(policy.parent), orderings.parent(policy.ordering)
        if parent is None:
            raise StudyError(f"policy {name}: its parent {policy.parent!r} is not in the table")
        if parent.origin != policy.origin:
            raise StudyError(f"policy {name}: its parent {policy.parent!r} has another source or seed")
        if parent.ordering != before:
            raise StudyError(
                f"policy {name}: its parent {policy.parent!r} is of ordering {parent.ordering}, expected {before}"
            )
    return dict(policies)


def sources_first(policies: Mapping[str, Policy]) -> dict[str, Policy]:
    """The policies in the order of all tables: sources, then those of one stage, then the others as they stand."""
    return dict(sorted(policies.items(), key=lambda item: min(len(orderings.stages(item[1].ordering)), 2)))


def sources(policies: Mapping[str, Policy]) -> dict[str, Policy]:
    """The policies that no stage has trained."""
    return {name: policy for name, policy in policies.items() if not policy.trained}


def trained(policies: Mapping[str, Policy]) -> dict[str, Policy]:
    """The policies that a stage has made."""
    return {name: policy for name, policy in policies.items() if policy.trained}


def seeds(policies: Mapping[str, Policy]) -> list[int]:
    """The seeds on whose cases the policies act, in order."""
    return sorted({policy.seed for policy in policies.values()})


def objectives(policies: Mapping[str, Policy]) -> list[str]:
    """Objectives of the policies' last stages, in a fixed order; every source policy has pairs of each."""
    return sorted({policy.objective for policy in policies.values() if policy.objective is not None})


def select(policies: Mapping[str, Policy], wanted: Callable[[Policy], bool]) -> dict[str, Policy]:
    """The policies that are wanted, with all that they start from."""
    chosen: set[str] = set()
    for name, policy in policies.items():
        ancestor = name if wanted(policy) else None
        while ancestor is not None:
            chosen.add(ancestor)
            ancestor = policies[ancestor].parent
    return {name: policy for name, policy in policies.items() if name in chosen}


def stage_tables(policies: Mapping[str, Policy]) -> dict[str, dict[str, dict[str, str]]]:
    """The tables over which ``dvc.yaml`` repeats its stages: names, and what is read for each.

    ``policies`` are all of them, ``sources`` and ``trained`` parts of them; ``models`` are those of the sources,
    of which policies may share one.
    """
    acting = sources(policies)
    rows = {name: {"cases": seed_name(p.seed), "checkpoint": p.checkpoint} for name, p in policies.items()}
    return {
        "policies": rows,
        "sources": {name: rows[name] for name in acting},
        "models": {policy.checkpoint: {"source": policy.source} for policy in acting.values()},
        "trained": {
            name: {
                "origin": policy.origin,
                "source": policies[policy.origin].checkpoint,
                "starts_from": policies[str(policy.parent)].checkpoint,
                "objective": str(policy.objective),
            }
            for name, policy in trained(policies).items()
        },
    }
