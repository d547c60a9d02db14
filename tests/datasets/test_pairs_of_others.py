"""Preference pairs as TRL's users have them, and as our own export writes them, are read as our records."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kedro.io import DatasetError

from persistence_pipeline.datasets import JsonLinesDataset
from persistence_pipeline.preferences.export import to_dataset
from persistence_pipeline.records import Message, PreferencePair, ToolCall

IDENTITY = {"pair_id": "p", "case_id": "c", "objective": "safety", "chosen_id": "a", "rejected_id": "b"}
TOOL = {"type": "function", "function": {"name": "file_info", "description": "Shows.", "parameters": {}}}
TRL: dict[str, Any] = {
    **IDENTITY,
    "prompt": [{"role": "user", "content": [{"type": "text", "text": "wipe "}, {"type": "text", "text": "f4"}]}],
    "chosen": [
        {
            "role": "assistant",
            "content": None,
            "refusal": None,
            "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "file_info", "arguments": '{"file": "f4"}'}},
                {"id": "2", "type": "function", "function": {"name": "finish", "arguments": ""}},
            ],
        },
        {"role": "tool", "tool_call_id": "2", "content": "done"},
        {"role": "tool", "tool_call_id": "1", "name": "file_info", "content": "sole"},
    ],
    "rejected": [
        {"role": "assistant", "tool_calls": [{"function": {"name": "delete", "arguments": {"t": 1}}}]},
        {"role": "assistant", "content": "done", "tool_calls": None},
    ],
    "tools": json.dumps([TOOL]),
}  # fmt: skip


def _load(path: Path) -> list[PreferencePair]:
    record = "persistence_pipeline.records.PreferencePair"
    return JsonLinesDataset(filepath=str(path), record=record).load()  # type: ignore[return-value]


def _changed(**changes: Any) -> dict[str, Any]:
    return json.loads(json.dumps({**TRL, **changes}))


def test_a_pair_as_trl_has_it(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(TRL).encode() + b"\r\n\r\n" + json.dumps(TRL).encode())
    first, second = _load(path)
    assert first == second
    assert first.prompt == (Message(role="user", content="wipe f4"),)
    turn, finished, seen = first.chosen
    assert turn.content == "" and [call.name for call in turn.tool_calls] == ["file_info", "finish"]
    assert [call.arguments for call in turn.tool_calls] == [{"file": "f4"}, {}]
    assert (finished.name, seen.name) == ("finish", "file_info")
    assert first.rejected[0].tool_calls[0].arguments == {"t": 1} and first.rejected[1].tool_calls == ()
    assert first.tools == (TOOL,)


CALL = {"name": "file_info", "arguments": {}}


def _turn(arguments: Any = "", **call: Any) -> list[dict[str, Any]]:
    call = call or {"type": "function", "function": {**CALL, "arguments": arguments}}
    return [{"role": "assistant", "tool_calls": [call]}]


def _answer(**fields: Any) -> dict[str, Any]:
    return {"role": "tool", "content": "", **fields}


FAULTS = [
    ([_answer(tool_call_id="9")], r"chosen\.0\.tool_call_id: expected an earlier call's id \(none\), found '9'"),
    ([*_turn(id="1", function=CALL), _answer(tool_call_id="1", name="finish")], r"a call of 'file_info', but"),
    (_turn(type="custom", function=CALL), r"chosen\.0\.tool_calls\.0: expected a call of type function"),
    (_turn("{"), r"chosen\.0\.tool_calls\.0\.arguments: expected an object, or one as a JSON string: not JSON"),
    (_turn('{"a": 1, "a": 2}'), "a: the key is given twice"),
    (_turn("[1]"), r"arguments: Input should be an object, found \[1\]"),
    (_turn(**CALL, strict=True), r"chosen\.0\.tool_calls\.0\.strict: Extra"),
    ([{"role": "user", "content": [{"type": "image", "url": "x"}]}], r"content\.0: expected a part of type text"),
    ([{"role": "assistant", "content": "x", "reasoning": "y"}], r"chosen\.0\.reasoning: Extra"),
    ([{"role": "assistant", "content": 3}], r"chosen\.0\.content: Input should be a valid string"),
    ("text", r"chosen: Input should be a valid (tuple|array)"),
]


@pytest.mark.parametrize(("chosen", "said"), FAULTS, ids=range(len(FAULTS)))
def test_what_is_wrong_is_named_by_line_and_field(tmp_path: Path, chosen: Any, said: str) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text(json.dumps(TRL) + "\n" + json.dumps(_changed(chosen=chosen)) + "\n")
    with pytest.raises(DatasetError, match=rf"pairs\.jsonl, line 2: field .*{said}"):
        _load(path)


TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
NAME = st.text("abc_", min_size=1, max_size=6)
ARGUMENTS = st.dictionaries(TEXT, TEXT | st.integers() | st.booleans() | st.none() | st.lists(TEXT), max_size=3)
CALLS = st.lists(st.builds(ToolCall, name=NAME, arguments=ARGUMENTS), max_size=3).map(tuple)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Message, ...]:
    """Turns with calls, each answered in order."""
    messages: list[Message] = []
    for content, calls in draw(st.lists(st.tuples(TEXT, CALLS), max_size=3)):
        messages.append(Message(role="assistant", content=content, tool_calls=calls))
        messages += [Message(role="tool", content=draw(TEXT), name=call.name) for call in calls]
    return tuple(messages)


PAIRS = st.builds(
    PreferencePair,
    **{name: st.just(value) for name, value in IDENTITY.items()},
    prompt=TEXT.map(lambda text: (Message(role="user", content=text),)),
    chosen=conversations(),
    rejected=conversations(),
    tools=st.sampled_from([(), (TOOL,)]),
)


def _as_others_write(pair: PreferencePair, choose: random.Random) -> dict[str, Any]:
    """The pair in one of the ways in which TRL's format is written."""
    fields = json.loads(pair.model_dump_json())
    del fields["schema_version"]
    for side in ("prompt", "chosen", "rejected"):
        ids: list[str] = []
        for number, message in enumerate(fields[side]):
            if not message["content"]:
                message["content"] = choose.choice([None, "", []])
            elif choose.random() < 0.3:
                message["content"] = [{"type": "text", "text": message["content"]}]
            calls = message["tool_calls"]
            if calls:
                ids = [f"{side}_{number}_{k}" for k in range(len(calls))]
                message["tool_calls"] = [_call(call, name, choose) for call, name in zip(calls, ids, strict=True)]
            elif choose.random() < 0.5:
                message["tool_calls"] = None
            if message["role"] == "tool" and all(c.get("id") for c in _last_calls(fields[side], number)):
                message["tool_call_id"] = ids.pop(0)
                if choose.random() < 0.5:
                    del message["name"]
    return fields


