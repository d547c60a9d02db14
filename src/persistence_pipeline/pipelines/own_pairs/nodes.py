"""The node that takes the user's pairs."""

from __future__ import annotations

from typing import Any

from persistence_pipeline.datasets import JsonLinesDataset
from persistence_pipeline.preferences.own import audit_own_pairs, check_own_pairs
from persistence_pipeline.records import PreferencePair
from persistence_pipeline.study.design import StudyDesign


def take_own_pairs(study: StudyDesign) -> dict[str, Any]:
    """Pairs by objective as ``pairs_<objective>``, their audit, and what was checked."""
    record = f"{PreferencePair.__module__}.{PreferencePair.__name__}"
    pairs: dict[str, Any] = {
        objective: JsonLinesDataset(filepath=path, record=record).load()
        for objective, path in study.own_pairs.items()
    }
    report = check_own_pairs(pairs, {str(name): path for name, path in study.own_pairs.items()})
    taken = {f"pairs_{objective}": of_one for objective, of_one in pairs.items()}
    return {**taken, "pair_audit": audit_own_pairs(pairs), "validation_report": report}
