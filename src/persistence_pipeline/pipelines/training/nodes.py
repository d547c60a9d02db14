"""The node that trains a cell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from persistence_pipeline.records import PreferencePair
from persistence_pipeline.study import Cell
from persistence_pipeline.training.settings import StageConfig, StageSettings, with_factors


def train_cell(
    pairs: Sequence[PreferencePair],
    parent: Path,
    source: Path,
    settings: StageSettings,
    cell: Cell,
    scratch: str,
    validated: dict[str, Any],
) -> tuple[Path, pd.DataFrame, dict[str, Any]]:
    """Run one DPO stage from the parent's checkpoint.

    ``validated`` is the arm's validation report: its presence means that the pairs passed.
    """
    from persistence_pipeline.training.dpo import train_stage

    config = StageConfig.model_validate(with_factors(settings, cell))
    result = train_stage(pairs, parent, source, config, Path(scratch) / cell.name)
    return result.checkpoint, result.log, result.report
