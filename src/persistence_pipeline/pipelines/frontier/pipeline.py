"""Aggregation, frontier fit, persistence, audits."""

from __future__ import annotations

from collections.abc import Mapping

from kedro.pipeline import Pipeline, node

from persistence_pipeline.pipelines.frontier import nodes
from persistence_pipeline.pipelines.parts import box
from persistence_pipeline.pipelines.worlds import cases_of, world_of
from persistence_pipeline.study import Policy, StudyDesign
from persistence_pipeline.study import policies as of


def create_pipeline(policies: Mapping[str, Policy], design: StudyDesign) -> Pipeline:
    """The analysis of the scores of these policies."""
    scores = {f"score_{i}": f"{name}.scores" for i, name in enumerate(policies)}
    cases = {f"cases_{seed}": cases_of(design, seed) for seed in of.seeds(policies)}
    find = world_of(design).find_attainable
    settings = ["params:analysis", *([] if design.emulated else ["params:rollout"])]
    analysing = [
        node(nodes.collect_scores, list(scores), "scores", name="collect_scores"),
        node(find, [*settings, *cases], "attainable", name="find_attainable"),
        node(nodes.summarise_grid, "scores", "grid", name="summarise_grid"),
        node(nodes.analyse, ["scores", "grid", "attainable", "params:analysis"], "analysis", name="analyse"),
    ]
    measuring = node(nodes.measure, "analysis", ["metrics", "points"], name="measure")
    parts = [box("study", analysing, {**scores, **cases}, tags="analysis")]
    return Pipeline([*parts, box("study", [measuring], tags="metrics")], tags="frontier")
