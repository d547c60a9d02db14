"""Cross-table checks that stop a study before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping

from kedro.pipeline import Pipeline, node

from persistence_pipeline.pipelines.parts import box
from persistence_pipeline.pipelines.validation import nodes
from persistence_pipeline.pipelines.worlds import world_of
from persistence_pipeline.study import Policy, StudyDesign, seed_name
from persistence_pipeline.study import policies as of


def create_pipeline(policies: Mapping[str, Policy], design: StudyDesign) -> Pipeline:
    """One check per source and seed."""
    tables = ["candidate_table", "candidate_scores"]
    tables += [f"pair_table_{objective}" for objective in of.objectives(policies)]
    parts = []
    for name, policy in of.sources(policies).items():
        check = node(nodes.validate_arm, ["case_table", *tables], "validation_report", name="validate_arm")
        case_table = f"{seed_name(policy.seed)}.{world_of(design).case_table}"
        parts.append(box(name, [check], {"case_table": case_table, **{t: f"{name}.{t}" for t in tables}}))
    return Pipeline(parts, tags="validation")
