"""The table of cells that the pipelines are built from.

A running session hands its cells over (``StudyHooks``), so that an environment may bring its own grid; without
a session (``kedro registry list``, tests) the base environment's table is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from persistence_pipeline.study import Cell, Ordering, parse_cells

_PROJECT = Path(__file__).resolve().parents[3]
_session_cells: dict[str, Cell] = {}


def activate(table: Mapping[str, Any]) -> None:
    """Use the cells of a session's parameters from now on."""
    _session_cells.clear()
    _session_cells.update(parse_cells(table))


def active_cells() -> dict[str, Cell]:
    """Cells of the running session, else of the base environment."""
    if not _session_cells:
        activate(_base_parameters()["cells"])
    return dict(_session_cells)


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
