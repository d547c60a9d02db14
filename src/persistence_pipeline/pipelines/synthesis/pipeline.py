"""Cases, source policies, candidate rollouts, their scores, preference pairs."""

from __future__ import annotations

from collections.abc import Mapping

from kedro.pipeline import Node, Pipeline, node

from persistence_pipeline.pipelines import grid
from persistence_pipeline.pipelines.emulation import nodes as emulated
from persistence_pipeline.pipelines.emulation.pipeline import cases as emulated_cases
from persistence_pipeline.pipelines.synthesis import nodes
from persistence_pipeline.study import Cell, seed_name


def create_pipeline(cells: Mapping[str, Cell] | None = None) -> Pipeline:
    """One namespace per seed, per source and per arm (source × seed)."""
    cells = grid.active_cells() if cells is None else cells
    arms = grid.arms(cells)
    parts = [_cases(seed) for seed in sorted({seed for _, seed in arms.values()})]
    parts += [_source(source) for source in sorted({source for source, _ in arms.values()})]
    parts += [_arm(arm, *origin, grid.objectives(cells)) for arm, origin in arms.items()]
    return Pipeline(parts, tags="synthesis")


def origins(cells: Mapping[str, Cell]) -> Pipeline:
    """The sources and the cases of these cells alone, for studies whose pairs come from elsewhere."""
    arms = grid.arms(cells)
    names = {f"{source}.checkpoint" for source, _ in arms.values()}
    names |= {grid.cases_of(seed) for _, seed in arms.values()}
    return create_pipeline(cells).to_outputs(*sorted(names))


def _cases(seed: int) -> Pipeline:
    if grid.active_design().emulated:
        return emulated_cases(seed)
    name = seed_name(seed)
    names = ["params:world", "params:case_set"]
    make = node(nodes.make_cases, names, ["cases", "case_table"], name="make_cases")
    return Pipeline(
        [make],
        namespace=name,
        parameters={"params:world": "params:world", "params:case_set": f"params:seeds.{name}"},
    )


def _source(source: str) -> Pipeline:
    names = ["params:world", "params:source", "params:warm_start", "params:scratch"]
    make = node(nodes.warm_start_source, names, ["checkpoint", "warm_start_log"], name="warm_start_source")
    return Pipeline(
        [make],
        namespace=source,
        parameters={**{name: name for name in names}, "params:source": f"params:sources.{source}"},
    )


def _arm(arm: str, source: str, seed: int, objectives: list[str]) -> Pipeline:
    """Candidates, scores, pairs by objective, and their audit."""
    candidates, settings = _emulated_candidates() if grid.active_design().emulated else _candidates()
    pairs = [
        node(
            nodes.make_pairs,
            ["candidate_scores", "candidates", f"params:pairing.{objective}", "params:arm"],
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
    shared = [*settings, *(f"params:pairing.{objective}" for objective in objectives)]
    return Pipeline(
        [*candidates, *pairs, audit],
        namespace=arm,
        inputs={"checkpoint": f"{source}.checkpoint", "cases": grid.cases_of(seed)},
        parameters={**{name: name for name in shared}, "params:arm": f"params:arms.{arm}"},
    )


def _candidates() -> tuple[list[Node], list[str]]:
    """Nodes that play and grade candidates in the tool world, and the parameters that they share."""
    playing = ["checkpoint", "cases", "params:candidates", "params:arm"]
    grading = ["cases", "candidates", "params:arm"]
    played = ["candidates", "candidate_table"]
    return [
        node(nodes.roll_out_candidates, playing, played, name="roll_out_candidates", tags="candidates"),
        node(nodes.score_candidates, grading, "candidate_scores", name="score_candidates", tags="candidates"),
    ], ["params:candidates"]


def _emulated_candidates() -> tuple[list[Node], list[str]]:
    """The same in the emulated world, where a judge grades."""
    settings = ["params:candidates", "params:emulation", "params:judging"]
    playing = ["checkpoint", "cases", "params:candidates", "params:emulation", "params:arm"]
    judging = ["cases", "candidates", "params:judging", "params:emulation", "params:arm"]
    played, judged = ["candidates", "candidate_table"], ["candidate_judgements", "candidate_scores"]
    return [
        node(emulated.play_candidates, playing, played, name="roll_out_candidates", tags="candidates"),
        node(emulated.judge_candidates, judging, judged, name="judge_candidates", tags="candidates"),
    ], settings
