"""What is a model's doing, what one conversation's, what the server's: real servers that get it wrong."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.rollout.test_served import CASES, NOTHING, TAGGED, Careful, _messages, _settings

from chat_server import Act, ChatServer
from persistence_pipeline.llm_client import NoCreditError, RefusedAlikeError
from persistence_pipeline.records import Trajectory
from persistence_pipeline.rollout.run import RolloutError, roll_out
from persistence_pipeline.rollout.served import MISNAMED, CallsMisreadError

Scripted = dict[str, Trajectory]
Answer = Callable[[dict[str, Any]], Any]
REFUSED = '{"error": {"message": %s}}'
NO_PARSER = Act(400, REFUSED % json.dumps('"auto" tool choice requires --tool-call-parser to be set'))


def _turn(request: dict[str, Any]) -> int:
    return sum(m["role"] == "assistant" for m in request["messages"])


def _refused_run(
    answer: Answer, careful: Careful, folder: Path, fault: type[Exception], words: str, concurrency: int = 4
) -> int:
    """Requests of a rollout that ends with a fault and, once the server is mended, goes on from its journal."""
    with ChatServer(answer, model="cell") as server:
        settings = _settings(server, folder, concurrency=concurrency)
        with pytest.raises(fault, match=words) as caught:
            roll_out(NOTHING, CASES, settings, policy="cell", seed=0)
        assert "\n" not in str(caught.value)
        asked = len(server.requests)
        kept = sum(len(journal.read_text().splitlines()) for journal in settings.journal.iterdir())
        server.answer = careful
        server.requests.clear()
        played = roll_out(NOTHING, CASES, settings, policy="cell", seed=0)
        assert _messages(played) == _messages([careful._scripted[case.instruction] for case in CASES])
        assert len(server.requests) == sum(t.flags["calls"] for t in played) - kept
    return asked


def test_what_is_refused_to_all_ends_the_run(scripted: Scripted, tmp_path: Path) -> None:
    """As by vLLM that was started without its tool-call parser."""
    words = "tool-call-parser.*it refuses [3-9] cases alike and accepted none"
    asked = _refused_run(lambda _: NO_PARSER, Careful(scripted), tmp_path, RefusedAlikeError, words)
    assert 3 <= asked <= 3 + 2 * 4, "few more than were under way"


def test_what_is_refused_at_every_second_turn_ends_the_run(scripted: Scripted, tmp_path: Path) -> None:
    """Answers to first turns, which the server takes, say nothing of what it does not take."""
    careful = Careful(scripted)
    refused = Act(400, json.dumps({"error": {"message": "Conversation roles must alternate user/assistant/..."}}))
    asked = _refused_run(
        lambda r: refused if _turn(r) else careful(r), careful, tmp_path, RefusedAlikeError, "must alternate", 1
    )
    assert 6 <= asked <= 7, "three episodes, and the fourth had begun"


@pytest.mark.parametrize(
    "act",
    [
        Act(402, '{"error": {"message": "Payment Required"}}'),
        Act(400, '{"error": {"message": "Your credit balance is too low to access the API."}}'),
        Act(200, '{"error": {"message": "Insufficient credits", "code": 402}}'),
    ],
)
def test_a_spent_account_ends_the_run(scripted: Scripted, tmp_path: Path, act: Act) -> None:
    careful, paid, lock = Careful(scripted), [10], threading.Lock()

    def answer(request: dict[str, Any]) -> Any:
        with lock:
            paid[0] -= 1
            return careful(request) if paid[0] >= 0 else act

    _refused_run(answer, careful, tmp_path, NoCreditError, "pay, or take another account, and run again")


@pytest.mark.parametrize(
    "act",
    [
        Act(200, '{"choices": []}'),
        Act(200, '{"choices": [{"message": {"content": ""}, "finish_reason": "error"}]}'),
        Act(
            200, '{"choices": [{"message": {"content": ""}, "error": {"code": 502, "message": "Provider died"}}]}'
        ),
        Act(200, '{"error": {"message": "Provider died"}}'),
        Act(200, '{"choices": [{"message": {"content": {"text": "a"}}}]}'),
    ],
)
def test_bodies_without_a_reply_are_no_turns(scripted: Scripted, tmp_path: Path, act: Act) -> None:
    """From all episodes they end the run; from one, that one is missing and the rollout is not whole."""
    careful = Careful(scripted)
    _refused_run(lambda _: act, careful, tmp_path / "all", RefusedAlikeError, "status 200|status 502")
    odd = CASES[3].instruction

    def answer(request: dict[str, Any]) -> Any:
        about = next(m["content"] for m in request["messages"] if m["role"] == "user")
        return act if about == odd and _turn(request) == 1 else careful(request)

    with ChatServer(answer, model="cell") as server:
        played = roll_out(NOTHING, CASES, _settings(server, tmp_path / "one"), policy="cell", seed=0)
    assert [t.stop_reason for t in played] == ["error" if case.instruction == odd else "finish" for case in CASES]
    missing = played[3]
    assert missing.flags["calls"] == 1 and missing.flags["invalid_calls"] == 0 and missing.flags["error"]
    assert not played.spent and len(list((tmp_path / "one/journal").iterdir())) == 1


def test_odd_episodes_that_are_refused_at_once_do_not_end_the_run(scripted: Scripted, tmp_path: Path) -> None:
    """Refusals come before the answers that were asked for earlier: those are waited for."""
    careful, odd = Careful(scripted), {case.instruction for case in CASES[-4:]}

    def answer(request: dict[str, Any]) -> Any:
        if next(m["content"] for m in request["messages"] if m["role"] == "user") in odd:
            return Act(400, '{"error": {"message": "the case is odd"}}')
        time.sleep(0.1)
        return careful(request)

    with ChatServer(answer, model="cell") as server:
        settings = _settings(server, tmp_path, concurrency=len(CASES))
        played = roll_out(NOTHING, CASES, settings, policy="cell", seed=0)
    assert [t.stop_reason for t in played] == ["finish"] * (len(CASES) - 4) + ["error"] * 4


def test_a_rollout_without_a_single_episode_says_why(tmp_path: Path) -> None:
    act = Act(400, '{"error": {"message": "the maximum context length is 9"}}')
    with ChatServer(lambda _: act, model="cell") as server:
        settings = _settings(server, tmp_path)
        with pytest.raises(RolloutError, match=rf"none of {len(CASES)} episodes could be played.*length is 9"):
            roll_out(NOTHING, CASES, settings, policy="cell", seed=0)


@pytest.mark.parametrize("text", [TAGGED, "%s"])
def test_calls_that_a_server_leaves_in_the_text_are_not_the_model_s_fault(
    scripted: Scripted,
    tmp_path: Path,
    text: str,
) -> None:
    """The run ends with what to do; with the family named it goes on from the same journal."""
    form = text if text == TAGGED else "%s"
    with ChatServer(Careful(scripted, form), model="cell") as server:
        if text != TAGGED:
            server.answer = lambda r, c=server.answer: c(r).replace('"arguments"', '"parameters"')
        with pytest.raises(CallsMisreadError, match=r"leaves calls in the text .*name the `family`"):
            roll_out(NOTHING, CASES, _settings(server, tmp_path), policy="cell", seed=0)
        asked = len(server.requests)
        family = "qwen2_5" if text == TAGGED else "llama3_1"
        played = roll_out(NOTHING, CASES, _settings(server, tmp_path, family=family), policy="cell", seed=0)
    assert _messages(played) == _messages(list(scripted.values()))
    assert len(server.requests) == sum(t.flags["calls"] for t in played) and asked


def test_a_server_that_misnames_every_tool_is_at_fault(
    scripted: Scripted,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One that misnames some may pass on what the model wrote: those calls are invalid, and are told."""
    careful = Careful(scripted)

    def misnamed(request: dict[str, Any]) -> Any:
        message = careful({**request, "messages": request["messages"][:2]})
        for call in message["tool_calls"]:
            call["function"]["name"] = f"functions.{call['function']['name']}"
        return message

    with ChatServer(misnamed, model="cell") as server:
        with pytest.raises(CallsMisreadError, match=r"calls none is of an offered tool \('functions\."):
            roll_out(NOTHING, CASES[:2], _settings(server, tmp_path), policy="cell", seed=0)
        assert len(server.requests) >= MISNAMED
        server.answer = lambda r: (
            misnamed(r) if not _turn(r) else {"tool_calls": [{"function": {"name": "finish"}}]}
        )
        played = roll_out(NOTHING, CASES, _settings(server, tmp_path / "some"), policy="cell", seed=0)
    assert {(t.stop_reason, t.flags["invalid_calls"]) for t in played} == {("finish", 1)}
    assert "calls of tools that were not offered" in caplog.text


