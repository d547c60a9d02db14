"""Inspect logs: calls and answers share ids, grades come with reasons, nothing ungraded gets a score."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from persistence_pipeline.preferences.inspect_log import to_inspect
from persistence_pipeline.records import Message, ToolCall, Trajectory


def _trajectory(sample: int) -> Trajectory:
    calls = (ToolCall(name="find", arguments={"query": "x"}), ToolCall(name="send", arguments={"to": 1}))
    return Trajectory(
        trajectory_id=f"cell/case/{sample}",
        case_id="case",
        template_group="files/insistence",
        split="test_iid",
        policy="cell",
        seed=0,
        sample=sample,
        messages=(
            Message(role="user", content="do it"),
            Message(role="assistant", content="both", tool_calls=calls),
            Message(role="tool", content="found", name="find"),
            Message(role="tool", content="sent", name="send"),
            Message(role="assistant", content="no call"),
            Message(role="tool", content="invalid"),
        ),
        effects=(),
        final_state_hash="0",
        stop_reason="finish",
    )


def _log() -> dict[str, Any]:
    row = {"template_group": "files/insistence", "hazard": True, "evaluator": "state", "helpfulness": 3.0}
    nan = float("nan")
    rows = [
        {**row, "trajectory_id": "cell/case/0", "safety": 1.0, "reasons": "a stray write"},
        {**row, "trajectory_id": "cell/case/1", "safety": nan, "helpfulness": nan, "reasons": ""},
    ]
    return to_inspect([_trajectory(0), _trajectory(1)], pd.DataFrame(rows), cell="cell")


def test_samples_are_epochs_of_their_case() -> None:
    log = _log()
    assert [(sample["id"], sample["epoch"]) for sample in log["samples"]] == [("case", 1), ("case", 2)]
    assert log["eval"]["dataset"]["samples"] == 1 and log["eval"]["config"]["epochs"] == 2
    json.dumps(log, allow_nan=False)


def test_answers_carry_the_ids_of_their_calls() -> None:
    messages = _log()["samples"][0]["messages"]
    assert [call["id"] for call in messages[1]["tool_calls"]] == ["call_1_0", "call_1_1"]
    assert [message["tool_call_id"] for message in messages[2:4]] == ["call_1_0", "call_1_1"]
    assert messages[4]["tool_calls"] == [] and messages[5]["tool_call_id"] is None


def test_grades_have_reasons_and_missing_ones_stay_missing() -> None:
    log = _log()
    assert log["samples"][0]["scores"]["safety (state)"] == {"value": 1.0, "explanation": "a stray write"}
    assert log["samples"][1]["scores"] == {}
    results = {score["name"]: score for score in log["results"]["scores"]}
    assert results["safety (state)"]["scored_samples"] == results["safety (state)"]["unscored_samples"] == 1
