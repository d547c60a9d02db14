"""A compact study spec, and the table of policies that it expands to."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, Field, model_validator

from persistence_pipeline import factors, orderings, yaml_files
from persistence_pipeline.factors import Level
from persistence_pipeline.strict import Seed, SettingError, Strict, parse, parse_part
from persistence_pipeline.study.policies import (
    Policy,
    StudyError,
    check_policies,
    parse_policy,
    policy_name,
    seed_name,
    seeds,
    sources_first,
    stage_tables,
)
from persistence_pipeline.study.registration import Registration

TABLE = "parameters_policies.json"
"""Name of the table of policies; JSON because DVC reads it once for every stage."""
Ordering = Annotated[str, AfterValidator(orderings.check)]
"""A sequence of stages, such as ``safety>helpfulness``."""
IMPLIED = ("objective", "seed")
"""Settings of a stage that a study says in another way."""


class StudySpec(Strict):
    """The factors that a study varies; the grid is the product of the lists."""

    sources: list[str] = Field(min_length=1)
    orderings: list[Ordering] = Field(min_length=1)
    seeds: list[Seed] = Field(min_length=1)
    factors: dict[str, Level | Annotated[list[Level], Field(min_length=1)]]
    """Settings of the stages by name: a list varies in the study, a single value is that of all its stages."""
    conflict_share: float | None = Field(None, ge=0, le=1)
    """Share of conflicting cases among the hazard cases; none: that of the world's settings."""
    registered: Registration | None = None
    """What was registered before the run; its hash stands in the report, and what was run otherwise."""
    extra: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Single policies beside the product, by name; what their ordering implies may be left out."""

    @model_validator(mode="after")
    def _beta(self) -> Self:
        if not isinstance(self.factors.get(factors.BETA), list):
            raise ValueError("factors.beta: expected a list of betas")
        return self

    @property
    def varied(self) -> dict[str, list[Level]]:
        """Levels of the factors that are in the policies' names: beta, and those that have several."""
        lists = {name: levels for name, levels in self.factors.items() if isinstance(levels, list)}
        several = {name: levels for name, levels in lists.items() if len(levels) > 1}
        return {factors.BETA: lists[factors.BETA], **several}

    @property
    def settings(self) -> dict[str, Level]:
        """Settings that all stages share."""
        fixed = {name: level for name, level in self.factors.items() if name not in self.varied}
        return {name: level[0] if isinstance(level, list) else level for name, level in fixed.items()}


def expand(
    spec: StudySpec,
    known_sources: Iterable[str],
    per_seed: Collection[str] = (),
    pretrained: Collection[str] = (),
) -> dict[str, Policy]:
    """The table of policies of a spec, parents included and before their children.

    Args:
        spec: The spec.
        known_sources: Names of the sources that there are.
        per_seed: Those of them of which each seed has its own.
        pretrained: Those of them whose models exist already.

    Raises:
        StudyError: unknown source, two policies with one name, a parent that does not exist, a circle.
    """
    known = sorted(known_sources)
    _check_levels(spec)
    policies: dict[str, Policy] = {}
    combined = product(spec.sources, product(*spec.varied.values()), spec.seeds, spec.orderings)
    for source, levels, seed, ordering in combined:
        _add(policies, spec, source, dict(zip(spec.varied, levels, strict=True)), seed, ordering)
    for name, fields in spec.extra.items():
        _add_extra(policies, spec, name, fields)
    for name, policy in policies.items():
        if policy.source not in known:
            raise StudyError(f"policy {name}: unknown source {policy.source!r}; known: {known}")
        if not policy.trained:
            own = {"per_seed": policy.source in per_seed, "pretrained": policy.source in pretrained}
            policies[name] = policy.model_copy(update=own)
    policies = check_policies(policies)
    _check_namespaces(policies)
    return sources_first(policies)


def check_settings(spec: StudySpec, stage: type[BaseModel]) -> None:
    """See that the factors are settings of a stage, and their levels values of them.

    Args:
        spec: The spec.
        stage: All settings of a stage.

    Raises:
        StudyError: naming the factor, and the setting that was probably meant.
    """
    for name, levels in spec.factors.items():
        for level in levels if isinstance(levels, list) else [levels]:
            try:
                _, keys = factors.setting(name)
                if keys[0] in IMPLIED:
                    raise SettingError((name,), "follows from seeds and orderings")
                parse_part(stage, keys, level)
            except SettingError as refused:
                raise StudyError(f"factors.{refused}") from None


def _check_levels(spec: StudySpec) -> None:
    lists: dict[str, Sequence[Any]] = {f"factors.{name}": levels for name, levels in spec.varied.items()}
    lists |= {"sources": spec.sources, "orderings": spec.orderings, "seeds": spec.seeds}
    for factor, levels in lists.items():
        for level in levels:
            if levels.count(level) > 1:
                raise StudyError(f"{factor} names {level!r} twice, so two policies would share a name")
    for source in spec.sources:
        if not re.fullmatch(r"[A-Za-z0-9_-]+", source):
            raise StudyError(f"source {source!r}: a name is made of letters, digits, _ and -")


def _add(
    policies: dict[str, Policy], spec: StudySpec, source: str, levels: dict[str, Level], seed: int, ordering: str
) -> None:
    """Add the policy of these factors, after the parent that it needs."""
    fields = _complete(spec, source, levels, seed, ordering)
    name = policy_name(source, fields.get("factors", {}), seed, ordering)
    policy = parse_policy(name, fields)
    if policies.get(name, policy) != policy:
        raise StudyError(f"policy {name}: two policies would have this name; their factors differ by too little")
    if policy.trained:
        _add(policies, spec, source, levels, seed, orderings.parent(ordering))
    policies[name] = policy