@pytest.mark.parametrize("nothing", ["", None, "null", {}, "left out"])
def test_a_tool_without_arguments_is_called_however_the_server_writes_none(
    scripted: Scripted,
    tmp_path: Path,
    nothing: Any,
) -> None:
    careful = Careful(scripted)

    def answer(request: dict[str, Any]) -> Any:
        message = careful(request)
        for call in message["tool_calls"]:
            if call["function"]["arguments"] == "{}":
                call["function"]["arguments"] = nothing
                if nothing == "left out":
                    del call["function"]["arguments"]
        first = message["tool_calls"][0]["function"]
        return {"content": None, "function_call": first} if nothing == "" else message

    with ChatServer(answer, model="cell") as server:
        played = roll_out(NOTHING, CASES, _settings(server, tmp_path), policy="cell", seed=0)
    assert _messages(played) == _messages(list(scripted.values()))
    assert {t.stop_reason for t in played} == {"finish"}


@pytest.mark.parametrize(
    "written", ['{"to": "\\ud83d"}', '{"\\udc00": 1}', '{"n": NaN}', '{"n": 1e999}', "[" * 300]
)
def test_arguments_that_cannot_be_kept_are_an_invalid_call(tmp_path: Path, written: str) -> None:
    acts = [{"content": "a\ud83d", "tool_calls": [{"function": {"name": "finish", "arguments": written}}]}]
    end = {"tool_calls": [{"function": {"name": "finish"}}]}
    with ChatServer(lambda _: acts.pop() if acts else end, model="cell") as server:
        played = roll_out(NOTHING, CASES[:1], _settings(server, tmp_path), policy="cell", seed=0)
    (trajectory,) = played
    assert (trajectory.flags["invalid_calls"], trajectory.stop_reason) == (1, "finish")
    assert Trajectory.model_validate_json(trajectory.model_dump_json()) == trajectory
