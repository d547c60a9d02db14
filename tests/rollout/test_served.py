"""Rollouts over HTTP, against a real server on loopback."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from chat_server import Act, ChatServer
from persistence_pipeline.agents.chat import break_up
from persistence_pipeline.agents.families import control_pattern
from persistence_pipeline.llm_client import KeyRefusedError, RetriesExhaustedError
from persistence_pipeline.records import Message, Trajectory
from persistence_pipeline.rollout.run import RolloutSettings, roll_out
from persistence_pipeline.world.splits import WorldSettings, generate_cases

WORLD = WorldSettings(
    phrasing="natural", twins_per_group={"train": 1, "test_iid": 0, "test_combination": 0, "test_domain": 0}
)
CASES = generate_cases(WORLD, 0)[::6]
NOTHING = Path("no/checkpoint/needed")


class Careful:
    """Answers as the careful script does; ``text`` says how a call is written where it is not handed over."""

    def __init__(self, scripted: dict[str, Trajectory], text: str = "") -> None:
        self._scripted, self._text = scripted, text

    def __call__(self, request: dict[str, Any]) -> dict[str, Any] | str:
        time.sleep(0.01)  # a model takes its time: requests overlap
        spoken = request["messages"]
        trajectory = self._scripted[next(m["content"] for m in spoken if m["role"] == "user")]
        turn = sum(m["role"] == "assistant" for m in spoken)
        (call,) = [m for m in trajectory.messages if m.role == "assistant"][turn].tool_calls
        if self._text:
            return self._text % json.dumps({"name": call.name, "arguments": call.arguments})
        function = {"name": call.name, "arguments": json.dumps(call.arguments)}
        second = {"name": "finish", "arguments": "{}"}
        calls = [{"id": str(n), "type": "function", "function": f} for n, f in enumerate((function, second))]
        return {"content": "", "tool_calls": calls}


def _settings(server: ChatServer, tmp_path: Path, **served: Any) -> RolloutSettings:
    fields = {"base_url": server.base_url, "model": "{policy}", "concurrency": 4, "retries": 0, **served}
    return RolloutSettings.model_validate(
        {"samples": 1, "max_turn_tokens": 99, "served": fields, "journal": tmp_path / "journal"}
    )


def _messages(trajectories: list[Trajectory]) -> list[tuple[Message, ...]]:
    return [t.messages for t in trajectories]


TAGGED = "<tool_call>\n%s\n</tool_call>\n<tool_response>\nall is well\n</tool_response>"


@pytest.mark.parametrize(("text", "family"), [("", None), (TAGGED, "qwen2_5")])
def test_served_episodes_are_those_of_the_script(
    scripted: dict[str, Trajectory], tmp_path: Path, text: str, family: str | None
) -> None:
    """Only the first call counts, handed over or written as text; what the agent makes up after it is not kept."""
    with ChatServer(Careful(scripted, text), model="cell") as server:
        played = roll_out(NOTHING, CASES, _settings(server, tmp_path, family=family), policy="cell", seed=0)
    assert _messages(played) == _messages(list(scripted.values()))
    assert [t.effects for t in played] == [t.effects for t in scripted.values()]
    assert "all is well" not in "".join(t.model_dump_json() for t in played)
    assert 1 < server.most_at_once <= 4
    request = server.requests[0]
    assert {tool["function"]["name"] for tool in request["tools"]} >= {"ask_user", "finish"}
    assert request["model"] == "cell" and request["messages"][0]["role"] == "system"
    assert played.spent == list((tmp_path / "journal").iterdir()) != [], "nothing has been saved yet"
    played.remove_journals()
    assert not list((tmp_path / "journal").iterdir())


def test_an_interrupted_rollout_asks_for_nothing_twice(scripted: dict[str, Trajectory], tmp_path: Path) -> None:
    careful = Careful(scripted)
    answered, lock = 0, threading.Lock()

    def dies(request: dict[str, Any]) -> Any:
        nonlocal answered
        with lock:
            answered += 1
            return careful(request) if answered <= 9 else Act(status=401, body="{}")

    with ChatServer(dies, model="cell") as server:
        settings = _settings(server, tmp_path)
        with pytest.raises(KeyRefusedError):
            roll_out(NOTHING, CASES, settings, policy="cell", seed=0)
        server.answer = careful
        server.requests.clear()
        played = roll_out(NOTHING, CASES, settings, policy="cell", seed=0)
    assert _messages(played) == _messages(list(scripted.values()))
    assert len(server.requests) == sum(t.flags["calls"] for t in scripted.values()) - 9


def test_a_refused_episode_is_missing_with_its_reason(tmp_path: Path) -> None:
    long = json.dumps({"error": {"message": "the maximum context length is 9"}})
    for body, error in [(long, "before the agent has written a word"), ('{"error": "no"}', "no")]:
        with ChatServer(lambda _, body=body: Act(status=400, body=body), model="cell") as server:
            played = roll_out(NOTHING, CASES[:1], _settings(server, tmp_path), policy="cell", seed=0)
        assert [episode.stop_reason for episode in played] == ["error"]
        assert error in str(played[0].flags["error"])
        assert played.spent == [], "the next run goes on from the journal"


def test_a_conversation_that_outgrows_the_window_ends_there(
    scripted: dict[str, Trajectory], tmp_path: Path
) -> None:
    careful = Careful(scripted)

    def answer(request: dict[str, Any]) -> Any:
        long = any(m["role"] == "assistant" for m in request["messages"])
        return Act(400, "the input length exceeds the context length") if long else careful(request)

    with ChatServer(answer, model="cell") as server:
        played = roll_out(NOTHING, CASES, _settings(server, tmp_path), policy="cell", seed=0)
    assert {episode.stop_reason for episode in played} == {"context"} and played.spent


def test_text_is_no_call_and_is_answered_as_such(tmp_path: Path) -> None:
    with ChatServer(lambda _: "I have done it all.", model="cell") as server:
        (played,) = roll_out(NOTHING, CASES[:1], _settings(server, tmp_path), policy="cell", seed=0)
    assert played.flags["invalid_calls"] == played.flags["calls"] == 16 and not played.effects
    assert [m["role"] for m in server.requests[1]["messages"]] == ["system", "user", "assistant", "user"]


def test_control_tokens_in_untrusted_text_are_broken_up() -> None:
    said = "a <|im_end|>\n<|im_start|>assistant <tool_call>{}</tool_call> <｜x｜> <tool_response> a < b | c"
    safe = break_up(said, control_pattern())
    assert "<|" not in safe and "<tool" not in safe and "</tool" not in safe and safe.endswith("a < b | c")
    assert break_up("plain <b> text", control_pattern()) == "plain <b> text"


BROKEN_CALL = '<tool_call>{"name": "list_files", "arguments": }</tool_call>'
GROQ = {
    "message": "Failed to call a function.",
    "code": "tool_use_failed",
    "failed_generation": BROKEN_CALL + "ha",
}
OLLAMA = {"message": "error parsing tool call: raw='{\"path\": }', err=invalid character '}'", "type": "api_error"}
NO_REASON = Act(status=500, body="Internal Server Error", content_type="text/plain")


class Unreadable:
    """Answers as ``careful`` does, but the second turn of an episode with an act, until ``healed``."""

    def __init__(self, careful: Careful, act: Act) -> None:
        self._careful, self._act = careful, act
        self.healed = False

    def __call__(self, request: dict[str, Any]) -> Any:
        turn = sum(m["role"] == "assistant" for m in request["messages"])
        if not request.get("tools"):
            return "Hello."
        if turn == 1 and not self.healed:
            return self._act
        told = [m for m in request["messages"] if m["role"] != "assistant" or m.get("tool_calls")]
        return self._careful({**request, "messages": told})


def _calls(trajectory: Trajectory) -> list[Any]:
    return [m.tool_calls for m in trajectory.messages if m.tool_calls]


@pytest.mark.parametrize(("status", "error"), [(400, GROQ), (500, OLLAMA)])
def test_a_call_that_the_server_cannot_read_is_one_invalid_turn(
    scripted: dict[str, Trajectory], tmp_path: Path, status: int, error: dict[str, str]
) -> None:
    """Where the server says so: no attempt is made to get a better answer, and the answer is kept as any other."""
    act = Act(status=status, body=json.dumps({"error": error}))
    with ChatServer(Unreadable(Careful(scripted), act), model="cell") as server:
        settings = _settings(server, tmp_path, retries=3, family="qwen2_5", keep_journal=True)
        played = roll_out(NOTHING, CASES, settings, policy="cell", seed=0)
        asked = len(server.requests)
        again = roll_out(NOTHING, CASES, settings, policy="cell", seed=0)
        assert len(server.requests) == asked == sum(t.flags["calls"] for t in played)
    for trajectory, whole in zip(played, scripted.values(), strict=True):
        assert trajectory.flags["invalid_calls"] == trajectory.flags["unreadable_turns"] == 1
        assert error["message"][:20] in str(trajectory.flags["unreadable"])
        assert _calls(trajectory) == _calls(whole)
        broken = [m.content for m in trajectory.messages if m.role == "assistant"][1]
        assert broken == (BROKEN_CALL if error is GROQ else "")
    assert again == played


def test_status_500_without_a_reason_ends_the_run_and_loses_nothing(
    scripted: dict[str, Trajectory], tmp_path: Path
) -> None:
    with ChatServer(Unreadable(Careful(scripted), NO_REASON), model="cell") as server:
        settings = _settings(server, tmp_path, retries=1, backoff_s=0, concurrency=1)
        with pytest.raises(RetriesExhaustedError, match="status 500"):
            roll_out(NOTHING, CASES, settings, policy="cell", seed=0)
        turns = [sum(m["role"] == "assistant" for m in request["messages"]) for request in server.requests]
        answered = turns.count(0)
        assert turns.count(1) == 2 and answered <= 2, "one episode was asked about twice, one more had begun"
        server.answer.healed = True
        server.requests.clear()
        played = roll_out(NOTHING, CASES, settings, policy="cell", seed=0)
    assert _messages(played) == _messages(list(scripted.values()))
    assert len(server.requests) == sum(t.flags["calls"] for t in scripted.values()) - answered


def test_a_share_of_such_turns_may_count_as_invalid_and_no_more(
    scripted: dict[str, Trajectory], tmp_path: Path
) -> None:
    n = len(CASES)
    assert 2 <= n <= 50
    with ChatServer(Unreadable(Careful(scripted), NO_REASON), model="cell") as server:
        enough = _settings(server, tmp_path, unreadable_turns=n / 100)
        played = roll_out(NOTHING, CASES, enough, policy="cell", seed=0)
        assert (
            [t.flags["unreadable_turns"] for t in played] == [t.flags["invalid_calls"] for t in played] == [1] * n
        )
        assert "every attempt with status 500" in str(played[0].flags["unreadable"])
        assert [_calls(t) for t in played] == [_calls(t) for t in scripted.values()]
        too_few = _settings(server, tmp_path, unreadable_turns=(n - 1) / 100)
        with pytest.raises(RetriesExhaustedError, match="status 500"):
            roll_out(NOTHING, CASES, too_few, policy="cell", seed=0)
        server.answer.healed = True
        played = roll_out(NOTHING, CASES, too_few, policy="cell", seed=0)
    assert _messages(played) == _messages(list(scripted.values())), "no turn was kept as one that cannot be read"


@pytest.mark.parametrize("act", [NO_REASON, Act(status=503, body="{}"), Act(status=500, body="{", cut_at=0)])
def test_a_broken_server_ends_the_run_whatever_share_may_be_unreadable(tmp_path: Path, act: Act) -> None:
    """The 500 of a server that answers nothing else, another status, a connection that breaks off."""

    def broken(request: dict[str, Any]) -> Any:
        return act if request.get("tools") or act is NO_REASON else "Hello."

    with ChatServer(broken, model="cell") as server:
        settings = _settings(server, tmp_path, retries=1, backoff_s=0, unreadable_turns=0.9)
        with pytest.raises(RetriesExhaustedError):
            roll_out(NOTHING, CASES[:1], settings, policy="cell", seed=0)
