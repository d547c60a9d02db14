"""The published study: import, tables, pairs, analysis, audits, report."""

from __future__ import annotations

from collections.abc import Mapping

from kedro.pipeline import Pipeline, node

from persistence_pipeline.pipelines.parts import box
from persistence_pipeline.pipelines.published import nodes
from persistence_pipeline.study import Policy, StudyDesign

SETTINGS = "params:published"


def create_pipeline(policies: Mapping[str, Policy], design: StudyDesign) -> Pipeline:
    """From a clone of the published repository to its report."""
    imported = ["episodes", "conversations", "quarantine"]
    tables = ["trajectories", "pool_scores", "scores"]
    counted = ["pair_table", "pair_rejections", "pair_counts"]
    parts = [
        node(nodes.read_clone, SETTINGS, imported, name="read_clone"),
        node(nodes.tabulate, ["episodes", SETTINGS], tables, name="tabulate"),
        node(nodes.analyse_sets, ["scores", SETTINGS], "analysis", name="analyse_sets"),
        node(nodes.make_pairs, ["pool_scores", "scores", SETTINGS], counted, name="make_pairs"),
        node(nodes.read_toolkits, SETTINGS, "toolkits", name="read_toolkits"),
        node(
            nodes.export_pairs,
            ["pair_table", "conversations", "toolkits", SETTINGS],
            "pairs",
            name="export_pairs",
        ),
        node(
            nodes.audit,
            ["pool_scores", "scores", "episodes", "pair_table", "quarantine"],
            "audit_tables",
            name="audit",
        ),
        node(nodes.measure_sensitivity, ["scores", SETTINGS], "sensitivity", name="measure_sensitivity"),
        node(
            nodes.summarise,
            [
                "analysis",
                "pair_counts",
                "audit_tables",
                "sensitivity",
                "episodes",
                "scores",
                "quarantine",
                "toolkits",
                SETTINGS,
            ],
            "summary",
            name="summarise",
        ),
        node(nodes.draw_figures, "summary", ["figures", "frontier_figure"], name="draw_figures"),
        node(
            nodes.show_trajectories,
            ["episodes", "pool_scores", "scores", "conversations", "params:report"],
            "browser",
            name="show_trajectories",
        ),
        node(nodes.write_report, ["summary", "figures", "browser", "quarantine"], "report", name="write_report"),
    ]
    return box("published", parts, tags="published")