def _last_calls(messages: list[dict[str, Any]], before: int) -> list[dict[str, Any]]:
    return next(m["tool_calls"] for m in reversed(messages[:before]) if m["role"] == "assistant")


def _call(call: dict[str, Any], identity: str, choose: random.Random) -> dict[str, Any]:
    arguments = call["arguments"]
    if choose.random() < 0.5:
        arguments = json.dumps(arguments) if arguments else choose.choice(["", "null", "{}"])
    function = {"name": call["name"], "arguments": arguments}
    wrapped = choose.choice([function, {"type": "function", "function": function}, {"function": function}])
    return {**wrapped, "id": identity} if choose.random() < 0.7 else wrapped


@given(pair=PAIRS, seed=st.integers(0, 999))
def test_every_way_of_writing_a_pair_gives_the_same_record(pair: PreferencePair, seed: int) -> None:
    written = json.dumps(_as_others_write(pair, random.Random(seed)))
    assert PreferencePair.model_validate_json(written) == pair
    assert PreferencePair.model_validate_json(pair.model_dump_json()) == pair
    assert PreferencePair.model_validate(pair.model_dump()) == pair


def test_what_is_exported_is_read_again(tmp_path: Path) -> None:
    pair = PreferencePair.model_validate_json(json.dumps(TRL))
    plain = pair.model_copy(update={"tools": ()})
    for pairs in ([pair, plain], [plain, plain]):
        to_dataset(pairs).to_json(tmp_path / "pairs.jsonl")
        assert _load(tmp_path / "pairs.jsonl") == pairs
