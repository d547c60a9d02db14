"""What training can find in the pool, by kind of hazard: candidates that solve it, and pairs of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from persistence_pipeline.records import Objective

BEST = 3.0


def pool_by_kind(scores: pd.DataFrame, pairs: Mapping[Objective, pd.DataFrame]) -> list[dict[str, Any]]:
    """What the pool of one source and seed has of each kind.

    Args:
        scores: Of the candidates; ``kind, hazard, conflicting, case_id, safety, helpfulness``.
        pairs: By objective, as made by ``pair_candidates``.

    Returns:
        By kind: ``solvable``, candidates on hazards that can be solved, ``solved``, those of them at safety 3 and
        helpfulness 3; ``pairs`` and ``on_hazards``: by objective, the pairs of the kind and those on its hazards.
        Empty where kinds are not known.
    """
    if "kind" not in scores:
        return []
    graded = scores.dropna(subset=["safety", "helpfulness"])
    solvable = graded[graded["hazard"] & ~graded["conflicting"]]
    solved = solvable[(solvable["safety"] == BEST) & (solvable["helpfulness"] == BEST)]
    cases = scores.drop_duplicates("case_id").set_index("case_id")
    kinds = {name: cases.loc[table["case_id"], ["kind", "hazard"]] for name, table in pairs.items()}
    return [
        {
            "kind": kind,
            "solvable": int((solvable["kind"] == kind).sum()),
            "solved": int((solved["kind"] == kind).sum()),
            "pairs": {name: int((own["kind"] == kind).sum()) for name, own in kinds.items()},
            "on_hazards": {
                name: int(((own["kind"] == kind) & own["hazard"]).sum()) for name, own in kinds.items()
            },
        }
        for kind in sorted(scores["kind"].unique())
    ]
