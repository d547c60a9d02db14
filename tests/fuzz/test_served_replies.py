"""Whatever a server answers is a turn that can be kept, or a fault by name: valid answers, changed.

Each input goes through a real server, the client, its journal and an episode, twice: the second time from the
journal.
"""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chat_server import Act, ChatServer
from fuzzing import EXAMPLES, examples
from persistence_pipeline.judging.parsing import LEVELS, read_verdict
from persistence_pipeline.llm_client import ChatReply, ServingError
from persistence_pipeline.records import Trajectory
from persistence_pipeline.rollout.run import RolloutSettings, roll_out
from persistence_pipeline.toolemu.emulator import read_observation
from persistence_pipeline.world.splits import WorldSettings, generate_cases

Tried = Callable[[], None]
ACCEPTED = 0.3
"""Share of the inputs that have to be read: a property of refusals alone would say little."""
NONE = {"train": 0, "test_iid": 0, "test_combination": 0, "test_domain": 0}
CASE = generate_cases(WorldSettings(phrasing="natural", twins_per_group={**NONE, "train": 1}), 0)[0]
CALL = {"id": "1", "type": "function", "function": {"name": "list_files", "arguments": '{"folder": "tmp"}'}}
TAINTED = {"name": "list_files\udc00", "arguments": {"folder\ud83d": "tmp"}}
USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
MESSAGES: list[dict[str, Any]] = [
    {"role": "assistant", "content": "I have looked: nothing is left."},
    {"role": "assistant", "content": None, "tool_calls": [CALL], "reasoning_content": "First a look."},
    {"role": "assistant", "content": "", "function_call": {"name": "finish", "arguments": ""}},
    {"role": "assistant", "content": [{"type": "text", "text": "So "}, {"type": "text", "text": "be it."}]},
    {"role": "assistant", "content": "So be it.", "tool_calls": [CALL, CALL], "refusal": None},
    {
        "role": "assistant",
        "content": '<tool_call>\n{"name": "finish", "arguments": {"a": [1, 2.5]}}\n</tool_call>',
    },
]
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.text(max_size=5),
    st.sampled_from([2.5, 10**30, float("inf"), float("nan"), "", "null", "{}", "[", "\ud83d", "\x00", "n/a"]),
    st.sampled_from(['{"a": "\\ud83d"}', '{"a": 1, "a": 2}', '{"a": 1e999}', '{"a": NaN}', '{"\udc00": 1}']),
    st.sampled_from(
        [[], {}, [[]], ["a"], {"text": "a"}, [{"type": "text", "text": "a\ud83d"}], [{"type": "image"}]]
    ),
    st.sampled_from(["stop", "length", "error", "content_filter", "tool_calls", "abort"]),
    st.integers(60, 400).map(lambda depth: '{"a":' * depth + "1" + "}" * depth),
    st.integers(60, 1500).map(lambda depth: json.loads("[" * min(depth, 400) + "]" * min(depth, 400))),
)


def _places(value: Any, depth: int = 9) -> list[tuple[Any, Any]]:
    if not depth:
        return []
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, item in inner for place in [(value, key), *_places(item, depth - 1)]]


def _changed(draw: st.DrawFn, value: Any, times: list[int]) -> Any:
    """The value, changed somewhere so many times."""
    for _ in range(draw(st.sampled_from(times))):
        holder, key = draw(st.sampled_from(_places(value)))
        fate = draw(st.sampled_from(["taint", "taint", "change", "delete", "add"]))
        if fate == "delete":
            del holder[key]
        elif fate == "taint" and isinstance(holder[key], str | int | None):
            holder[key] = f"{holder[key] or ''}\ud83d" if not isinstance(holder[key], int) else float("inf")
        elif fate == "add" and isinstance(holder, dict):
            name = draw(st.sampled_from(["error", "function_call", "refusal", "reasoning", "token_ids", "extra"]))
            holder[name] = copy.deepcopy(draw(ODD))
        else:
            holder[key] = copy.deepcopy(draw(ODD))
        if not _places(value):
            break
    return value


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """A chat completion to which something was done, as JSON, now and then cut or with other bytes."""
    message = copy.deepcopy(draw(st.sampled_from(MESSAGES)))
    choice = {"index": 0, "message": message, "finish_reason": "stop", "token_ids": [1, 2, 3]}
    body = _changed(draw, {"id": "x", "choices": [choice], "usage": dict(USAGE)}, [0, 1, 1, 1, 2])
    written = json.dumps(body).replace("Infinity", draw(st.sampled_from(["Infinity", "1e999"]))).encode()
    fate = draw(st.sampled_from(["whole"] * 12 + ["cut", "bytes"]))
    place = draw(st.integers(0, len(written)))
    if fate == "whole":
        return written
    return written[:place] + (b"" if fate == "cut" else draw(st.binary(max_size=3)) + written[place:])


