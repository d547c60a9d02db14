"""Nodes that check the tables of an arm against each other."""

from __future__ import annotations

from typing import Any

import pandas as pd

from persistence_pipeline.validation import check_arm


def validate_arm(
    case_table: pd.DataFrame, candidate_table: pd.DataFrame, scores: pd.DataFrame, *pair_tables: pd.DataFrame
) -> dict[str, Any]:
    """Check an arm's tables across; the report says what was checked on how many rows."""
    return check_arm(case_table, candidate_table, scores, pair_tables)
