"""The chat client against a real server that misbehaves in every way that servers do."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from chat_server import Act, ChatServer
from persistence_pipeline.llm_client import (
    ChatClient,
    ChatReply,
    ChatRequest,
    ContextTooLongError,
    KeyRefusedError,
    ModelUnknownError,
    NotJsonError,
    RequestRefusedError,
    RetriesExhaustedError,
    ServerSettings,
    ServerUnreachableError,
)
from persistence_pipeline.llm_client.journal import Journal, JournalError

CANARY = "sk-canary-7f3a"


def settings(server: ChatServer | str, **changes: Any) -> ServerSettings:
    url = server if isinstance(server, str) else server.base_url
    patience = {"timeout_s": 5.0, "backoff_s": 0.001, "retries": 3}
    return ServerSettings(base_url=url, model="tiny", **{**patience, **changes})


def request(text: str = "hello", **fields: Any) -> ChatRequest:
    return ChatRequest([{"role": "user", "content": text}], max_tokens=16, **fields)


def first_then(*acts: Act, then: str = "fine") -> Callable[[dict[str, Any]], Any]:
    """Misbehaves once for each act, then answers."""
    waiting = list(acts)
    return lambda _: waiting.pop(0) if waiting else then


def error(status: int, message: str, **more: Any) -> Act:
    return Act(status, json.dumps({"error": {"message": message, "code": status}}), **more)


def test_asks_and_is_answered() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "send", "arguments": '{"to": "ann"}'}}
    with (
        ChatServer(lambda _: {"content": None, "tool_calls": [call]}) as server,
        ChatClient(settings(server)) as chat,
    ):
        reply = chat.ask(request("hello there", seed=3, stop=["\n"], tools=[{"type": "function"}]))
    assert reply.tool_calls == (("send", '{"to": "ann"}'),)
    assert (reply.content, reply.finish_reason, reply.prompt_tokens) == ("", "tool_calls", 2)
    sent = server.requests[0]
    assert (sent["model"], sent["seed"], sent["max_tokens"], sent["stop"]) == ("tiny", 3, 16, ["\n"])
    assert "Authorization" not in server.headers[0]


@pytest.mark.parametrize(
    "act",
    [
        error(429, "slow down", headers={"Retry-After": "0"}),
        error(500, "oops"),
        Act(503, "<html>no</html>"),
        Act(200, '{"choices": [{"mess'),
        Act(200, '{"choices": []}' * 9, cut_at=20),
        Act(200, ""),
        Act(200, "x" * 2000, drip_s=0.05),
        error(409, "conflict"),
        error(425, "too early"),
        error(424, "Request failed during generation"),
        Act(200, json.dumps({"error": {"message": "Upstream overloaded", "code": 502}})),
        Act(200, json.dumps({"error": "Upstream overloaded"})),
        Act(200, json.dumps({"error": {"message": "slow down", "code": 429}, "choices": None})),
        Act(
            200, json.dumps({"choices": [{"error": {"code": 502, "message": "died"}, "message": {"content": ""}}]})
        ),
        Act(200, json.dumps({"choices": [{"finish_reason": "error", "message": {"content": "half a "}}]})),
        Act(200, '{"choices": []}'),
        Act(200, '{"object": "list"}'),
        Act(200, "not gzip", headers={"Content-Encoding": "gzip"}),
    ],
    ids=[
        *("429", "500", "503", "half-json", "half-body", "empty", "slow", "409", "425", "424"),
        *(
            "error-502",
            "error-text",
            "error-429",
            "choice-error",
            "finish-error",
            "no-choice",
            "no-choices",
            "gzip",
        ),
    ],
)
def test_failures_that_pass_are_retried(act: Act) -> None:
    patience = {"timeout_s": 1.0} if act.drip_s else {}
    with ChatServer(first_then(act)) as server, ChatClient(settings(server, **patience)) as chat:
        assert chat.ask(request()).content == "fine"
        assert len(server.requests) == 2


def test_waits_as_long_as_the_server_asks() -> None:
    date = formatdate(time.time() + 2, usegmt=True)
    acts = [error(429, "wait", headers={"Retry-After": "0.3"}), error(429, "wait", headers={"Retry-After": date})]
    with ChatServer(first_then(*acts)) as server, ChatClient(settings(server)) as chat:
        started = time.monotonic()
        chat.ask(request())
        assert 0.5 < time.monotonic() - started < 30  # the date is one to two seconds away


def test_a_wait_too_long_ends_at_once() -> None:
    act = error(429, "quota", headers={"Retry-After": "3600"})
    with ChatServer(lambda _: act) as server, ChatClient(settings(server)) as chat:
        with pytest.raises(RetriesExhaustedError, match=r"quota.*wait 3600 s \(longest_wait_s is 60\).*journal"):
            chat.ask(request())
        assert len(server.requests) == 1


def test_retries_end() -> None:
    with ChatServer(lambda _: error(500, "oops")) as server, ChatClient(settings(server, retries=2)) as chat:
        with pytest.raises(RetriesExhaustedError, match=r"status 500: oops \(3 attempts\)"):
            chat.ask(request())
        assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("act", "fault", "message"),
    [
        (
            error(400, "This model's maximum context length is 64 tokens"),
            ContextTooLongError,
            "longer than the model's",
        ),
        (error(400, "temperature must be below 2"), RequestRefusedError, "status 400: temperature must be"),
        (Act(422, '{"detail": "Unexpected fields"}'), RequestRefusedError, "422: Unexpected fields"),
        (Act(200, "<html>Welcome</html>"), NotJsonError, "Welcome.*base_url end with /v1"),
        (Act(200, "[]"), NotJsonError, "no JSON object"),
        (Act(404, "not found"), NotJsonError, "base_url should end with /v1"),
        (Act(302, ""), NotJsonError, "base_url should end with /v1"),
        (error(401, "who are you"), KeyRefusedError, "who are you; check the key"),
    ],
)
def test_failures_that_stay_are_clear_and_not_retried(act: Act, fault: type[Exception], message: str) -> None:
    with ChatServer(lambda _: act) as server, ChatClient(settings(server)) as chat:
        with pytest.raises(fault, match=message):
            chat.ask(request())
        assert len(server.requests) == 1


@pytest.mark.parametrize("act", [error(404, "no such model"), error(400, "no such model"), error(500, "no such")])
def test_an_unknown_model_names_those_that_are_served(act: Act) -> None:
    said = r"does not serve 'tiny'; it serves qwen \(it said: .*no such"
    with (
        ChatServer(lambda _: act, model="qwen") as server,
        ChatClient(settings(server)) as chat,
        pytest.raises(ModelUnknownError, match=said),
    ):
        chat.ask(request())


def test_a_server_that_is_down() -> None:
    with ChatServer(lambda _: "") as server:
        url = server.base_url
    said = r"no server answers at http://127.*2 attempts.*start it"
    with ChatClient(settings(url, retries=1)) as chat, pytest.raises(ServerUnreachableError, match=said):
        chat.ask(request())


def test_no_more_at_once_than_allowed() -> None:
    def answer(_: dict[str, Any]) -> str:
        time.sleep(0.02)
        return "fine"

    with ChatServer(answer) as server, ChatClient(settings(server, concurrency=4)) as chat:
        replies = list(chat.ask_many(request(str(number)) for number in range(24)))
    assert sorted(index for index, _ in replies) == list(range(24))
    assert server.most_at_once == 4
    assert (chat.usage.requests, chat.usage.completion_tokens) == (24, 24)


def test_a_fault_of_one_request_leaves_the_others() -> None:
    too_long = error(400, "context_length_exceeded")
    with (
        ChatServer(lambda r: too_long if r["messages"][0]["content"] == "1" else "fine") as server,
        ChatClient(settings(server)) as chat,
    ):
        replies = dict(chat.ask_many(request(str(number)) for number in range(3)))
    assert isinstance(replies[1], ContextTooLongError)
    assert all(isinstance(replies[n], ChatReply) for n in (0, 2))


def test_an_interrupted_run_continues_without_asking_again(tmp_path: Path) -> None:
    journal = tmp_path / "deep" / "journal.jsonl"
    asked = [request(str(number)) for number in range(12)]
    broken = threading.Event()

    def answer(sent: dict[str, Any]) -> Any:
        number = sent["messages"][0]["content"]
        return error(500, "out") if int(number) >= 5 and not broken.is_set() else f"reply {number}"

    with ChatServer(answer) as server:
        with (
            ChatClient(settings(server, concurrency=1, retries=0), journal) as chat,
            pytest.raises(RetriesExhaustedError),
        ):
            list(chat.ask_many(asked))
        broken.set()
        before = len(server.requests)
        with ChatClient(settings(server), journal) as chat:
            replies = dict(chat.ask_many(asked))
    assert [replies[n].content for n in range(12)] == [f"reply {n}" for n in range(12)]
    assert (chat.usage.from_journal, len(server.requests) - before) == (5, 7)


def test_the_journal_tells_replicates_and_settings_apart(tmp_path: Path) -> None:
    with (
        ChatServer(lambda _: "fine") as server,
        ChatClient(settings(server), tmp_path / "j") as chat,
        ChatClient(settings(server, extra={"top_k": 5}), tmp_path / "k") as other,
    ):
        keys = {
            chat.request_key(request()),
            chat.request_key(request(replicate="1")),
            chat.request_key(request(temperature=1.0)),
            other.request_key(request()),
        }
        moved = settings("http://elsewhere/v1")
        with ChatClient(moved) as third:
            assert third.request_key(request()) == chat.request_key(request())
    assert len(keys) == 4


def test_a_journal_cut_off_at_its_end_is_mended(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path, dict) as journal:
        journal.put("a", {"content": "one"})
        journal.put("b", {"content": "two"})
    path.write_bytes(path.read_bytes()[:-9])
    with Journal(path, dict) as journal:
        assert (journal.get("a"), journal.get("b")) == ({"content": "one"}, None)
        journal.put("c", {"content": "three"})
    with Journal(path, dict) as journal:
        assert len(journal) == 2
    path.write_text("prose\n" + path.read_text())
    with pytest.raises(JournalError, match="line 1: expected a reply, found prose"):
        Journal(path, dict)


def _opened_meanwhile(path: Path, first: Journal[Any], end: Callable[[], Any]) -> dict[str, Any]:
    """What a second one finds that is opened while the first is open; ``end`` ends the first."""
    found: dict[str, Any] = {}

    def open_second() -> None:
        with Journal(path, dict) as second:
            found["a"] = second.get("a")
            second.put("b", {"content": "two"})

    waiting = threading.Thread(target=open_second)
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive() and not found, "the first is open still"
    first.put("a", {"content": "one"})
    end()
    waiting.join(10)
    return found


def test_two_that_share_a_journal_take_turns(tmp_path: Path) -> None:
    """The second finds all that the first was answered, and cuts off no line that is being written."""
    path = tmp_path / "journal.jsonl"
    first = Journal(path, dict)
    assert _opened_meanwhile(path, first, first.close) == {"a": {"content": "one"}}
    with Journal(path, dict) as journal:
        assert len(journal) == 2


def test_a_journal_that_is_removed_meanwhile_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    first = Journal(path, dict)
    assert _opened_meanwhile(path, first, lambda: (path.unlink(), first.close())) == {"a": None}
    with Journal(path, dict) as journal:
        assert (journal.get("a"), journal.get("b")) == (None, {"content": "two"})


def test_a_server_that_refuses_schemas_is_asked_without() -> None:
    def answer(sent: dict[str, Any]) -> Any:
        return error(400, "response_format is not supported") if "response_format" in sent else "fine"

    with ChatServer(answer) as server, ChatClient(settings(server)) as chat:
        asked = request(schema={"type": "object"})
        assert [chat.ask(asked).content for _ in range(2)] == ["fine", "fine"]
    assert ["response_format" in sent for sent in server.requests] == [True, False, False]


def test_the_key_is_sent_and_kept_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("JUDGE_API_KEY", CANARY)
    caplog.set_level(logging.DEBUG)
    echo = f"Incorrect API key provided: {CANARY}"
    acts = first_then(error(500, echo), Act(200, '{"choi' + CANARY), then=f"your key is {CANARY}")
    with ChatServer(acts) as server, ChatClient(settings(server, api_key="JUDGE_API_KEY"), tmp_path / "j") as chat:
        assert chat.ask(request()).content == "your key is [key]"
        faults = [
            error(401, echo),
            error(400, echo),
            error(500, echo),
            Act(200, CANARY),
            Act(200, f'{{"a": "{CANARY}"}}'),
        ]
        for number, act in enumerate(faults):
            server.answer = lambda _, act=act: act
            with pytest.raises(Exception) as caught:
                chat.ask(request(str(number)))
            assert CANARY not in str(caught.value)
            assert CANARY not in repr(caught.value.__cause__)
        assert CANARY not in repr(vars(chat)) + repr(chat.settings)
    assert server.headers[0]["Authorization"] == f"Bearer {CANARY}"
    assert "asking again" in caplog.text
    assert CANARY not in caplog.text
    assert CANARY not in (tmp_path / "j").read_text()


def test_keys_come_from_the_environment_or_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JUDGE_API_KEY", raising=False)
    with pytest.raises(KeyRefusedError, match="JUDGE_API_KEY is not set"):
        ChatClient(settings("http://localhost/v1", api_key="JUDGE_API_KEY"))
    with ChatServer(lambda _: "fine") as server, ChatClient(settings(server), key=SecretStr(CANARY)) as chat:
        chat.ask(request())
    assert server.headers[0]["Authorization"] == f"Bearer {CANARY}"


@pytest.mark.parametrize(
    "changes",
    [
        {"base_url": "localhost:8000"},
        {"base_url": f"https://user:{CANARY}@host/v1"},
        {"base_url": f"https://host/v1?key={CANARY}"},
        {"api_key": CANARY},
        {"unknown": 1},
    ],
)
def test_settings_refuse_addresses_and_keys_in_the_wrong_place(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ServerSettings(**{"base_url": "http://host/v1", "model": "m", **changes})
