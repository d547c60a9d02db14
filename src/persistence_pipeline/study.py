"""The grid: a compact study spec, and the table of cells that it expands to.

A cell is one trained checkpoint. Cells are unique: ``safety>helpfulness`` names the ``safety`` cell of the same
source, beta and seed as its parent, so that stage is trained once and shared.

``python -m persistence_pipeline.study`` writes ``conf/<env>/parameters_cells.yml`` from ``conf/<env>/study.yml``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from persistence_pipeline.records import Objective

Ordering = Literal["safety", "helpfulness", "safety>helpfulness", "helpfulness>safety", "both"]
Reference = Literal["previous", "source"]
ORDERINGS: tuple[Ordering, ...] = get_args(Ordering)
HEADER = "# Written by `make cells` from study.yml; do not edit by hand.\n"


class StudyError(ValueError):
    """The study spec or the table of cells does not make sense."""


class StudySpec(BaseModel):
    """Factors of a study; the grid is their product."""

    model_config = ConfigDict(extra="forbid")

    sources: list[str] = Field(min_length=1)
    orderings: list[Ordering] = Field(min_length=1)
    betas: list[float] = Field(min_length=1)
    seeds: list[int] = Field(min_length=1)
    reference: Reference = "previous"
    """What a stage's loss compares with: the checkpoint it starts from, or the source."""
    loss: str = "sigmoid"


class Cell(BaseModel):
    """One checkpoint of the grid: one DPO stage from its parent."""

    model_config = ConfigDict(extra="forbid")

    source: str
    ordering: Ordering
    objective: Objective
    parent: str | None = None
    """Name of the cell that this stage starts from; none: the source."""
    beta: float = Field(gt=0)
    seed: int = Field(ge=0)
    reference: Reference = "previous"
    loss: str = "sigmoid"

    @property
    def name(self) -> str:
        """Name of the cell; also its namespace in Kedro and its key in DVC."""
        return cell_name(self.source, self.beta, self.seed, self.ordering)

    @property
    def arm(self) -> str:
        """Name of the arm whose candidates and pairs it is trained on."""
        return Arm(source=self.source, seed=self.seed).name

    def provenance(self) -> dict[str, Any]:
        """Columns that say which checkpoint a score belongs to."""
        return {"cell": self.name, "source": self.source, "ordering": self.ordering, "beta": self.beta}


class Arm(BaseModel):
    """A source on the cases of one seed: where candidates and pairs come from."""

    model_config = ConfigDict(extra="forbid")

    source: str
    seed: int = Field(ge=0)

    @property
    def name(self) -> str:
        """Name of the arm; also its namespace in Kedro."""
        return f"{self.source}_s{self.seed}"

    def provenance(self) -> dict[str, Any]:
        """As for a cell; the source's ordering is ``source`` and its beta NaN."""
        return {"cell": self.name, "source": self.source, "ordering": "source", "beta": float("nan")}


def seed_name(seed: int) -> str:
    """Name of a seed's cases."""
    return f"seed{seed}"


def cell_name(source: str, beta: float, seed: int, ordering: str) -> str:
    """Name of the cell with these factors."""
    written = f"{beta:g}".replace(".", "p")
    return f"{source}_b{written}_s{seed}_{ordering.replace('>', '_then_')}"


def expand(spec: StudySpec, known_sources: Mapping[str, object]) -> dict[str, Cell]:
    """The table of cells of a spec, parents included and before their children.

    Raises:
        StudyError: unknown source, negative beta, a factor level given twice.
    """
    _refuse_repeats(spec)
    for source in spec.sources:
        if source not in known_sources:
            raise StudyError(f"study spec: unknown source {source!r}; known: {sorted(known_sources)}")
    cells: dict[str, Cell] = {}
    for source in spec.sources:
        for beta in spec.betas:
            for seed in spec.seeds:
                for ordering in spec.orderings:
                    _add(cells, spec, source, beta, seed, ordering)
    ordered = sorted(cells.items(), key=lambda item: item[1].parent is not None)
    return check_cells(dict(ordered))


def _add(cells: dict[str, Cell], spec: StudySpec, source: str, beta: float, seed: int, ordering: Ordering) -> None:
    *before, objective = ordering.split(">")
    name = cell_name(source, beta, seed, ordering)
    parent = cell_name(source, beta, seed, before[0]) if before else None
    fields = {"source": source, "beta": beta, "seed": seed, "reference": spec.reference, "loss": spec.loss}
    try:
        cells[name] = Cell.model_validate(
            {**fields, "ordering": ordering, "objective": objective, "parent": parent}
        )
    except ValidationError as error:
        raise StudyError(f"cell {name}: {_first(error)}") from None
    if parent is not None and parent not in cells:
        single = next(o for o in ORDERINGS if o == before[0])
        _add(cells, spec, source, beta, seed, single)


