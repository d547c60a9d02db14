"""Summary, figures and the HTML report."""

from __future__ import annotations

from collections.abc import Mapping

from kedro.pipeline import Pipeline, node

from persistence_pipeline.pipelines.parts import box
from persistence_pipeline.pipelines.reporting import nodes
from persistence_pipeline.pipelines.worlds import cases_of, world_of
from persistence_pipeline.study import Policy, StudyDesign, seed_name
from persistence_pipeline.study import policies as of


def create_pipeline(policies: Mapping[str, Policy], design: StudyDesign) -> Pipeline:
    """The report of these policies."""
    trained = of.trained(policies)
    audits = {f"pair_audit__{name}": f"{name}.pair_audit" for name in of.sources(policies)}
    audits |= {f"training_report__{name}": f"{name}.training_report" for name in trained}
    can_tell = design.pairs == "candidates" and world_of(design).measure_source is not None
    if can_tell:
        audits |= {f"competence__{name}": f"{name}.competence" for name in of.sources(policies)}
        objectives = [f"pair_table_{objective}" for objective in of.objectives(policies)]
        for kept in ["candidate_scores", *objectives]:
            audits |= {f"{kept}__{name}": f"{name}.{kept}" for name in of.sources(policies)}
    read = [name for name, policy in policies.items() if policies[policy.origin].pretrained]
    audits |= {f"plain_text__{name}": f"{name}.plain_text" for name in read}
    logs = {f"training_log__{name}": f"{name}.training_log" for name in trained}
    cases = {f"cases__{seed_name(seed)}": cases_of(design, seed) for seed in of.seeds(policies)}
    episodes = {f"trajectories__{name}": f"{name}.trajectories" for name in policies} | cases
    figures = [f"figure_{name}" for name in nodes.FIGURES]
    stages = [policies[name] for name in trained]
    pairs = {f"pairs__{p.origin}__{p.objective}": f"{p.origin}.pairs_{p.objective}" for p in stages}
    if design.pairs == "candidates":
        pairs |= {f"candidate_scores__{name}": f"{name}.candidate_scores" for name in of.sources(policies)}
    if can_tell:
        pairs |= {f"candidates__{name}": f"{name}.candidates" for name in of.sources(policies)} | cases
    steps = [
        node(
            nodes.summarise,
            {**_same("analysis", "scores", *audits), "parameters": "parameters"},
            "summary",
            name="summarise",
        ),
        node(nodes.draw_figures, _same("summary", "scores", *logs), figures, name="draw_figures"),
        node(
            world_of(design).show,
            {**_same("scores", *episodes), "settings": "params:report"},
            "browser",
            name="collect_trajectories",
        ),
        node(
            nodes.collect_pairs,
            {**_same("summary", *pairs), "settings": "params:report"},
            "taught",
            name="collect_pairs",
        ),
        node(
            nodes.write_report,
            _same("summary", "scores", "browser", "taught", *figures),
            "report",
            name="write_report",
        ),
        node(nodes.write_cards, "summary", "cards", name="write_cards"),
    ]
    own = {name: f"study.{name}" for name in ("analysis", "scores")}
    return box("study", steps, {**own, **audits, **logs, **episodes, **pairs}, tags="reporting")


def _same(*names: str) -> dict[str, str]:
    """Datasets handed to arguments of the same name."""
    return {name: name for name in names}
