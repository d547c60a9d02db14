"""The node that trains a policy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from persistence_pipeline.records import PreferencePair
from persistence_pipeline.study import Policy
from persistence_pipeline.training.settings import StageConfig, StageSettings, with_factors


def train_cell(
    pairs: Sequence[PreferencePair],
    parent: Path,
    source: Path,
    settings: StageSettings,
    policy: Policy,
    scratch: str,
    validated: dict[str, Any],
) -> tuple[Path, pd.DataFrame, dict[str, Any]]:
    """Run one DPO stage from the parent's checkpoint.

    ``validated`` is the validation report of the pairs: its presence means that the pairs passed.
    """
    from persistence_pipeline.training.dpo import train_stage

    config = StageConfig.model_validate(with_factors(settings, policy))
    result = train_stage(pairs, parent, source, config, Path(scratch) / policy.name)
    return result.checkpoint, result.log, result.report
