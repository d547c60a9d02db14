"""Cases, source policies, candidate rollouts, their scores, preference pairs."""

from __future__ import annotations

from collections.abc import Mapping

from kedro.pipeline import Pipeline, node

from persistence_pipeline.pipelines.parts import World, box, policy_parameter
from persistence_pipeline.pipelines.synthesis import nodes
from persistence_pipeline.pipelines.worlds import cases_of, world_of
from persistence_pipeline.study import Policy, StudyDesign, seed_name
from persistence_pipeline.study import policies as of


def create_pipeline(policies: Mapping[str, Policy], design: StudyDesign) -> Pipeline:
    """One box per seed, per source and per source policy (source × seed)."""
    world, acting = world_of(design), of.sources(policies)
    parts = [cases(world, seed) for seed in of.seeds(policies)]
    models = {policy.checkpoint: policy for policy in acting.values()}
    parts += [_source(name, models[name]) for name in sorted(models)]
    for name, policy in acting.items():
        inputs = {"checkpoint": f"{policy.checkpoint}.checkpoint", "cases": cases_of(design, policy.seed)}
        parts.append(_pairs(name, inputs, world, of.objectives(policies)))
        if world.measure_source is not None:
            measured = {**policy_parameter(name), "params:source": f"params:sources.{policy.source}"}
            inputs["candidate_scores"] = f"{name}.candidate_scores"
            parts.append(box(name, [world.measure_source.node("competence")], inputs, measured))
    return Pipeline(parts, tags="synthesis")


def origins(policies: Mapping[str, Policy], design: StudyDesign) -> Pipeline:
    """The sources and the cases of these policies alone, for studies whose pairs come from elsewhere."""
    names = {f"{policy.checkpoint}.checkpoint" for policy in of.sources(policies).values()}
    names |= {cases_of(design, seed) for seed in of.seeds(policies)}
    return create_pipeline(policies, design).to_outputs(*sorted(names))


def cases(world: World, seed: int) -> Pipeline:
    """The cases of one seed."""
    name = seed_name(seed)
    return box(name, [world.make_cases.node()], parameters={"params:case_set": f"params:seeds.{name}"})


def _source(name: str, policy: Policy) -> Pipeline:
    names = ["params:world", "params:source", "params:warm_start", "params:seed", "params:scratch"]
    make = node(
        nodes.warm_start_source, names, ["checkpoint", "warm_start_log"], name="warm_start_source", tags="source"
    )
    seed = f"params:policies.{name}.seed" if policy.per_seed else "params:warm_start.seed"
    return box(name, [make], parameters={"params:source": f"params:sources.{policy.source}", "params:seed": seed})


def _pairs(name: str, inputs: Mapping[str, str], world: World, objectives: list[str]) -> Pipeline:
    """Candidates, scores, pairs by objective, and their audit."""
    candidates = [step.node("candidates") for step in (world.play_candidates, world.score_candidates)]
    pairs = [
        node(
            nodes.make_pairs,
            ["candidate_scores", "candidates", f"params:pairing.{objective}", "params:policy"],
            [f"pair_table_{objective}", f"pairs_{objective}", f"pair_rejections_{objective}"],
            name=f"make_pairs_{objective}",
            tags="pairs",
        )
        for objective in objectives
    ]
    audit = node(
        nodes.audit,
        ["candidate_scores", "candidates", *(f"pair_table_{objective}" for objective in objectives)],
        "pair_audit",
        name="audit_pairs",
        tags="pairs",
    )
    return box(name, [*candidates, *pairs, audit], inputs, policy_parameter(name))
