"""The study's checkpoints on cases in ToolEmu's format: emulated tools, scores by judges.

No part of a default run: it asks servers. It stands on the checkpoints of the study.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from kedro.pipeline import Pipeline, node

from persistence_pipeline.pipelines.emulation import nodes
from persistence_pipeline.pipelines.parts import box, policy_parameter
from persistence_pipeline.pipelines.synthesis.pipeline import cases
from persistence_pipeline.pipelines.toolemu import TOOLEMU
from persistence_pipeline.study import Policy, StudyDesign, seed_name
from persistence_pipeline.study import policies as of

PLAY = replace(TOOLEMU.play, name="play_emulated", outputs=("emulated_trajectories", "emulated_trajectory_table"))
SCORE = replace(
    TOOLEMU.score,
    name="judge_emulated",
    inputs=("cases", "emulated_trajectories", *TOOLEMU.score.inputs[2:]),
    outputs=("emulated_judgements", "emulated_scores"),
)


def create_pipeline(policies: Mapping[str, Policy], design: StudyDesign) -> Pipeline:
    """Emulated rollouts and judgements of every policy, and their analysis."""
    parts = [cases(TOOLEMU, seed) for seed in of.seeds(policies)]
    for name, policy in policies.items():
        inputs = {
            "checkpoint": f"{policy.checkpoint}.checkpoint",
            "cases": f"{seed_name(policy.seed)}.{TOOLEMU.cases}",
        }
        parts.append(box(name, [PLAY.node(), SCORE.node()], inputs, policy_parameter(name)))
    scores = {f"scores_{index}": f"{name}.emulated_scores" for index, name in enumerate(policies)}
    analysing = node(nodes.analyse, ["params:judging", *scores], ["scores", "analysis"], name="analyse_emulated")
    return Pipeline([*parts, box("emulation", [analysing], scores)], tags="emulation")