class Mutated:
    """Answers the first turn with what is set, and ends the episode then."""

    def __init__(self) -> None:
        self.body = b""

    def __call__(self, request: dict[str, Any]) -> Any:
        if any(message["role"] == "assistant" for message in request["messages"]):
            return {"tool_calls": [{"function": {"name": "finish", "arguments": "{}"}}]}
        return Act(body=self.body)


@pytest.fixture(scope="module")
def server() -> Iterator[ChatServer]:
    with ChatServer(Mutated()) as running:
        yield running


def test_whatever_a_server_answers_is_a_turn_that_can_be_kept_or_a_fault(
    server: ChatServer, tried: Tried, tmp_path_factory: pytest.TempPathFactory
) -> None:
    counts = Counter[str]()

    def play(folder: Path, family: str | None) -> list[Trajectory] | str:
        served = {"base_url": server.base_url, "model": "tiny", "retries": 0, "concurrency": 1, "family": family}
        settings = RolloutSettings.model_validate(
            {"samples": 1, "max_turn_tokens": 9, "served": served, "journal": folder}
        )
        try:
            return list(roll_out(Path("none"), [CASE], settings, policy="p", seed=0))
        except ServingError as fault:
            assert "\n" not in str(fault) and str(fault).encode()
            return str(fault)

    @settings(examples, max_examples=EXAMPLES // 2)
    @example(body=json.dumps({"choices": [{"message": {"content": "a\ud83d"}}]}).encode(), family=None)
    @example(body=json.dumps({"choices": [{"message": {"function_call": TAINTED}}]}).encode(), family=None)
    @given(body=bodies(), family=st.sampled_from([None, "qwen2_5"]))
    def whatever(body: bytes, family: str | None) -> None:
        tried()
        counts["tried"] += 1
        server.answer.body = body
        folder = tmp_path_factory.mktemp("journal")
        played = play(folder, family)
        asked = len(server.requests)
        assert play(folder, family) == played
        if isinstance(played, str) or played[0].stop_reason == "error":
            return
        counts["accepted"] += 1
        assert len(server.requests) == asked, "the second time all comes from the journal"
        assert [Trajectory.model_validate_json(t.model_dump_json()) for t in played] == played

    whatever()
    assert counts["accepted"] >= ACCEPTED * counts["tried"], counts


VERDICTS = [{"reason": "It looked first.", "score": 2}, {"score": 0, "reason": "m1 is gone </think>"}]
OBSERVATIONS = [{"observation": {"messages": ["m1", "m2"], "n": 2}}, {"observation": {"error": {"code": 404}}}]


@st.composite
def answers(draw: st.DrawFn, valid: list[dict[str, Any]]) -> str:
    """A well-formed answer to which something was done, bare, in a fence or after thoughts."""
    written = json.dumps(_changed(draw, copy.deepcopy(draw(st.sampled_from(valid))), [0, 0, 1, 1, 2]))
    return draw(st.sampled_from(["%s", "```json\n%s\n```", "hm</think>\n%s", " %s\n"])).replace("%s", written)


def test_a_verdict_that_is_taken_can_be_kept(tried: Tried) -> None:
    counts = Counter[str]()

    @examples
    @given(text=answers(VERDICTS))
    def verdict(text: str) -> None:
        tried()
        counts["tried"] += 1
        read = read_verdict(ChatReply(text, (), "stop", 1, 1))
        kept = json.loads(json.dumps(vars(read), ensure_ascii=False, allow_nan=False).encode())
        assert kept == vars(read) and (read.score is None) == bool(read.missing_reason)
        if read.score is not None:
            counts["accepted"] += 1
            assert type(read.score) is int and 0 <= read.score < LEVELS

    verdict()
    assert counts["accepted"] >= ACCEPTED * counts["tried"], counts


def test_an_observation_that_is_taken_can_be_kept(tried: Tried) -> None:
    counts = Counter[str]()

    @examples
    @given(text=answers(OBSERVATIONS))
    def observation(text: str) -> None:
        tried()
        counts["tried"] += 1
        read = read_observation(ChatReply(text, (), "stop", 1, 1))
        if read is not None:
            counts["accepted"] += 1
            assert json.loads(json.dumps(read, ensure_ascii=False, allow_nan=False).encode()) == read

    observation()
    assert counts["accepted"] >= ACCEPTED * counts["tried"], counts
