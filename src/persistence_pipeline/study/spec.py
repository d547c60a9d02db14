"""A compact study spec, and the table of cells that it expands to."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from itertools import product
from pathlib import Path
from typing import Any

from pydantic import Field

from persistence_pipeline import orderings, yaml_files
from persistence_pipeline.strict import Seed, SettingError, Strict, parse
from persistence_pipeline.study.cells import (
    Cell,
    Ordering,
    Reference,
    StudyError,
    cell_name,
    check_cells,
    parse_cell,
    seed_name,
    stage_row,
)

TABLE = "parameters_cells.json"
"""Name of the table of cells; JSON because DVC reads it once for every stage."""
FACTORS = ("sources", "betas", "seeds", "orderings")


class StudySpec(Strict):
    """Factors of a study; the grid is the product of the lists."""

    sources: list[str] = Field(min_length=1)
    orderings: list[Ordering] = Field(min_length=1)
    betas: list[float] = Field(min_length=1)
    seeds: list[Seed] = Field(min_length=1)
    reference: Reference = "previous"
    """What a stage's loss compares with: the checkpoint it starts from, or the source."""
    loss: str = "sigmoid"
    conflict_share: float | None = Field(None, ge=0, le=1)
    """Share of conflicting cases among the hazard cases; none: that of the world's settings."""
    extra: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Single cells beside the product, by name; what a cell's ordering implies may be left out."""


def expand(spec: StudySpec, known_sources: Iterable[str]) -> dict[str, Cell]:
    """The table of cells of a spec, parents included and before their children.

    Raises:
        StudyError: unknown source, negative beta, two cells with one name, a parent that does not exist, a circle.
    """
    known = sorted(known_sources)
    _check_factors(spec)
    cells: dict[str, Cell] = {}
    for source, beta, seed, ordering in product(*(getattr(spec, factor) for factor in FACTORS)):
        _add(cells, spec, {"source": source, "beta": beta, "seed": seed, "ordering": ordering})
    for name, fields in spec.extra.items():
        _add_extra(cells, spec, name, fields)
    for name, cell in cells.items():
        if cell.source not in known:
            raise StudyError(f"cell {name}: unknown source {cell.source!r}; known: {known}")
    cells = check_cells(cells)
    _check_namespaces(cells)
    return dict(sorted(cells.items(), key=lambda item: item[1].parent is not None))


def _check_factors(spec: StudySpec) -> None:
    for factor in FACTORS:
        levels = getattr(spec, factor)
        for level in levels:
            if levels.count(level) > 1:
                raise StudyError(f"study spec: {factor} names {level!r} twice, so two cells would share a name")
    for source in spec.sources:
        if not re.fullmatch(r"[A-Za-z0-9_-]+", source):
            raise StudyError(f"study spec: source {source!r}: a name is made of letters, digits, _ and -")


def _add(cells: dict[str, Cell], spec: StudySpec, factors: dict[str, Any]) -> None:
    """Add the cell of these factors, after the parent that it needs."""
    fields = _complete(spec, factors)
    name = cell_name(**factors)
    cell = parse_cell(name, fields)
    if cells.get(name, cell) != cell:
        raise StudyError(f"cell {name}: two cells would have this name; their betas differ by too little")
    if cell.parent is not None:
        _add(cells, spec, {**factors, "ordering": orderings.parent(cell.ordering)})
    cells[name] = cell


def _complete(spec: StudySpec, factors: Mapping[str, Any]) -> dict[str, Any]:
    """All fields of a cell: its ordering says objective and parent."""
    ordering = factors["ordering"]
    before = orderings.parent(ordering)
    parent = None if before == orderings.SOURCE else cell_name(**{**factors, "ordering": before})
    implied = {"objective": orderings.objective(ordering), "parent": parent}
    return {**factors, **implied, "reference": spec.reference, "loss": spec.loss}


def _add_extra(cells: dict[str, Cell], spec: StudySpec, name: str, fields: dict[str, Any]) -> None:
    factors = {key: fields.get(key) for key in ("source", "beta", "seed", "ordering")}
    missing = [key for key, value in factors.items() if value is None]
    if missing:
        raise StudyError(f"cell {name}: {missing[0]}: expected, but missing")
    if not isinstance(factors["beta"], int | float):
        raise StudyError(f"cell {name}: beta: expected a number, got {factors['beta']!r}")
    try:
        orderings.check(str(factors["ordering"]))
    except ValueError as error:
        raise StudyError(f"cell {name}: {error}") from None
    cell = parse_cell(name, {**_complete(spec, factors), **fields})
    if name in cells:
        raise StudyError(f"cell {name}: the product of the factors already has a cell of this name")
    if name != cell.name:
        raise StudyError(f"cell {name}: its factors give it the name {cell.name}")
    cells[name] = cell


def _check_namespaces(cells: Mapping[str, Cell]) -> None:
    """Sources, arms, case sets and cells name data folders side by side."""
    kinds = {
        "source": {cell.source for cell in cells.values()},
        "arm": {cell.arm for cell in cells.values()},
        "case set": {seed_name(cell.seed) for cell in cells.values()},
        "cell": set(cells),
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


def parse_spec(fields: object, where: str) -> StudySpec:
    """A study spec from its fields.

    Raises:
        StudyError: naming where they come from, the field and what was expected.
    """
    try:
        return parse(StudySpec, fields)
    except SettingError as refused:
        raise StudyError(f"{where}: {refused}") from None


def tables(cells: Mapping[str, Cell], spec: StudySpec, base: Iterable[str] = ()) -> dict[str, Any]:
    """The table of cells, with the arms and the case sets that they stand on.

    Parameters of an environment are merged into the base's; ``base`` names the base's cells, and those that are
    not among ``cells`` become empty entries, so that they do not join the environment's study. ``stages`` lists
    the study's own cells only, as ``dvc.yaml`` reads them.
    """
    seeds = sorted({cell.seed for cell in cells.values()})
    return {
        "seeds": {seed_name(seed): {"seed": seed, "conflict_share": spec.conflict_share} for seed in seeds},
        "arms": {cell.arm: {"source": cell.source, "seed": cell.seed} for cell in cells.values()},
        "cells": {
            **{name: None for name in base if name not in cells},
            **{name: cell.model_dump() for name, cell in cells.items()},
        },
        "stages": {name: stage_row(cell).model_dump() for name, cell in cells.items()},
    }


def render_cells(cells: Mapping[str, Cell], spec: StudySpec, base: Iterable[str] = ()) -> str:
    """The tables as JSON, a row a line."""
    parts = []
    for name, table in tables(cells, spec, base).items():
        rows = [f'  "{key}": {json.dumps(row)}' for key, row in table.items()]
        parts.append(f' "{name}": {{\n' + ",\n".join(rows) + "\n }")
    return "{\n" + ",\n".join(parts) + "\n}\n"
