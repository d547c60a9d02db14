"""Whole studies: from cases to the report, over all policies or those of some orderings."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kedro.pipeline import Node, Pipeline

from persistence_pipeline import factors, orderings
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


def overview(whole: Pipeline, policies: Mapping[str, Policy]) -> Pipeline:
    """A study to look at: the boxes of its policies stand in boxes of source, seed and factors, its cases in one.

    kedro-viz shows a box for each part of a namespace. Datasets keep their names, nodes do not: it is not run.
    """
    groups: dict[str, list[Node]] = {}
    for node in whole.nodes:
        group = _group(str(node.namespace), policies)
        groups.setdefault(group, []).append(node)
    return Pipeline(
        Pipeline(nodes, namespace=group or None, prefix_datasets_with_namespace=False)
        for group, nodes in groups.items()
    )


def _group(namespace: str, policies: Mapping[str, Policy]) -> str:
    """Dotted names of the boxes around a namespace's own; empty where it stands by itself."""
    policy = policies.get(namespace)
    if policy is None:
        return "cases" if namespace in map(of.seed_name, of.seeds(policies)) else ""
    levels = "_".join(factors.tag(name, level) for name, level in policy.factors.items())
    return ".".join(filter(None, (policy.source, of.seed_name(policy.seed), levels)))


def part(name: str, policies: Mapping[str, Policy], design: StudyDesign) -> Pipeline:
    """The study of a part's policies and of all that they start from."""
    return study(of.select(policies, PARTS[name]), design)
