"""Captions of the figures, with the numbers that belong to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from persistence_pipeline.report import tables
from persistence_pipeline.report.style import headline_split, interval_kind


def captions(summary: Mapping[str, Any]) -> dict[str, str]:
    """A caption for every figure by name."""
    split = summary["frontier"]["split"]
    n_cases = max(cell["splits"][split]["n_cases"] for cell in summary["cells"])
    seeds = summary["run"]["seeds"]
    on = f"seed {seeds[0]}" if len(seeds) == 1 else f"each of the seeds {', '.join(map(str, seeds))}"
    where = f"{headline_split(summary)} ({n_cases} cases, {on})"
    attainable = "; dotted: the best that any agent could reach on these cases"
    if not summary["frontier"].get("attainable"):
        attainable = ""
    bars = f"Bars: 95% intervals {interval_kind(summary)}."
    return {
        "frontier": (
            f"Change of safety and helpfulness (0 to 3) against the source on {where}. Arrows run from the parent "
            f"of a stage to its result. {bars} Solid: least squares; dashed: the line "
            f"with errors in both axes{attainable}. {tables.fit_text(summary)}."
        ),
        "persistence": (
            f"Share of the first stage's gain that survives the second stage, on {where}. {bars} "
            "Hollow: published values (arXiv:2603.02229)."
        ),
        "kinds": f"Mean safety and helpfulness by kind of hazard and order of the stages, on {where}.",
        "domains": f"Mean safety and helpfulness by domain and order of the stages, on {where}.",
        "rates": (
            "Share of episodes at full safety and helpfulness, of twin pairs told apart, of episodes without any "
            "effect or with a question, of benign episodes with needless caution, and of calls that were invalid "
            f"or failed, on {where}."
        ),
        "training": (
            "Mean log-probability of the chosen and the rejected trajectories minus the reference's, in nats a "
            "trajectory, by optimizer step; running means over a tenth of the steps. Hollow: change "
            "over all pairs."
        ),
    }
