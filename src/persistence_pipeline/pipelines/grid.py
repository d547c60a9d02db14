"""The table of cells and the design that the pipelines are built from.

A session says where its parameters are (``session.StudyContext``), so that an environment may bring its own.
Without a session (``kedro registry list``, tests) those of ``KEDRO_ENV`` are read, else the base environment's.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from persistence_pipeline.study import Cell, StudyDesign, parse_cells, parse_design, seed_name

_PROJECT = Path(__file__).resolve().parents[3]
_session_cells: dict[str, Cell] = {}
_session_design = [StudyDesign()]
_session_parameters: list[Callable[[], Mapping[str, Any]]] = []


def follow(parameters: Callable[[], Mapping[str, Any]]) -> None:
    """Use the cells and the design of a session from now on; its parameters are read when they are needed."""
    _session_cells.clear()
    _session_parameters[:] = [parameters]


def activate(table: Mapping[str, Any], design: Mapping[str, Any] | None = None) -> None:
    """Use these cells and this design from now on."""
    _session_cells.clear()
    _session_cells.update(parse_cells(table))
    _session_design[:] = [parse_design(design or {})]


def active_cells() -> dict[str, Cell]:
    """Cells of the running session.

    Raises:
        StudyError: the session's study makes no sense, or is not the one that its environment describes.
    """
    if not _session_cells:
        parameters = _session_parameters[0]() if _session_parameters else _parameters_without_session()
        activate(parameters["cells"], parameters["study"])
    return dict(_session_cells)


def active_design() -> StudyDesign:
    """Design of the running session; raises as ``active_cells`` does."""
    active_cells()
    return _session_design[0]


def cases_of(seed: int) -> str:
    """Dataset of a seed's cases, of whichever kind the study has."""
    return f"{seed_name(seed)}.{'emulated_cases' if active_design().emulated else 'cases'}"


def case_table_of(seed: int) -> str:
    """Dataset of the table of a seed's cases."""
    return f"{seed_name(seed)}.{'emulated_case_table' if active_design().emulated else 'case_table'}"


def _parameters_without_session() -> Mapping[str, Any]:
    from kedro.utils import find_kedro_project

    from persistence_pipeline.session import configuration

    project = find_kedro_project(Path.cwd()) or _PROJECT
    parameters: Mapping[str, Any] = configuration(project / "conf", os.environ.get("KEDRO_ENV", "base"))[
        "parameters"
    ]
    return parameters


def select(cells: Mapping[str, Cell], wanted: Callable[[Cell], bool]) -> dict[str, Cell]:
    """The cells that are wanted, with all that they start from."""
    chosen: set[str] = set()
    for name, cell in cells.items():
        ancestor = name if wanted(cell) else None
        while ancestor is not None:
            chosen.add(ancestor)
            ancestor = cells[ancestor].parent
    return {name: cell for name, cell in cells.items() if name in chosen}


def arms(cells: Mapping[str, Cell]) -> dict[str, tuple[str, int]]:
    """Source and seed of every arm that the cells stand on."""
    return {cell.arm: (cell.source, cell.seed) for cell in cells.values()}


def objectives(cells: Mapping[str, Cell]) -> list[str]:
    """Objectives that the cells are trained on, in a fixed order; every arm has pairs of each."""
    return sorted({cell.objective for cell in cells.values()})
