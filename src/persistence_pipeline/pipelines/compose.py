"""Whole studies: from cases to the report, over all policies or those of some orderings."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kedro.pipeline import Pipeline

from persistence_pipeline import orderings
from persistence_pipeline.pipelines import (
    frontier,
    own_pairs,
    published_training,
    reporting,
    rollout,
    scoring,
    synthesis,
    training,
    validation,
)
from persistence_pipeline.study import Policy, StudyDesign
from persistence_pipeline.study import policies as of

TO_CHECKPOINTS = {
    "candidates": (synthesis, validation, training),
    "published": (published_training,),
    "own": (own_pairs,),
}
"""By where the pairs come from."""
TO_REPORT = (rollout, scoring, frontier, reporting)
PARTS: dict[str, Callable[[Policy], bool]] = {
    "safety": lambda policy: policy.ordering == "safety",
    "helpfulness": lambda policy: policy.ordering == "helpfulness",
    "simultaneous": lambda policy: policy.ordering == "both",
    "sequential": lambda policy: len(orderings.stages(policy.ordering)) > 1,
}
"""Pipelines of a part of the study, by the policies that they are about."""


def study(policies: Mapping[str, Policy], design: StudyDesign) -> Pipeline:
    """From cases to the report for these policies."""
    steps = (*TO_CHECKPOINTS[design.pairs], *TO_REPORT)
    return Pipeline([step.create_pipeline(policies, design) for step in steps])


def part(name: str, policies: Mapping[str, Policy], design: StudyDesign) -> Pipeline:
    """The study of a part's policies and of all that they start from."""
    return study(of.select(policies, PARTS[name]), design)
