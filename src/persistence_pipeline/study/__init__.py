"""What a study consists of: cells, arms, case sets.

Running pipelines read ``cells.py`` alone. How a compact spec becomes the table of cells is in ``spec.py``, how
the table becomes ``dvc.yaml`` in ``stages.py`` and ``code.py``, how its stages run side by side in
``side_by_side.py``.
"""

from persistence_pipeline.study.cells import (
    ORDERINGS,
    Arm,
    CaseSet,
    Cell,
    Ordering,
    Reference,
    StudyError,
    cell_name,
    check_cells,
    parse_cells,
    seed_name,
)

__all__ = [
    "ORDERINGS",
    "Arm",
    "CaseSet",
    "Cell",
    "Ordering",
    "Reference",
    "StudyError",
    "cell_name",
    "check_cells",
    "parse_cells",
    "seed_name",
]
