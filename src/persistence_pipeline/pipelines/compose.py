"""Whole studies over some of the cells: what the composed pipelines share."""

from __future__ import annotations

from collections.abc import Mapping

from kedro.pipeline import Pipeline

from persistence_pipeline.pipelines import (
    frontier,
    grid,
    own_pairs,
    published_training,
    reporting,
    rollout,
    scoring,
    synthesis,
    training,
    validation,
)
from persistence_pipeline.study import Cell

TO_CHECKPOINTS = {
    "candidates": (synthesis, validation, training),
    "published": (published_training,),
    "own": (own_pairs,),
}
"""By where the pairs come from."""
TO_REPORT = (rollout, scoring, frontier, reporting)


def study(cells: Mapping[str, Cell]) -> Pipeline:
    """From cases to the report for these cells."""
    steps = (*TO_CHECKPOINTS[grid.active_design().pairs], *TO_REPORT)
    return Pipeline([step.create_pipeline(cells) for step in steps])
