"""LLM judges of the study's trajectories, and how far they can be trusted.

No part of a default run: it asks servers. It stands on the trajectories and on the state graders' scores.
"""

from __future__ import annotations

from collections.abc import Mapping

from kedro.pipeline import Pipeline, node

from persistence_pipeline.pipelines.judging import nodes
from persistence_pipeline.pipelines.parts import box, policy_parameter
from persistence_pipeline.pipelines.reporting.nodes import FIGURES
from persistence_pipeline.study import Policy, StudyDesign, seed_name

JUDGED = ["cases", "trajectories", "params:judging", "params:policy"]


def create_pipeline(policies: Mapping[str, Policy], design: StudyDesign) -> Pipeline:
    """Judgements of every policy, the calibration of the judges, and the report with it."""
    parts = []
    for name, policy in policies.items():
        judging = node(nodes.judge, JUDGED, ["judgements", "judge_scores"], name="judge")
        inputs = {"cases": f"{seed_name(policy.seed)}.cases", "trajectories": f"{name}.trajectories"}
        parts.append(box(name, [judging], inputs, policy_parameter(name)))
    return Pipeline([*parts, _calibration(list(policies))], tags="judging")


def _calibration(names: list[str]) -> Pipeline:
    collected = {"graded": "scores", "judged": "judge_scores", "judgements": "judgements"}
    inputs = {f"{kind}_{i}": f"{name}.{own}" for kind, own in collected.items() for i, name in enumerate(names)}
    collecting = [
        node(nodes.collect, [f"{kind}_{i}" for i in range(len(names))], kind, name=f"collect_{kind}")
        for kind in collected
    ]
    outputs = ["calibration", "agreement", "points"]
    parameters = ["params:judging", "params:analysis"]
    calibrating = node(nodes.calibrate_judges, [*collected, *parameters], outputs, name="calibrate_judges")
    shown = ["summary", "scores", "browser", "taught", *(f"figure_{name}" for name in FIGURES)]
    writing = node(
        nodes.write_judged_report,
        {**{name: name for name in shown}, "calibration": "calibration"},
        "report",
        name="write_judged_report",
    )
    inputs |= {name: f"study.{name}" for name in shown}
    return box("judging", [*collecting, calibrating, writing], inputs)
