"""Adapters from our records to the formats of other tools."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pandas as pd

from persistence_pipeline.records import Message, PreferencePair, Trajectory


def to_trl(pairs: pd.DataFrame, trajectories: Sequence[Trajectory]) -> list[PreferencePair]:
    """Pairs in TRL's conversational preference format, in the order of the table.

    The prompt is what precedes the agent's first turn; completions have several turns and ``tool`` messages.

    Raises:
        ValueError: a pair names a trajectory that is not given, or the sides' prompts differ.
    """
    by_id = {trajectory.trajectory_id: trajectory for trajectory in trajectories}
    return [_pair(row, by_id) for row in pairs.to_dict("records")]


def _pair(row: dict[Any, Any], by_id: dict[str, Trajectory]) -> PreferencePair:
    sides, tools = [], []
    for side in ("chosen_id", "rejected_id"):
        if row[side] not in by_id:
            raise ValueError(f"pair {row['pair_id']}: no trajectory {row[side]!r}")
        sides.append(split_prompt(by_id[row[side]].messages))
        tools.append(by_id[row[side]].tools)
    (prompt, chosen), (other_prompt, rejected) = sides
    if prompt != other_prompt or tools[0] != tools[1]:
        raise ValueError(f"pair {row['pair_id']}: its sides have different prompts or tools")
    return PreferencePair(
        pair_id=row["pair_id"],
        case_id=row["case_id"],
        objective=row["objective"],
        chosen_id=row["chosen_id"],
        rejected_id=row["rejected_id"],
        prompt=prompt,
        chosen=chosen,
        rejected=rejected,
        tools=tools[0],
    )


def split_prompt(messages: tuple[Message, ...]) -> tuple[tuple[Message, ...], tuple[Message, ...]]:
    """Split messages before the agent's first turn."""
    start = next((i for i, message in enumerate(messages) if message.role == "assistant"), len(messages))
    return messages[:start], messages[start:]


def openai_messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Messages in the OpenAI chat format: arguments are JSON strings, calls and answers share ids.

    What answers a turn without a call is a user's message there: the format knows no answer without a call.
    """
    rendered: list[dict[str, Any]] = []
    call_id = ""
    for index, message in enumerate(messages):
        entry: dict[str, Any] = {"role": message.role, "content": message.content}
        if message.tool_calls:
            call_id = f"call_{index}"
            entry["tool_calls"] = [
                {
                    "id": f"{call_id}_{number}" if number else call_id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
                }
                for number, call in enumerate(message.tool_calls)
            ]
        elif message.role == "assistant":
            call_id = ""
        if message.role == "tool" and call_id:
            entry["tool_call_id"] = call_id
        elif message.role == "tool":
            entry["role"] = "user"
        rendered.append(entry)
    return rendered


def to_dataset(pairs: Sequence[PreferencePair]) -> Any:
    """Pairs as a Hugging Face dataset in TRL's conversational format; arguments of tool calls stay dicts.

    Saved as JSON lines, it is read as ``PreferencePair`` again. The sampled tokens are ours alone and left out.
    """
    from datasets import Dataset, Features, Json, List, Value

    text = Value("string")
    call = {"type": text, "function": {"name": text, "arguments": Json()}}
    messages = List({"role": text, "content": text, "name": text, "tool_calls": List(call)})
    identity = ("pair_id", "case_id", "objective", "chosen_id", "rejected_id")
    sides = ("prompt", "chosen", "rejected")
    tools = {"tools": List(Json())} if any(pair.tools for pair in pairs) else {}
    features = Features({**dict.fromkeys(identity, text), **dict.fromkeys(sides, messages), **tools})
    rows = [
        {
            **{field: getattr(pair, field) for field in identity},
            **{side: [_hub_message(message) for message in getattr(pair, side)] for side in sides},
            **{name: list(pair.tools) for name in tools},
        }
        for pair in pairs
    ]
    return Dataset.from_list(rows, features=features)


def _hub_message(message: Message) -> dict[str, Any]:
    calls = [
        {"type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in message.tool_calls
    ]
    return {"role": message.role, "content": message.content, "name": message.name, "tool_calls": calls}
