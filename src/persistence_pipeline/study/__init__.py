"""What a study consists of: cells, arms, case sets.

Running pipelines read ``cells.py`` and ``design.py`` alone. ``spec.py`` expands a compact spec to the table of
cells, ``expanded.py`` sees that a table is that of its spec. What DVC makes of a study is in ``dvc/``.
"""

from persistence_pipeline.study.cells import (
    Arm,
    CaseSet,
    Cell,
    Ordering,
    Reference,
    StageRow,
    StudyError,
    cell_name,
    check_cells,
    parse_cells,
    seed_name,
    stage_row,
)
from persistence_pipeline.study.design import StudyDesign, parse_design

__all__ = [
    "Arm",
    "CaseSet",
    "Cell",
    "Ordering",
    "Reference",
    "StageRow",
    "StudyDesign",
    "StudyError",
    "cell_name",
    "check_cells",
    "parse_cells",
    "parse_design",
    "seed_name",
    "stage_row",
]
