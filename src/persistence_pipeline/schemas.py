"""Schemas of the flat tables: pandera models, used as validators in the catalog."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pandera.pandas as pa
from pandera.typing import Series

from persistence_pipeline.records import OBJECTIVES, SPLITS

STOP_REASONS = ("finish", "asked", "max_turns", "context", "token_limit", "error")


class Table(pa.DataFrameModel):
    """Every declared column is there, with its type; further columns are allowed."""

    class Config:
        coerce = False
        strict = False


class _Cases(Table):
    """Columns that cases of every world share."""

    case_id: Series[str] = pa.Field(unique=True, str_length={"min_value": 1})
    twin_id: Series[str]
    template_group: Series[str] = pa.Field(str_matches=r"^[a-z_]+/.+$")
    split: Series[str] = pa.Field(isin=SPLITS)
    seed: Series[int] = pa.Field(ge=0)
    hazard: Series[bool]
    conflicting: Series[bool]
    instruction: Series[str] = pa.Field(str_length={"min_value": 1})


class EmulatedCaseTable(_Cases):
    """One row per case in ToolEmu's format."""


class CaseTable(_Cases):
    """One row per case of the tool world."""

    template_group: Series[str] = pa.Field(str_matches=r"^[a-z_]+/[a-z_]+$")
    severity: Series[str] = pa.Field(isin=("mild", "severe"))

    @pa.dataframe_check(error="a benign case cannot be conflicting")
    def only_hazards_conflict(cls, table: pd.DataFrame) -> pd.Series:
        """Conflicts exist in hazard cases only."""
        return table["hazard"] | ~table["conflicting"]


class _Episodes(Table):
    """Columns that trajectories and scores share."""

    trajectory_id: Series[str]
    case_id: Series[str]
    split: Series[str] = pa.Field(isin=SPLITS)
    seed: Series[int] = pa.Field(ge=0)
    sample: Series[int] = pa.Field(ge=0)
    stop_reason: Series[str] = pa.Field(isin=STOP_REASONS)
    n_calls: Series[int] = pa.Field(ge=0)
    n_invalid: Series[int] = pa.Field(ge=0)
    n_tokens: Series[int] = pa.Field(ge=0)
    refused: Series[bool]
    fabricated: Series[bool]

    @pa.dataframe_check(error="more invalid calls than calls")
    def invalid_within_calls(cls, table: pd.DataFrame) -> pd.Series:
        """Invalid calls are calls."""
        return table["n_invalid"] <= table["n_calls"]


class TrajectoryTable(_Episodes):
    """One row per trajectory."""

    trajectory_id: Series[str] = pa.Field(unique=True)
    policy: Series[str]


class ScoreTable(_Episodes):
    """One row per trajectory and evaluator."""

    cell: Series[str]
    source: Series[str]
    ordering: Series[str]
    beta: Series[float] = pa.Field(gt=0, nullable=True)
    evaluator: Series[str]
    safety: Series[float] = pa.Field(in_range={"min_value": 0, "max_value": 3}, nullable=True)
    helpfulness: Series[float] = pa.Field(in_range={"min_value": 0, "max_value": 3}, nullable=True)
    missing_reason: Series[Any] = pa.Field(nullable=True)
    """Text where something is missing; pandas gives a column without any text another type."""

    @pa.dataframe_check(error="a trajectory is scored twice by one evaluator")
    def scored_once(cls, table: pd.DataFrame) -> pd.Series:
        """One row per trajectory and evaluator."""
        return ~table.duplicated(["trajectory_id", "evaluator"], keep=False)

    @pa.dataframe_check(error="a missing score needs a reason")
    def reason_given(cls, table: pd.DataFrame) -> pd.Series:
        """NaN never stands alone."""
        missing = table[["safety", "helpfulness"]].isna().any(axis=1)
        return ~missing | table["missing_reason"].notna()


class PairTable(Table):
    """One row per preference pair."""

    pair_id: Series[str] = pa.Field(unique=True)
    case_id: Series[str]
    objective: Series[str] = pa.Field(isin=OBJECTIVES)
    chosen_id: Series[str]
    rejected_id: Series[str]
    chosen_safety: Series[float] = pa.Field(in_range={"min_value": 0, "max_value": 3})
    rejected_safety: Series[float] = pa.Field(in_range={"min_value": 0, "max_value": 3})
    chosen_helpfulness: Series[float] = pa.Field(in_range={"min_value": 0, "max_value": 3})
    rejected_helpfulness: Series[float] = pa.Field(in_range={"min_value": 0, "max_value": 3})

    @pa.dataframe_check(error="a trajectory is paired with itself")
    def two_sides(cls, table: pd.DataFrame) -> pd.Series:
        """Chosen and rejected differ."""
        return table["chosen_id"] != table["rejected_id"]


class GridTable(Table):
    """One row per cell and split."""

    cell: Series[str]
    split: Series[str] = pa.Field(isin=SPLITS)
    n_episodes: Series[int] = pa.Field(gt=0)
    n_missing: Series[int] = pa.Field(ge=0)
    safety: Series[float] = pa.Field(in_range={"min_value": 0, "max_value": 3}, nullable=True)
    helpfulness: Series[float] = pa.Field(in_range={"min_value": 0, "max_value": 3}, nullable=True)
    best_of_both: Series[float] = pa.Field(in_range={"min_value": 0, "max_value": 1}, nullable=True)
    discrimination: Series[float] = pa.Field(in_range={"min_value": 0, "max_value": 1}, nullable=True)
    d_prime: Series[float] = pa.Field(nullable=True)
    refusal_rate: Series[float] = pa.Field(in_range={"min_value": 0, "max_value": 1})
    invalid_rate: Series[float] = pa.Field(in_range={"min_value": 0, "max_value": 1})

    @pa.dataframe_check(error="a cell is summarised twice on one split")
    def one_row_each(cls, table: pd.DataFrame) -> pd.Series:
        """One row per cell, evaluator and split."""
        return ~table.duplicated(["cell", "evaluator", "split"], keep=False)
