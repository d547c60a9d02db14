"""Trajectories and toolkits as our records."""

from __future__ import annotations

import json
from time import process_time
from typing import Any

import pytest

from persistence_pipeline.records import Trajectory
from persistence_pipeline.toolemu.toolkits import tool_schemas
from persistence_pipeline.toolemu.trajectories import from_toolemu, parse_arguments, stop_reason
from published.published_clone import FABRICATED, TOOLKITS, trajectory


def read(line: dict[str, Any]) -> Trajectory:
    return from_toolemu(line, trajectory_id="t", policy="p", seed=0)


def with_step(tool: str, argument: str, text: str, observation: str = "{}") -> dict[str, Any]:
    line = trajectory(0, calls=0)
    line["intermediate_steps"].insert(0, [[tool, argument, text], [observation, "", ""]])
    return line


def test_a_call_becomes_a_tool_call_and_its_answer_a_tool_message() -> None:
    record = read(trajectory(7))
    user, acted, answered, final = record.messages
    assert (user.role, user.content) == ("user", "Open box 7")
    assert (acted.content, acted.tool_calls[0].name, acted.tool_calls[0].arguments) == (
        "I open it.",
        "BoxOpen",
        {"box": 1},
    )
    assert (answered.role, answered.name, json.loads(answered.content)) == ("tool", "BoxOpen", {"content": "coin"})
    assert final.content.endswith("Final Answer: done")
    assert record.case_id == "toolemu_007"
    assert record.flags["calls"] == 1
    assert record.flags["fabricated"] is False


def test_an_invented_observation_is_flagged_and_kept() -> None:
    record = read(with_step("BoxOpen", '{"box": 1}', FABRICATED))
    acted = record.messages[1]
    assert record.flags["fabricated"] is True
    assert "Observation: it is empty" in acted.content
    assert "Action Input" not in acted.content
    assert acted.tool_calls[0].arguments == {"box": 1}


@pytest.mark.parametrize("text", ["The Observation: fine", "An observation follows", "Observations"])
def test_the_word_observation_alone_is_no_fabrication(text: str) -> None:
    flags = read(with_step("BoxOpen", "{}", text)).flags
    assert (flags["fabricated"], flags["fabricated_wide"]) == (False, False)


@pytest.mark.parametrize("mark", ["**Observation:**", "**Observation**:", "### Observation:", "> Observation 2:"])
def test_markdown_hides_a_fabrication_from_the_narrow_definition_only(mark: str) -> None:
    flags = read(with_step("BoxOpen", "{}", f"I look.\n\n{mark} it is empty")).flags
    assert (flags["fabricated"], flags["fabricated_wide"]) == (False, True)


@pytest.mark.parametrize("filler", ["\n", " ", "- ", "`", "Action\n", "<think>"])
def test_endless_repetition_is_read_in_no_time(filler: str) -> None:
    started = process_time()
    read(with_step("BoxOpen", "{" + filler * 10_000, filler * 10_000))
    assert process_time() - started < 5


def test_lengths_are_those_of_the_published_messages() -> None:
    flags = read(with_step("BoxOpen", "{}", "<think>long</think>Now.", observation="four")).flags
    final = read(trajectory(0, calls=0)).flags
    assert flags["characters"] == len("Now.") + int(final["characters"])
    assert flags["observation_characters"] == len("Observation: four")


def test_thoughts_of_reasoning_models_are_left_out() -> None:
    assert (
        read(with_step("BoxOpen", "{}", "<think>secret</think> Now.\nAction: BoxOpen\nAction Input: {}"))
        .messages[1]
        .content
        == "Now."
    )


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("a<think>b</think>c", "ac"),
        ("a<think>b<think>c</think>d</think>e", "ade"),
        ("<THINK>a</Think>b<think>c</think>d", "bd"),
        ("a<think>b", "ab"),
        ("a</think>b", "ab"),
        ("a<think>b</think><think>c", "ac"),
    ],
)
def test_thoughts_end_at_the_first_closing_tag(text: str, kept: str) -> None:
    assert read(with_step("BoxOpen", "{}", text)).messages[1].content == kept


@pytest.mark.parametrize(
    ("tool", "argument", "invalid"),
    [
        ("BoxOpen", "{}", 0),
        ("`BoxOpen`", "{}", 0),
        ("None", "{}", 1),
        ("BoxOpen", "{box: 1}", 1),
        ("BoxOpen", "[1]", 1),
    ],
)
def test_calls_that_cannot_be_executed_are_counted(tool: str, argument: str, invalid: int) -> None:
    record = read(with_step(tool, argument, "x"))
    assert record.flags["calls"] == 1
    assert record.flags["invalid_calls"] == invalid


def test_running_out_of_memory_is_no_call() -> None:
    record = read(with_step("[OOM]", "", "half a thought", "[OOM]"))
    assert record.flags["calls"] == 0
    assert record.messages[1].content == "half a thought"


def test_arguments_in_a_code_fence_are_read() -> None:
    assert parse_arguments('```json\n{"a": [1]}\n```') == {"a": [1]}
    assert parse_arguments('"text"') is None


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("All done", "finish"),
        ("Agent stopped: token limit exceeded", "token_limit"),
        ("Agent stopped: OOM", "error"),
        ("Agent stopped due to iteration limit or time limit.", "max_turns"),
    ],
)
def test_outputs_say_why_an_episode_ended(output: str, reason: str) -> None:
    assert stop_reason(output) == reason


def test_toolkits_become_function_schemas() -> None:
    (schema,) = tool_schemas(TOOLKITS)["Box"]
    assert schema == {
        "type": "function",
        "function": {
            "name": "BoxOpen",
            "description": "Open a box.",
            "parameters": {
                "type": "object",
                "properties": {
                    "box": {"type": "integer", "description": "Which."},
                    "keys": {"type": "array", "description": "With what.", "items": {}},
                },
                "required": ["box"],
            },
        },
    }


def test_a_toolkit_without_a_name_is_refused_by_its_place() -> None:
    with pytest.raises(ValueError, match=r"toolkit 0 \(\?\): field 'toolkit' is missing"):
        tool_schemas([{"tools": []}])
