"""What was registered before a run: its hash, the number it speaks of, and what was run otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from persistence_pipeline.study import StudyError
from persistence_pipeline.study.registration import described
from persistence_pipeline.study.spec import expand, parse_spec, tables

BLOCK = {"outcome": "order effect in safety", "margin": 0.1, "seeds": [0, 1, 2]}
GAP = {"estimate": 0.2, "low": 0.1, "high": 0.3}
ANALYSIS: dict[str, Any] = {
    "frontier": {"margin": 0.1},
    "persistence": [{"safety": {"estimate": 0.5}, "order": {"safety": GAP}}],
}


def spec(**changes: Any) -> dict[str, Any]:
    return {"sources": ["m"], "orderings": ["safety"], "seeds": [0], "factors": {"beta": [0.1]}, **changes}


def test_a_run_as_registered_departs_from_nothing() -> None:
    found = described(BLOCK, ANALYSIS, [2, 1, 0])
    assert found is not None and found["departures"] == [] and found["found"] == [GAP]
    assert len(found["sha256"]) == 64
    assert described(None, ANALYSIS, [0]) is None


def test_what_was_run_otherwise_is_said() -> None:
    found = described(BLOCK, {**ANALYSIS, "frontier": {"margin": 0.2}}, [0, 1])
    assert found is not None
    assert found["departures"] == ["margin 0.2 in place of 0.1", "seeds 0, 1 in place of 0, 1, 2"]
    lacking = {**ANALYSIS, "persistence": [{"safety": {"estimate": 0.5}}]}
    missing = described(BLOCK, lacking, [0, 1, 2])
    assert missing is not None and missing["departures"] == ["no order effect in safety was measured"]


def test_the_hash_is_that_of_what_was_registered() -> None:
    def hashed(block: dict[str, Any]) -> str:
        found = described(block, ANALYSIS, [0])
        assert found is not None
        return str(found["sha256"])

    assert hashed(dict(reversed(BLOCK.items()))) == hashed(BLOCK)
    assert len({hashed(BLOCK), hashed({**BLOCK, "margin": 0.2}), hashed({**BLOCK, "seeds": [0]})}) == 3


def test_the_block_travels_with_the_table_of_policies() -> None:
    registered = parse_spec(spec(registered=BLOCK), "study.yml")
    assert tables(expand(registered, ["m"]), registered)["registered"] == BLOCK
    plain = parse_spec(spec(), "study.yml")
    assert tables(expand(plain, ["m"]), plain)["registered"] is None
    with pytest.raises(StudyError, match=r"study\.yml: registered\.outcome: .*'order effect'"):
        parse_spec(spec(registered={**BLOCK, "outcome": "order effect"}), "study.yml")
