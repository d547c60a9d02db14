"""The table of cells that a study's pipelines are built from.

A cell is one trained checkpoint. Cells are unique: ``safety>helpfulness`` names the ``safety`` cell of the same
source, beta and seed as its parent, so that stage is trained once and shared.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from persistence_pipeline import orderings
from persistence_pipeline.records import Objective
from persistence_pipeline.strict import Seed, SettingError, Strict, parse

Ordering = Annotated[str, AfterValidator(orderings.check)]
"""A sequence of stages, such as ``safety>helpfulness``."""
Reference = Literal["previous", "source"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


class StudyError(ValueError):
    """The study spec or the table of cells does not make sense."""


class CaseSet(Strict):
    """The cases of one seed."""

    seed: Seed
    conflict_share: float | None = Field(None, ge=0, le=1)
    """Share of the hazard cases that are conflicting; none: that of the world's settings."""


class Arm(Strict):
    """A source on the cases of one seed: where candidates and pairs come from."""

    source: str
    seed: Seed

    @property
    def name(self) -> str:
        """Name of the arm; also its namespace in Kedro."""
        return f"{self.source}_s{self.seed}"

    def provenance(self) -> dict[str, Any]:
        """As for a cell; the source's ordering is ``source`` and its beta NaN."""
        return {"cell": self.name, "source": self.source, "ordering": orderings.SOURCE, "beta": float("nan")}


class StageRow(Strict):
    """What ``dvc.yaml`` reads of a cell."""

    cases: str
    arm: str
    source: str
    starts_from: str
    objective: Objective


class Cell(Strict):
    """One checkpoint of the grid: one DPO stage from its parent."""

    source: str
    ordering: Ordering
    objective: Objective
    parent: str | None = None
    """Name of the cell that this stage starts from; none: the source."""
    beta: float = Field(gt=0)
    seed: Seed
    reference: Reference = "previous"
    loss: str = "sigmoid"

    @model_validator(mode="after")
    def _last_stage(self) -> Self:
        if self.objective != orderings.objective(self.ordering):
            raise ValueError(f"the last stage of {self.ordering} is not on {self.objective}")
        return self

    @property
    def name(self) -> str:
        """Name of the cell; also its namespace in Kedro and its key in DVC."""
        return cell_name(self.source, self.beta, self.seed, self.ordering)

    @property
    def arm(self) -> str:
        """Name of the arm whose candidates and pairs it is trained on."""
        return Arm(source=self.source, seed=self.seed).name

    @property
    def starts_from(self) -> str:
        """Whose checkpoint the stage starts from: the parent's or the source's."""
        return self.parent or self.source

    def provenance(self) -> dict[str, Any]:
        """Columns that say which checkpoint a score belongs to."""
        return {"cell": self.name, "source": self.source, "ordering": self.ordering, "beta": self.beta}


def stage_row(cell: Cell) -> StageRow:
    """What ``dvc.yaml`` reads of the cell."""
    names = {"cases": seed_name(cell.seed), "arm": cell.arm, "source": cell.source}
    return StageRow(**names, starts_from=cell.starts_from, objective=cell.objective)


def seed_name(seed: int) -> str:
    """Name of a seed's cases."""
    return f"seed{seed}"


def cell_name(source: str, beta: float, seed: int, ordering: str) -> str:
    """Name of the cell with these factors."""
    written = f"{beta:g}".replace(".", "p")
    return f"{source}_b{written}_s{seed}_{orderings.slug(ordering)}"


def parse_cells(table: Mapping[str, Mapping[str, object] | None]) -> dict[str, Cell]:
    """Cells from the parameters; an empty entry is a cell of the base environment that this study does not have.

    Raises:
        StudyError: naming the cell and the field.
    """
    return check_cells({name: parse_cell(name, fields) for name, fields in table.items() if fields is not None})


def parse_cell(name: str, fields: Mapping[str, object]) -> Cell:
    """One cell from its fields.

    Raises:
        StudyError: naming the cell and the field.
    """
    try:
        cell = parse(Cell, fields)
    except SettingError as refused:
        raise StudyError(f"cell {name}: {refused}") from None
    for part in (name, cell.source):
        if not _NAME.fullmatch(part):
            raise StudyError(f"cell {name}: {part!r}: a name is made of letters, digits, _ and -: it names files")
    return cell


def check_cells(cells: Mapping[str, Cell]) -> dict[str, Cell]:
    """The cells, if every parent is there and has had, on the same arm, all stages of its child but the last.

    Raises:
        StudyError: naming the cell.
    """
    for name, cell in cells.items():
        before = orderings.parent(cell.ordering)
        if cell.parent is None:
            if before != orderings.SOURCE:
                raise StudyError(f"cell {name}: parent: expected a cell of ordering {before}, but missing")
            continue
        parent = cells.get(cell.parent)
        if parent is None:
            raise StudyError(f"cell {name}: its parent {cell.parent!r} is not in the table")
        if parent.arm != cell.arm:
            raise StudyError(f"cell {name}: its parent {cell.parent!r} has another source or seed")
        if parent.ordering != before:
            raise StudyError(
                f"cell {name}: its parent {cell.parent!r} is of ordering {parent.ordering}, expected {before}"
            )
    return dict(cells)