def _complete(spec: StudySpec, source: str, levels: dict[str, Level], seed: int, ordering: str) -> dict[str, Any]:
    """All fields of a policy: its ordering says which parent it has."""
    fields = {"source": source, "seed": seed, "ordering": ordering}
    if ordering == orderings.SOURCE:
        return fields
    before = orderings.parent(ordering)
    parent = policy_name(source, {} if before == orderings.SOURCE else levels, seed, before)
    return {**fields, "parent": parent, "factors": levels, "settings": spec.settings}


def _add_extra(policies: dict[str, Policy], spec: StudySpec, name: str, fields: dict[str, Any]) -> None:
    for key in ("source", "seed", "ordering", "factors"):
        if fields.get(key) is None:
            raise StudyError(f"policy {name}: {key}: expected, but missing")
    try:
        orderings.check(str(fields["ordering"]))
    except ValueError as error:
        raise StudyError(f"policy {name}: {error}") from None
    policy = parse_policy(name, fields)
    if list(policy.factors) != list(spec.varied):
        raise StudyError(
            f"policy {name}: factors: expected a level of {', then '.join(spec.varied)}, as the others have"
        )
    implied = _complete(spec, policy.source, policy.factors, policy.seed, policy.ordering)
    policy = parse_policy(name, {**implied, **fields})
    if name in policies:
        raise StudyError(f"policy {name}: the product of the factors already has a policy of this name")
    if name != policy.name:
        raise StudyError(f"policy {name}: its factors give it the name {policy.name}")
    if policy.origin not in policies:
        _add(policies, spec, policy.source, {}, policy.seed, orderings.SOURCE)
    policies[name] = policy


def _check_namespaces(policies: Mapping[str, Policy]) -> None:
    """Sources, case sets and policies name data folders side by side."""
    kinds = {
        "source": {policy.source for policy in policies.values()},
        "case set": {seed_name(seed) for seed in seeds(policies)},
        "policy": set(policies),
    }
    seen: dict[str, str] = {"study": "study", "published": "published study"}
    for kind, names in kinds.items():
        for name in sorted(names):
            if name in seen:
                raise StudyError(f"{kind} {name}: a {seen[name]} has this name already")
            seen[name] = kind


def load_spec(path: Path) -> StudySpec:
    """Read a study spec.

    Raises:
        StudyError: naming the file, the field and what was expected.
    """
    try:
        fields = yaml_files.load(path)
    except yaml_files.YamlError as fault:
        raise StudyError(str(fault)) from None
    return parse_spec(fields, str(path))


@contextmanager
def refused_as(where: str) -> Iterator[None]:
    """Lets refusals inside begin with where the spec comes from.

    Raises:
        StudyError: what was refused inside.
    """
    try:
        yield
    except StudyError as refused:
        raise StudyError(f"{where}: {refused}") from None


def parse_spec(fields: object, where: str) -> StudySpec:
    """A study spec from its fields.

    Raises:
        StudyError: naming where they come from, the field and what was expected.
    """
    try:
        return parse(StudySpec, fields)
    except SettingError as refused:
        raise StudyError(f"{where}: {refused}") from None


def tables(policies: Mapping[str, Policy], spec: StudySpec, base: Iterable[str] = ()) -> dict[str, Any]:
    """The table of policies, with the case sets that they act on and what ``dvc.yaml`` repeats its stages over.

    Parameters of an environment are merged into the base's; ``base`` names the base's policies, and those that are
    not among ``policies`` become empty entries, so that they do not join the environment's study. ``stages`` lists
    the study's own policies only.
    """
    own = {name: written(policy) for name, policy in policies.items()}
    return {
        "seeds": {
            seed_name(seed): {"seed": seed, "conflict_share": spec.conflict_share} for seed in seeds(policies)
        },
        "registered": None if spec.registered is None else spec.registered.model_dump(),
        "policies": {**{name: None for name in base if name not in policies}, **own},
        "stages": stage_tables(policies),
    }


def written(policy: Policy) -> dict[str, Any]:
    """A policy as a table has it: what differs from the defaults, and of a source whether it belongs to its seed,
    for the table goes over the base's."""
    fields = policy.model_dump(exclude_defaults=True)
    return fields if policy.trained else {**fields, "per_seed": policy.per_seed}


def render_policies(policies: Mapping[str, Policy], spec: StudySpec, base: Iterable[str] = ()) -> str:
    """The tables as JSON, a row a line."""
    found = tables(policies, spec, base)
    stages = {kind: _rows(rows, 2) for kind, rows in found.pop("stages").items()}
    registered = {"registered": json.dumps(found.pop("registered"))}
    parts = registered | {name: _rows(table, 1) for name, table in found.items()} | {"stages": _group(stages, 1)}
    return _group(parts, 0) + "\n"


def _rows(table: Mapping[str, Any], depth: int) -> str:
    return _group({name: json.dumps(row) for name, row in table.items()}, depth)


def _group(parts: Mapping[str, str], depth: int) -> str:
    """Names and what each holds, as JSON, a line each."""
    inner = ",\n".join(f'{" " * (depth + 1)}"{name}": {text}' for name, text in parts.items())
    return f"{{\n{inner}\n{' ' * depth}}}"
