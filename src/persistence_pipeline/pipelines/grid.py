"""The table of cells and the design that the pipelines are built from.

A running session hands them over (``StudyHooks``), so that an environment may bring its own; without a session
(``kedro registry list``, tests) the base environment's are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from persistence_pipeline.study import Cell, Ordering, StudyDesign, parse_cells, parse_design, seed_name

_PROJECT = Path(__file__).resolve().parents[3]
_session_cells: dict[str, Cell] = {}
_session_design = [StudyDesign()]


def activate(table: Mapping[str, Any], design: Mapping[str, Any] | None = None) -> None:
    """Use the cells and the design of a session's parameters from now on."""
    _session_cells.clear()
    _session_cells.update(parse_cells(table))
    _session_design[:] = [parse_design(design or {})]


def active_cells() -> dict[str, Cell]:
    """Cells of the running session, else of the base environment."""
    if not _session_cells:
        activate(_base_parameters()["cells"])
    return dict(_session_cells)


def active_design() -> StudyDesign:
    """Design of the running session; without one, that of the default study."""
    return _session_design[0]


def cases_of(seed: int) -> str:
    """Dataset of a seed's cases, of whichever kind the study has."""
    return f"{seed_name(seed)}.{'emulated_cases' if active_design().emulated else 'cases'}"


def case_table_of(seed: int) -> str:
    """Dataset of the table of a seed's cases."""
    return f"{seed_name(seed)}.{'emulated_case_table' if active_design().emulated else 'case_table'}"


def _base_parameters() -> dict[str, Any]:
    from kedro.config import OmegaConfigLoader

    loader = OmegaConfigLoader(str(_PROJECT / "conf"), base_env="base", default_run_env="base")
    return dict(loader["parameters"])


def select(cells: Mapping[str, Cell], orderings: Iterable[Ordering]) -> dict[str, Cell]:
    """The cells of some orderings, with the parents they need."""
    wanted = set(orderings)
    chosen: set[str] = set()
    for name, cell in cells.items():
        if cell.ordering in wanted:
            chosen.add(name)
            if cell.parent:
                chosen.add(cell.parent)
    return {name: cell for name, cell in cells.items() if name in chosen}


def arms(cells: Mapping[str, Cell]) -> dict[str, tuple[str, int]]:
    """Source and seed of every arm that the cells stand on."""
    return {cell.arm: (cell.source, cell.seed) for cell in cells.values()}


def objectives(cells: Mapping[str, Cell]) -> list[str]:
    """Objectives that the cells are trained on, in a fixed order; every arm has pairs of each."""
    return sorted({cell.objective for cell in cells.values()})
