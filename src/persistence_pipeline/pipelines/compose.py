"""Whole studies over some of the cells: what the composed pipelines share."""

from __future__ import annotations

from collections.abc import Mapping

from kedro.pipeline import Pipeline

from persistence_pipeline.pipelines import frontier, reporting, rollout, scoring, synthesis, training, validation
from persistence_pipeline.study import Cell

STEPS = (synthesis, validation, training, rollout, scoring, frontier, reporting)


def study(cells: Mapping[str, Cell]) -> Pipeline:
    """From cases to the report for these cells."""
    return Pipeline([step.create_pipeline(cells) for step in STEPS])
