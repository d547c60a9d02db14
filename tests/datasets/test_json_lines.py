"""JSON lines of records: equal bytes for equal records, and errors that name file, line, field and value."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kedro.io import DataCatalog, DatasetError

from persistence_pipeline.datasets import JsonLinesDataset
from persistence_pipeline.records import Change, Effect, Message, ToolCall, Trajectory
from tiny import call, make_pair

RECORD = "persistence_pipeline.records.Trajectory"
TEXT = st.text(alphabet=st.characters(codec="utf-8"), max_size=20)


def trajectory(text: str = "please", index: int = 0, arguments: dict[str, Any] | None = None) -> Trajectory:
    change = Change(entity="f1", field="exists", before=True, after=False)
    effect = Effect(
        step=1, tool="delete", arguments={"file": "f1"}, changes=(change,), knew={"f1.copies": "single"}
    )
    turn = Message(role="assistant", tool_calls=(ToolCall(name="delete", arguments=arguments or {"file": "f1"}),))
    return Trajectory(
        trajectory_id=f"source/case/{index}",
        case_id="case",
        template_group="files/insistence",
        split="train",
        policy="source",
        seed=0,
        sample=index,
        messages=(Message(role="user", content=text), turn, Message(role="tool", content="done", name="delete")),
        effects=(effect,),
        final_state_hash="0" * 16,
        stop_reason="finish",
        flags={"calls": 1, "fabricated": False},
    )


def dataset(path: Path) -> JsonLinesDataset:
    return JsonLinesDataset(filepath=str(path), record=RECORD)


@given(texts=st.lists(TEXT, max_size=5), value=st.one_of(TEXT, st.integers(-9, 9), st.none(), st.booleans()))
@settings(max_examples=60, deadline=None)
def test_records_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], value: object
) -> None:
    records = [trajectory(text, index, {"value": value}) for index, text in enumerate(texts)]
    path = tmp_path_factory.mktemp("lines") / "a" / "records.jsonl"
    dataset(path).save(records)
    assert dataset(path).load() == records
    first = path.read_bytes()
    assert first.count(b"\n") == len(records)
    dataset(path).save(dataset(path).load())
    assert path.read_bytes() == first
    assert [p.name for p in path.parent.iterdir()] == ["records.jsonl"]


def _set(path: str, value: object) -> Any:
    def change(record: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        for key in parents:
            record = record[int(key)] if isinstance(record, list) else record[key]
        record[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda r: r.pop("seed"), "field seed: expected, but missing"),
        (_set("seed", "seven"), 'field seed: Input should be a valid integer, found "seven"'),
        (_set("split", "test"), "field split: Input should be 'train', 'test_iid'"),
        (_set("messages.1.role", "robot"), "field messages.1.role: Input should be 'system', 'user'"),
        (_set("effects.0.changes.0.entity", None), "field effects.0.changes.0.entity: .*, found null"),
        (_set("score", 3), "field score: Extra inputs are not permitted, found 3"),
        (
            _set("flags", {"calls": ""}),
            "field flags: Value error, calls: expected a number of 0 or more, found ''",
        ),
        (_set("flags", {"new_tokens": True}), "field flags: .*new_tokens: expected a number of 0"),
        (_set("schema_version", 9), "field schema_version: Input should be 3, found 9"),
        *(
            (
                _set("schema_version", old),
                rf"field schema_version: .*version {old}, expected 3: .* run the step that makes .*, found {old}",
            )
            for old in (1, 2)
        ),
        (_set("policy", ["x" * 200]), r"field policy: Input should be a valid string, found \[\"x{70,80}…"),
    ],
)
def test_a_bad_field_is_named(tmp_path: Path, change: Any, expected: str) -> None:
    path = tmp_path / "records.jsonl"
    dataset(path).save([trajectory(index=index) for index in range(3)])
    lines = path.read_text().splitlines()
    record = json.loads(lines[1])
    change(record)
    path.write_text("\n".join([lines[0], json.dumps(record), lines[2]]) + "\n")
    with pytest.raises(DatasetError, match=rf"records.jsonl, line 2: {expected}"):
        dataset(path).load()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'{"seed": 1, "sam', r'line 2: expected one JSON object, found {"seed": 1, "sam \(.*EOF.*cut off here\)'),
        (b"not json\n", r"line 2: expected one JSON object, found not json \(Invalid JSON.*\)$"),
        (b"[1]\n", r"line 2: expected one JSON object, found \[1\] "),
        (b'{"seed": "\xff"}\n', "line 2: expected one JSON object"),
    ],
)
def test_a_line_that_is_no_object_is_named(tmp_path: Path, text: bytes, expected: str) -> None:
    path = tmp_path / "records.jsonl"
    path.write_bytes(f"{trajectory().model_dump_json()}\n".encode() + text)
    with pytest.raises(DatasetError, match=expected):
        dataset(path).load()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert not dataset(tmp_path / "records.jsonl").exists()
    with pytest.raises(DatasetError, match=r"records.jsonl: no such file \(expected JSON lines of Trajectory\)"):
        dataset(tmp_path / "records.jsonl").load()


def test_blank_lines_and_a_missing_last_newline_are_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    line = trajectory().model_dump_json()
    path.write_text(f"{line}\n\n{line}")
    assert dataset(path).load() == [trajectory(), trajectory()]


def test_a_failed_save_leaves_the_older_file(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    dataset(path).save([trajectory()])
    before = path.read_bytes()
    with pytest.raises(DatasetError, match="item 1 is a dict, expected Trajectory"):
        dataset(path).save([trajectory(), {"seed": 1}])
    unwritable = trajectory(arguments={"value": object()})
    with pytest.raises(DatasetError):
        dataset(path).save([trajectory("other"), unwritable])
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["records.jsonl"]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ("persistence_pipeline.records.Nothing", "cannot be imported"),
        ("nowhere.Trajectory", "cannot be imported"),
        ("Trajectory", "cannot be imported"),
        ("persistence_pipeline.records.SPLITS", "is not a pydantic model"),
    ],
)
def test_an_unknown_record_is_refused(tmp_path: Path, record: str, expected: str) -> None:
    with pytest.raises(DatasetError, match=f"record '{record}' {expected}"):
        JsonLinesDataset(filepath=str(tmp_path / "x"), record=record)


def test_kedro_and_its_viewer_can_use_it(tmp_path: Path) -> None:
    entry = {
        "type": "persistence_pipeline.datasets.JsonLinesDataset",
        "filepath": str(tmp_path / "records.jsonl"),
        "record": RECORD,
        "metadata": {"kedro-viz": {"layer": "raw"}},
    }
    made = DataCatalog.from_config({"records": entry})["records"]
    made.save([trajectory(index=index) for index in range(5)])
    assert [record["sample"] for record in json.loads(made.preview())] == [0, 1, 2]
    assert JsonLinesDataset.preview.__annotations__["return"] == "JSONPreview"


def test_thousands_of_trajectories_take_about_a_second(tmp_path: Path) -> None:
    records = [trajectory(index=index) for index in range(5000)]
    start = time.process_time()
    dataset(tmp_path / "records.jsonl").save(records)
    assert dataset(tmp_path / "records.jsonl").load() == records
    assert time.process_time() - start < 3


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Infinity", "field chosen.0.tool_calls.0.arguments.a: Infinity is not a JSON number"),
        ("[0, NaN]", "field chosen.0.tool_calls.0.arguments.a.1: NaN is not a JSON number"),
        ("-1e999", "field chosen.0.tool_calls.0.arguments.a: -1e999 is beyond the range of numbers"),
        (r'"\ud83d"', "field chosen.0.tool_calls.0.arguments.a: half of a surrogate pair"),
        (r'{"\udc00": 1}', r"field chosen.0.tool_calls.0.arguments.a: a key with half of a surrogate pair"),
        ('{"b": 1, "b": 2}', "field chosen.0.tool_calls.0.arguments.a.b: the key is given twice"),
        ("[" * 80 + "]" * 80, r"field chosen.0.tool_calls.0.arguments.a.*: nested too deep"),
        ("[" * 300 + "]" * 300, r"field chosen.0.tool_calls.0.arguments.a.*: nested too deep"),
    ],
)
def test_what_would_not_be_read_back_equal_is_refused_by_line_and_field(
    tmp_path: Path, value: str, expected: str
) -> None:
    path = tmp_path / "pairs.jsonl"
    pairs = JsonLinesDataset(filepath=str(path), record="persistence_pipeline.records.PreferencePair")
    good = make_pair([Message(role="user", content="go")], [call("read", "VALUE")], [call("finish")])
    line = good.model_dump_json()
    path.write_text(f"{line}\n{line.replace('a0', 'a').replace(chr(34) + 'VALUE' + chr(34), value)}\n")
    with pytest.raises(DatasetError, match=rf"pairs.jsonl, line 2: {expected}"):
        pairs.load()


def test_odd_but_storable_values_are_read_back_equal(tmp_path: Path) -> None:
    odd = {"": -0.0, "\x00": 1e22, "\u00e9": 10**4299, "e\u0301": [[], {}, None, True, "\U0001f600"], "n": 1.0}
    turn = Message(role="assistant", tool_calls=(ToolCall(name="\u212b", arguments=odd),))
    change = Change(entity="e", field="f", before=odd, after=[odd])
    effect = Effect(step=0, tool="t", arguments=odd, changes=(change,))
    saved = trajectory().model_copy(update={"messages": (turn,), "effects": (effect,)})
    file = dataset(tmp_path / "records.jsonl")
    file.save([saved])
    assert repr(file.load()) == repr([saved])
