"""What a study was registered to answer before it was run, and how the run differs from it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from persistence_pipeline.strict import Seed, Strict

Outcome = Literal[
    "order effect in safety",
    "order effect in helpfulness",
    "persistence of safety",
    "persistence of helpfulness",
]


class Registration(Strict):
    """The block ``registered`` of a study's spec."""

    outcome: Outcome
    """The primary outcome: the number that the study stands or falls by."""
    margin: float = Field(gt=0, le=3)
    """Points of 3 below which a difference counts as none."""
    seeds: list[Seed] = Field(min_length=1)

    @property
    def sha256(self) -> str:
        """Hash of the block: of its JSON with sorted keys and no spaces."""
        written = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(written.encode()).hexdigest()

    def found(self, rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """The primary outcome in each row of ``summary.json``'s ``persistence`` that has it."""
        kind, _, metric = self.outcome.rpartition(" ")
        numbers = [(row.get("order") or {} if kind.startswith("order") else row).get(metric) for row in rows]
        return [number for number in numbers if number]

    def departures(self, margin: float, seeds: Sequence[int], rows: Sequence[Mapping[str, Any]]) -> list[str]:
        """What was run otherwise, in words.

        Args:
            margin: Of the analysis.
            seeds: That were run.
            rows: As ``found`` takes them.
        """
        said = []
        if margin != self.margin:
            said.append(f"margin {margin:g} in place of {self.margin:g}")
        if sorted(seeds) != sorted(self.seeds):
            said.append(f"seeds {_listed(seeds)} in place of {_listed(self.seeds)}")
        if not self.found(rows):
            said.append(f"no {self.outcome} was measured")
        return said


def described(
    registered: Mapping[str, Any] | None, analysis: Mapping[str, Any], seeds: Sequence[int]
) -> dict[str, Any] | None:
    """A registration as ``summary.json`` has it.

    Args:
        registered: The block; None: there is none.
        analysis: Keys ``frontier`` and ``persistence``, as in ``summary.json``.
        seeds: That were run.

    Returns:
        The block's fields, ``sha256``, ``found`` and ``departures``; None without a block.
    """
    if registered is None:
        return None
    block, rows = Registration.model_validate(registered), analysis["persistence"]
    found, departures = block.found(rows), block.departures(analysis["frontier"]["margin"], seeds, rows)
    return {**block.model_dump(), "sha256": block.sha256, "found": found, "departures": departures}


def _listed(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, sorted(seeds)))
