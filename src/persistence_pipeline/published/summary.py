"""The published study's results in one JSON-ready document with stable keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from persistence_pipeline.analysis.plain import plain
from persistence_pipeline.published.sensitivity import CAVEAT
from persistence_pipeline.published.settings import PublishedSettings
from persistence_pipeline.published.study import coverage


def summarise(
    analyses: Mapping[str, Mapping[str, Any]],
    pairs: Mapping[str, Any],
    audits: Mapping[str, pd.DataFrame],
    sensitivity: pd.DataFrame,
    run: Mapping[str, Any],
) -> dict[str, Any]:
    """Assemble ``frontier, persistence, pairs, audits, run``; NaN and infinite numbers become None.

    Args:
        analyses: By evaluation set, as made by ``analysis.analyse_set``.
        pairs: As made by ``pairs.count_pairs``.
        audits: As made by ``audits.audit_tables``.
        sensitivity: As made by ``sensitivity.sensitivity_table``.
        run: Counts and settings of the import.
    """
    document = {
        "frontier": {name: analysis["frontier"] for name, analysis in analyses.items()},
        "persistence": {name: analysis["persistence"] for name, analysis in analyses.items()},
        "pairs": pairs,
        "audits": {
            **audits,
            "single_runs": {name: analysis["single_runs"] for name, analysis in analyses.items()},
            "unmatched": {name: analysis["unmatched"] for name, analysis in analyses.items()},
            "rivals": {name: analysis["rivals"] for name, analysis in analyses.items()},
            "sensitivity": {"caveat": CAVEAT, "rows": sensitivity},
        },
        "run": dict(run),
    }
    return dict(plain(document))


def describe_run(
    episodes: pd.DataFrame,
    scores: pd.DataFrame,
    quarantine: pd.DataFrame,
    settings: PublishedSettings,
    n_toolkits: int,
) -> dict[str, Any]:
    """Counts of what was read and what was not. Nothing of it names a place on this machine."""
    return {
        "n_trajectories": len(episodes),
        "n_set_aside": int(quarantine["n_trajectories"].sum()),
        "n_with_replicates": int((episodes["n_replicates"] > 1).sum()),
        "n_replicates_without_score": int(episodes["n_replicates_missing"].sum()),
        "n_toolkits": n_toolkits,
        "incomplete_runs": plain(coverage(scores, settings.n_cases)),
        "settings": settings.model_dump(exclude={"root": True, "cache": True, "pairs": {"toolkits"}}),
    }


def headline_set(frontier: Mapping[str, Any]) -> str | None:
    """The evaluation set of the paper's headline numbers, or the first there is."""
    return "match" if "match" in frontier else next(iter(frontier), None)