def _refuse_repeats(spec: StudySpec) -> None:
    for factor in ("sources", "orderings", "betas", "seeds"):
        levels = getattr(spec, factor)
        for level in levels:
            if levels.count(level) > 1:
                raise StudyError(f"study spec: {factor} names {level!r} twice, so two cells would share a name")


def check_cells(cells: Mapping[str, Cell]) -> dict[str, Cell]:
    """The cells, if every parent exists and there is no circle.

    Raises:
        StudyError: naming the cell.
    """
    for name, cell in cells.items():
        seen = [name]
        parent = cell.parent
        while parent is not None:
            if parent not in cells:
                raise StudyError(f"cell {seen[-1]}: its parent {parent!r} is not in the table")
            if parent in seen:
                raise StudyError(f"cell {name}: circle of parents {' -> '.join([*seen, parent])}")
            seen.append(parent)
            parent = cells[parent].parent
    return dict(cells)


def parse_cells(table: Mapping[str, Mapping[str, object] | None]) -> dict[str, Cell]:
    """Cells from the parameters; an empty entry is a cell of the base environment that this study does not have.

    Raises:
        StudyError: naming the cell and the field.
    """
    cells = {}
    for name, fields in table.items():
        if fields is None:
            continue
        try:
            cells[name] = Cell.model_validate(dict(fields))
        except ValidationError as error:
            raise StudyError(f"cell {name}: {_first(error)}") from None
    return check_cells(cells)


def load_spec(path: Path) -> StudySpec:
    """Read a study spec.

    Raises:
        StudyError: naming the file, the field and what was expected.
    """

    class _UniqueKeys(yaml.SafeLoader):
        pass

    _UniqueKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_mapping)
    try:
        return StudySpec.model_validate(yaml.load(path.read_text("utf-8"), Loader=_UniqueKeys))  # noqa: S506
    except (ValidationError, yaml.YAMLError) as error:
        detail = _first(error) if isinstance(error, ValidationError) else str(error)
        raise StudyError(f"{path}: {detail}") from None


def _unique_mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[object, object]:
    keys = [loader.construct_object(key) for key, _ in node.value]
    for key in keys:
        if keys.count(key) > 1:
            raise yaml.YAMLError(f"{key!r} is given twice")
    return loader.construct_mapping(node, deep=True)


def _first(error: ValidationError) -> str:
    fault = error.errors()[0]
    where = ".".join(map(str, fault["loc"])) or "document"
    return f"{where}: {fault['msg']}, got {fault['input']!r}"


def render_cells(cells: Mapping[str, Cell], base: Iterable[str] = ()) -> str:
    """The table of cells as YAML, with the arms and the seeds that they stand on.

    Parameters of an environment are merged into the base's; ``base`` names the base's cells, and those that are
    not among ``cells`` are written as empty entries, so that they do not join the environment's study.
    """
    dropped: dict[str, None] = {name: None for name in base if name not in cells}
    arms = {cell.arm: {"source": cell.source, "seed": cell.seed} for cell in cells.values()}
    tables = {
        "seeds": {seed_name(seed): seed for seed in sorted({cell.seed for cell in cells.values()})},
        "arms": arms,
        "cells": {**dropped, **{name: cell.model_dump() for name, cell in cells.items()}},
    }
    return HEADER + yaml.safe_dump(tables, sort_keys=False)


def main(argv: list[str] | None = None) -> None:
    """Expand the study spec of an environment into its table of cells."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--env", default="base")
    parser.add_argument("--conf", type=Path, default=Path("conf"))
    options = parser.parse_args(argv)
    folder = options.conf / options.env
    try:
        sources = yaml.safe_load((options.conf / "base" / "parameters_sources.yml").read_text("utf-8"))["sources"]
        cells = expand(load_spec(folder / "study.yml"), sources)
        base = expand(load_spec(options.conf / "base" / "study.yml"), sources)
    except StudyError as error:
        raise SystemExit(f"error: {error}") from None
    target = folder / "parameters_cells.yml"
    target.write_text(render_cells(cells, base), encoding="utf-8")


if __name__ == "__main__":
    main()
