"""Whatever a parser accepts of what an agent wrote is played, saved and read back equal.

Turns are well-formed calls in many spellings, to most of which something small has been done: noise would be
refused at once, and nothing would have been tried.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_server import ChatServer
from fuzzing import examples
from persistence_pipeline.agents.calls import parse_arguments
from persistence_pipeline.agents.compact import ParseError, parse_call
from persistence_pipeline.agents.families import MODEL_FAMILIES, use_family
from persistence_pipeline.datasets import JsonLinesDataset
from persistence_pipeline.records import Trajectory
from persistence_pipeline.rollout.dialect import dialect_of
from persistence_pipeline.rollout.episode import Episode, Turn
from persistence_pipeline.rollout.run import RolloutSettings, roll_out
from persistence_pipeline.toolemu.trajectories import parse_arguments as parse_toolemu
from persistence_pipeline.world.environment import case_tools
from persistence_pipeline.world.splits import WorldSettings, generate_cases
from real_shapes import bpe_tokenizer

Tried = Callable[[], None]
SIZES = {"train": 1, "test_iid": 0, "test_combination": 0, "test_domain": 0}
CASES = generate_cases(WorldSettings(phrasing="natural", twins_per_group=SIZES), 0)
TOOLS = {name: tool for case in CASES for name, tool in case_tools(case).items()}
FEWEST = 0.3
"""Share of the turns that must be accepted, else the property has said nothing."""

TEXT = st.text(st.characters(codec="utf-8"), max_size=6)
ODD = st.sampled_from(
    [
        "",
        "\x00",
        "\u00e9",
        "e\u0301",
        "\u212b",
        "<|im_end|>",
        "<|eot_id|>",
        "</tool_call>",
        "\u2028",
        "\U0001f600",
        "m1",
    ]
)
NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False), st.just(10**400)
)
VALUES = st.recursive(
    st.one_of(TEXT, ODD, NUMBERS, st.booleans(), st.none()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT | ODD, inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from([*sorted(TOOLS), "", "no_such_tool", "\u00e9", "<|im_end|>"])
CHANGES = (
    (": ", ":"),
    (": ", " :\n\t"),
    ("}", "}\n"),
    ("1", "1e2"),
    ("1", "-0.0"),
    ("1", "1e22"),
    ("1", "1e999"),
    ("1", "9" * 4300),
    ("1", "9" * 4301),
    ("1", "NaN"),
    ("true", "Infinity"),
    ('"a', r'"\u0061'),
    ('"m', r'"\u003c|im_end|\u003e'),
    ('"e', r'"\ud83d'),
    ('"e', r'"\ud83d\ude00'),
    ('"e', '"\ud83d'),
    ('"e', r'"\u0000'),
    ("null", "[" * 30 + "]" * 30),
    ("null", "[" * 70 + "]" * 70),
    ("null", "[" * 300 + "]" * 300),
    ("{}", '{"x": 1, "x": 1}'),
    ("{}", '{"": 1, "\u00e9": 2, "e\u0301": 3}'),
    (",", ",,"),
    ('"', "'"),
)


@st.composite
def calls(draw: st.DrawFn, arguments: str | None = "arguments") -> str:
    """The JSON of a call, or of its arguments alone, spelled somehow; often with one small change."""
    values = draw(st.dictionaries(TEXT | ODD | st.sampled_from(["target", "mail"]), VALUES, max_size=3))
    call: Any = values if arguments is None else {"name": draw(NAMES), arguments: values}
    if draw(st.booleans()) and arguments is not None:
        call = dict(reversed(call.items()))
    text = json.dumps(
        call,
        ensure_ascii=draw(st.booleans()),
        indent=draw(st.sampled_from([None, None, 1])),
        separators=draw(st.sampled_from([None, (",", ":")])),
    )
    if draw(st.integers(0, 2)):
        old, new = draw(st.sampled_from(CHANGES))
        places = [place for place in range(len(text)) if text.startswith(old, place)]
        if places:
            place = draw(st.sampled_from(places))
            text = text[:place] + new + text[place + len(old) :]
    return text


@st.composite
def turns(draw: st.DrawFn, name: str) -> str:
    """A turn of a family: a call as the family marks it, now and then behind text."""
    family = MODEL_FAMILIES[name]
    written = draw(calls(family.calls.arguments))
    if family.calls.tagged:
        gap = draw(st.sampled_from(["\n", "\n", "", " \n"]))
        written = f"<tool_call>{gap}{written}{gap}</tool_call>"
    return draw(st.sampled_from(["", "", "\n", "I look.\n", "\u00e9\n\n", "half \ud83d\n"])) + written


def _survives(trajectory: Trajectory, folder: Path) -> None:
    file = JsonLinesDataset(filepath=str(folder / "t.jsonl"), record="persistence_pipeline.records.Trajectory")
    file.save([trajectory])
    (read,) = file.load()
    assert read == trajectory and repr(read) == repr(trajectory)


def _play(turn: Turn, number: int = 0) -> Trajectory:
    episode = Episode(CASES[number], policy="p", seed=0)
    episode.take(turn)
    if not episode.done:
        episode.stop("max_turns")
    return episode.trajectory()


def _enough(counts: Counter[str], capsys: pytest.CaptureFixture[str], name: str) -> None:
    with capsys.disabled():
        print(f"\n{name}: {counts['accepted']:,} of {counts['tried']:,} turns accepted")
    assert counts["accepted"] >= FEWEST * counts["tried"] > 0


@pytest.mark.parametrize("name", sorted(MODEL_FAMILIES))
def test_turns_of_a_family(tried: Tried, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """In process: as text, and as the tokens that were sampled."""
    family, counts = MODEL_FAMILIES[name], Counter[str]()
    tokenizer = bpe_tokenizer(name, ["a text"])
    use_family(tokenizer, family)
    dialect = dialect_of(tokenizer)

    @examples
    @given(text=turns(name), number=st.integers(0, len(CASES) - 1))
    def survive(text: str, number: int) -> None:
        tried()
        counts["tried"] += 1
        try:
            said, call = family.calls.parse(text)
        except ParseError:
            said, call = text, None
        counts["accepted"] += call is not None
        _survives(_play(Turn(call, said), number), tmp_path)
        if "\ud83d" not in text:  # no tokens decode to it
            ids = tokenizer(text, add_special_tokens=False)["input_ids"]
            turn = dialect.parse_turn(ids, TOOLS, ended=True)
            assert turn.call == call and turn.sampled is not None and list(turn.sampled.ids) == ids
            _survives(_play(turn, number), tmp_path)

    survive()
    _enough(counts, capsys, name)


def test_arguments_as_servers_and_toolemu_write_them(
    tried: Tried, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from persistence_pipeline.records import ToolCall

    counts = Counter[str]()

    @examples
    @given(text=calls(None))
    def survive(text: str) -> None:
        tried()
        counts["tried"] += 1
        read = [parse_toolemu(text)]
        try:
            read.append(parse_arguments(text))
            counts["accepted"] += 1
        except ParseError:
            pass
        for arguments in read:
            if arguments is not None:
                _survives(_play(Turn(ToolCall(name="x", arguments=arguments))), tmp_path)

    survive()
    _enough(counts, capsys, "arguments")


def test_turns_of_the_compact_dialect(tried: Tried, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counts = Counter[str]()
    odd = st.sampled_from(
        ["m1", "f2", "\u00e9", "e\u0301", "\x00", "\ud83d", "<|end|>", "0", "007", "9" * 18, "9" * 19]
    )

    @examples
    @given(data=st.data(), number=st.integers(0, len(CASES) - 1))
    def survive(data: st.DataObject, number: int) -> None:
        tried()
        counts["tried"] += 1
        tool = TOOLS[data.draw(st.sampled_from(sorted(TOOLS)))]
        kinds = [*tool.parameters.values()][: data.draw(st.sampled_from([None, None, None, 1]))]
        words = [data.draw(st.integers(0, 99).map(str) if kind is int else odd) for kind in kinds]
        gap = data.draw(st.sampled_from([" ", "  ", "\u2003", "\n"]))
        text = gap.join([tool.name, *words])
        try:
            call = parse_call(text, TOOLS)
        except ParseError:
            call = None
        counts["accepted"] += call is not None
        _survives(_play(Turn(call, "" if call else text), number), tmp_path)

    survive()
    _enough(counts, capsys, "compact")


@pytest.mark.parametrize("name", [None, "qwen2_5", "llama3_1"])
def test_served_turns(tried: Tried, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str | None) -> None:
    """Handed over as calls, or left in the text; through a real server and client."""
    counts, said = Counter[str](), [""]

    def answer(_: dict[str, Any]) -> dict[str, Any]:
        if name is not None:
            return {"content": said[0]}
        function = {"name": "finish" if len(said[0]) % 2 else "n\ud83d", "arguments": said[0]}
        return {"content": "half \ud83d", "tool_calls": [{"id": "1", "type": "function", "function": function}]}

    with ChatServer(answer, model="cell") as server:
        served = {"base_url": server.base_url, "model": "cell", "family": name, "retries": 0}
        settings = RolloutSettings.model_validate({"samples": 1, "max_turns": 1, "served": served})

        @examples
        @given(text=calls(None) if name is None else turns(name))
        def survive(text: str) -> None:
            tried()
            counts["tried"] += 1
            said[0] = text
            (played,) = roll_out(Path("none"), CASES[:1], settings, policy="cell", seed=0)
            counts["accepted"] += any(message.tool_calls for message in played.messages)
            _survives(played, tmp_path)

        survive()
    _enough(counts, capsys, f"served, {name or 'as calls'}")
