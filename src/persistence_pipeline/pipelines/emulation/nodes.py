"""The node that analyses emulated episodes."""

from __future__ import annotations

from typing import Any

import pandas as pd

from persistence_pipeline.judging.emulated import analyse_emulated
from persistence_pipeline.judging.settings import JudgingSettings


def analyse(judging: JudgingSettings, *tables: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Any]]:
    """All scores in one table, and frontier and persistence by judge."""
    scores = pd.concat(tables, ignore_index=True)
    return scores, analyse_emulated(scores, judging)
