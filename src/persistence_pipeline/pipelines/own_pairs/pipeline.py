"""From files of preference pairs to checkpoints: the user's pairs in place of pairs from candidates."""

from __future__ import annotations

from collections.abc import Mapping

from kedro.pipeline import Pipeline, node

from persistence_pipeline.pipelines import synthesis, training
from persistence_pipeline.pipelines.own_pairs import nodes
from persistence_pipeline.pipelines.parts import box
from persistence_pipeline.study import Policy, StudyDesign, StudyError
from persistence_pipeline.study import policies as of


def create_pipeline(policies: Mapping[str, Policy], design: StudyDesign) -> Pipeline:
    """The sources and cases of these policies, their pairs, and the stages; empty in a study of another kind.

    Raises:
        StudyError: no file is named for an objective that policies are trained on.
    """
    if design.pairs != "own":
        return Pipeline([])
    named = design.own_pairs
    for objective in of.objectives(policies):
        if objective not in named:
            raise StudyError(
                f"parameter study.own_pairs.{objective}: expected the path of a file of pairs, for policies are "
                f"trained on {objective}; files are named for {', '.join(named) or 'no objective'}"
            )
    made = synthesis.origins(policies, design)
    taken = [_pairs(name, list(named)) for name in of.sources(policies)]
    return Pipeline([made, *taken, training.create_pipeline(policies, design)], tags="own_pairs")


def _pairs(source: str, objectives: list[str]) -> Pipeline:
    outputs = [*(f"pairs_{objective}" for objective in objectives), "pair_audit", "validation_report"]
    taking = node(nodes.take_own_pairs, "params:study", {name: name for name in outputs}, name="take_own_pairs")
    return box(source, [taking])
