"""Dialects of chat completions: what a server may write, and what is made of it. Real servers on loopback."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chat_server import Act, ChatServer
from persistence_pipeline.llm_client import (
    BrokenReplyError,
    ChatClient,
    ChatReply,
    ChatRequest,
    ContentFilteredError,
    ContextTooLongError,
    KeyRefusedError,
    NoCreditError,
    RequestRefusedError,
    RetriesExhaustedError,
    ServerSettings,
    ServingError,
)
from persistence_pipeline.llm_client.journal import JournalError

HALF = "\ud83d"
HELLO = ChatRequest([{"role": "user", "content": "hello"}], max_tokens=16)


def settings(server: ChatServer, **changes: Any) -> ServerSettings:
    patience = {"timeout_s": 5.0, "backoff_s": 0.001, "retries": 1}
    return ServerSettings(base_url=server.base_url, model="tiny", **{**patience, **changes})


def ask(body: Any, journal: Path | None = None, status: int = 200, **headers: str) -> ChatReply:
    """What the client makes of an answer, asked for twice where there is a journal: the second time from there."""
    act = Act(status, body if isinstance(body, str) else json.dumps(body), headers=headers)
    with ChatServer(lambda _: act) as server:
        with ChatClient(settings(server), journal) as chat:
            reply = chat.ask(HELLO)
        if journal is not None:
            asked = len(server.requests)
            with ChatClient(settings(server), journal) as chat:
                assert chat.ask(HELLO) == reply and len(server.requests) == asked
        return reply


def said(message: Any, **more: Any) -> dict[str, Any]:
    return {"choices": [{"message": message, "finish_reason": "stop"}], **more}


def call(**function: Any) -> dict[str, Any]:
    return said({"content": None, "tool_calls": [{"id": "1", "type": "function", "function": function}]})


@pytest.mark.parametrize(
    ("message", "content"),
    [
        ({"content": None}, ""),
        ({}, ""),
        ({"content": []}, ""),
        ({"content": [{"type": "text", "text": "a "}, {"type": "output_text", "text": "b"}, "c"]}, "a bc"),
        ({"content": f"a{HALF}b"}, "a\ufffdb"),
        ({"content": "a\ud83d\ude00b"}, "a😀b"),
        ({"content": None, "refusal": "I cannot do that."}, "I cannot do that."),
        ({"content": [{"type": "refusal", "refusal": "No."}]}, "No."),
    ],
)
def test_content_is_what_the_model_said(tmp_path: Path, message: Any, content: str) -> None:
    assert ask(said(message), tmp_path / "j").content == content


def test_thoughts_are_kept_apart_in_whatever_field_they_come(tmp_path: Path) -> None:
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "Yes."}]
    for number, message in enumerate(
        [
            {"content": parts},
            {"content": "Yes.", "reasoning_content": "hm"},
            {"content": "Yes.", "reasoning": "hm", "reasoning_content": None},
            {"content": "Yes.", "reasoning": [{"type": "text", "text": "hm"}]},
        ]
    ):
        reply = ask(said(message), tmp_path / str(number))
        assert (reply.content, reply.reasoning) == ("Yes.", "hm")


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ({"name": "finish"}, "{}"),
        ({"name": "finish", "arguments": None}, "{}"),
        ({"name": "finish", "arguments": ""}, "{}"),
        ({"name": "finish", "arguments": " \n"}, "{}"),
        ({"name": "finish", "arguments": "null"}, "{}"),
        ({"name": "finish", "arguments": {}}, "{}"),
        ({"name": "finish", "arguments": {"to": "Zoë"}}, '{"to": "Zo\\u00eb"}'),
        ({"name": "finish", "arguments": '{"to": "Zoë"}'}, '{"to": "Zoë"}'),
        ({"name": "finish", "arguments": f'{{"to": "{HALF}"}}'}, '{"to": "\\ud83d"}'),
        ({"name": "finish", "arguments": "[1]"}, "[1]"),
        ({"name": "finish", "arguments": [1]}, "[1]"),
        ({"name": "finish", "arguments": "{"}, "{"),
    ],
)
def test_arguments_are_as_written_and_none_in_whatever_form_are_empty(
    tmp_path: Path, function: dict[str, Any], arguments: str
) -> None:
    calls = (
        call(**function),
        said({"content": None, "function_call": function}),
        said({"content": None, "tool_calls": [], "function_call": function}),
        said({"content": None, "tool_calls": [{"function": function}]}),
        said({"content": None, "tool_calls": [{"type": "function", **function}]}),
    )
    for number, body in enumerate(calls):
        assert ask(body, tmp_path / str(number)).tool_calls == (("finish", arguments),)


def test_numbers_that_are_none_are_not_known(tmp_path: Path) -> None:
    for number, usage in enumerate(
        [
            "n/a",
            [],
            None,
            {"prompt_tokens": -1},
            {"prompt_tokens": "9"},
            {"prompt_tokens": True},
            {"completion_tokens": []},
        ]
    ):
        reply = ask(said({"content": "a"}, usage=usage), tmp_path / str(number))
        assert (reply.prompt_tokens, reply.completion_tokens) == (0, 0)
    body = (
        '{"choices": [{"message": {"content": "a"}}], "usage": {"prompt_tokens": 1e999, "completion_tokens": %s}}'
    )
    for number, digits in enumerate(["1e999", "9" * 5000, "-1e999", "10000000000000"]):
        assert ask(body % digits, tmp_path / f"x{number}").completion_tokens == 0
    assert ask('{"choices": [{"message": {"content": "a"}}], "usage": 1e999}').content == "a"
    assert ask(said({"content": "a"}, usage={"prompt_tokens": 3.0, "completion_tokens": 2})).prompt_tokens == 3


def test_ids_are_handed_on_whole_or_not_at_all(tmp_path: Path) -> None:
    for number, (ids, kept) in enumerate(
        [([1, 2], (1, 2)), (None, None), ([], None), ([1, -2], None), (["1"], None), ("12", None), ([1.0], None)]
    ):
        body = {"choices": [{"message": {"content": "a"}, "token_ids": ids}]}
        assert ask(body, tmp_path / str(number)).token_ids == kept


BROKEN = [
    said({"content": {"type": "text", "text": "a"}}),
    said({"content": 5}),
    said({"content": [{"type": "image_url"}]}),
    said({"content": [{"type": "tool_use", "name": "finish"}]}),
    said({"content": [5]}),
    said({"content": "a", "reasoning": {"text": "b"}}),
    said("a"),
    said(None),
    {"choices": ["a"]},
    {"choices": {"message": {}}},
    call(arguments="{}"),
    call(name=None, arguments="{}"),
    call(name=7, arguments="{}"),
    said({"content": None, "tool_calls": {"function": {"name": "finish"}}}),
    said({"content": None, "tool_calls": ["finish"]}),
    said({"content": None, "tool_calls": [{"type": "custom", "custom": {"name": "finish", "input": ""}}]}),
    said({"content": None, "function_call": "finish"}),
    {"choices": [{"message": {"content": "a"}, "finish_reason": "abort"}]},
    '{"choices": [' + "[" * 2000,
    '{"choices": "' + "\x00",
]


@pytest.mark.parametrize("body", BROKEN)
def test_what_holds_no_reply_is_asked_for_again_then_a_fault_of_this_request(tmp_path: Path, body: Any) -> None:
    with pytest.raises(BrokenReplyError, match=r"^[^\n]*\(2 attempts\)[^\n]*$"):
        ask(body, tmp_path / "j")
    assert (tmp_path / "j").read_bytes() == b""


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        ({"code": 502, "message": "upstream"}, BrokenReplyError),
        ({"message": "upstream"}, BrokenReplyError),
        ("upstream", BrokenReplyError),
        ({"code": 429, "message": "slow down"}, RetriesExhaustedError),
        ({"code": 401, "message": "who are you"}, KeyRefusedError),
        ({"code": 402, "message": "no"}, NoCreditError),
        ({"code": 400, "message": "prompt is too long: 9 tokens > 8 maximum"}, ContextTooLongError),
        ({"code": 400, "message": "what is that"}, RequestRefusedError),
    ],
)
def test_an_error_in_a_body_of_status_200_is_that_error(error: Any, fault: type[ServingError]) -> None:
    for body in ({"error": error}, {"choices": [{"error": error, "message": {"content": ""}}]}):
        with pytest.raises(ServingError) as caught:
            ask(body)
        assert type(caught.value) is fault and "Traceback" not in str(caught.value)


@pytest.mark.parametrize(
    "words",
    [
        "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens",
        "The input token count (2800010) exceeds the maximum number of tokens allowed (1048575).",
        "The input token count exceeds the maximum number of tokens allowed (1048576).",
        "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens",
        "Input validation error: `inputs` must have less than 1024 tokens. Given: 1535",
        "the request exceeds the available context size, try increasing it",
        '{"code": 400, "message": "no", "type": "exceed_context_size_error", "n_ctx": 4096}',
        "the input length exceeds the context length",
        "prompt too long; exceeded max context length by 3 tokens",
        "prompt is too long: 213462 tokens > 200000 maximum",
        "input length and `max_tokens` exceed context limit: 195000 + 8192 > 200000",
        "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
        "Input is too long for requested model.",
        "Too many input tokens",
        "The input (250000 tokens) is longer than the model's context length (200000 tokens).",
        "Requested token count exceeds the model's maximum context length of 8192 tokens",
        "This model's maximum prompt length is 131072 but the request contains 537812 tokens",
        "Please reduce the length of the messages or completion",
        "Trying to keep the first 111490 tokens when context the overflows. However, the model is loaded with",
        "Input tokens exceed the configured limit of 272000 tokens.",
        "Your request exceeded model token limit: 131072",
        "Range of input length should be [1, 129024]",
        "invalid params, context window exceeds limit",
        "prompt token count of 200000 exceeds the limit of 128000",
        "The total length of all messages is too long.",
    ],
)
def test_servers_say_in_many_words_that_a_conversation_is_too_long(words: str) -> None:
    body = words if words.startswith("{") else {"error": {"message": words}}
    for status in (400, 422, 500):
        with pytest.raises(ContextTooLongError):
            ask(body, status=status)


@pytest.mark.parametrize(
    ("status", "words", "fault"),
    [
        (402, "Payment Required", NoCreditError),
        (400, "Your credit balance is too low to access the Anthropic API.", NoCreditError),
        (
            429,
            '{"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}',
            NoCreditError,
        ),
        (403, "Insufficient Balance", NoCreditError),
        (403, "requires moderation. Your input was flagged for violence", ContentFilteredError),
        (400, "The response was filtered due to Azure OpenAI's content management policy", ContentFilteredError),
        (413, "Request Entity Too Large", ContextTooLongError),
        (
            413,
            "Request too large for model on tokens per minute (TPM): Limit 6000, Requested 7000",
            RequestRefusedError,
        ),
        (429, "Rate limit reached: too many tokens per minute", RetriesExhaustedError),
        (429, "too many tokens", RetriesExhaustedError),
        (404, '{"error": {"message": "No endpoints found that support tool use"}}', RequestRefusedError),
    ],
)
def test_words_tell_more_than_the_status(status: int, words: str, fault: type[ServingError]) -> None:
    with pytest.raises(ServingError) as caught:
        ask(words, status=status)
    assert type(caught.value) is fault


def test_what_a_filter_took_away_is_no_turn() -> None:
    with pytest.raises(ContentFilteredError, match="took the answer away"):
        ask({"choices": [{"message": {"content": "Take a "}, "finish_reason": "content_filter"}]})
    with pytest.raises(ContextTooLongError, match="fills the model's window"):
        ask({"choices": [{"message": {"content": ""}, "finish_reason": "model_context_window_exceeded"}]})


@pytest.mark.parametrize(
    "wait",
    ["²", "-5", "1e999", "", "soon", "Wed, 21 Oct 2015 07:28:00 GMT", "Mon, 01 Jan 99999 00:00:00 GMT", "1_0"],
)
def test_a_wait_that_is_none_is_waited_as_usual(wait: str) -> None:
    acts = [Act(429, "{}", headers={"Retry-After": wait.encode().decode("latin-1")})]
    with (
        ChatServer(lambda _: acts.pop() if acts else "fine") as server,
        ChatClient(settings(server)) as chat,
    ):
        assert chat.ask(HELLO).content == "fine"


def test_a_wait_of_ages_is_too_long() -> None:
    with pytest.raises(RetriesExhaustedError, match="asks to wait 1000000000 s"):
        ask("{}", status=503, **{"Retry-After": "9" * 400})


@pytest.mark.parametrize("key", ["sk-ü", "sk-\nX-Evil: 1", "sk- 7f3a", "sk-\x00", "sk-€"])
def test_a_key_that_no_header_can_hold_is_refused_and_not_shown(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from pydantic import SecretStr

    with ChatServer(lambda _: "fine") as server:
        with pytest.raises(KeyRefusedError, match=r"^the key for http[^\n]*$") as caught:
            ChatClient(settings(server), key=SecretStr(key))
        assert key not in str(caught.value)
        if "\x00" not in key:
            monkeypatch.setenv("SOME_KEY", key)
            with pytest.raises(KeyRefusedError, match="the key in SOME_KEY for http"):
                ChatClient(settings(server, api_key="SOME_KEY"))


def test_a_word_that_serves_as_a_key_is_not_struck_out_of_replies() -> None:
    from pydantic import SecretStr

    with (
        ChatServer(lambda _: "EMPTY folders") as server,
        ChatClient(settings(server), key=SecretStr("EMPTY")) as chat,
    ):
        assert chat.ask(HELLO).content == "EMPTY folders"


def test_a_model_that_has_answered_is_served_whatever_the_list_calls_it() -> None:
    acts: list[Any] = ["fine", Act(400, '{"error": {"message": "a bad case"}}')]
    with ChatServer(lambda _: acts.pop(0), model="models/other") as server, ChatClient(settings(server)) as chat:
        assert chat.ask(HELLO).content == "fine"
        with pytest.raises(RequestRefusedError, match="a bad case"):
            chat.ask(HELLO)
    refusal = Act(400, '{"error": {"message": "a bad case"}}')
    with (
        ChatServer(lambda _: refusal, model="models/tiny") as server,
        ChatClient(settings(server)) as chat,
        pytest.raises(RequestRefusedError, match="a bad case"),
    ):
        chat.ask(HELLO)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (
            '{"key": "k", "reply": {"content": ["a"], "tool_calls": []}}',
            "field content: input should be a valid string",
        ),
        ('{"key": "k", "reply": {"content": "a"}}', "field tool_calls: field required"),
        ('{"key": "k", "reply": {"text": "a"}}', "field content: field required"),
        ('{"key": "k", "reply": "a"}', "another version may have written it"),
        ('{"key": "k"}', "no field reply"),
        ('["k"]', "no JSON object"),
        ('{"key": "k", "rep', "not JSON"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_a_line_that_cannot_be_read_is_named_with_what_to_do(tmp_path: Path, line: str, what: str) -> None:
    path = tmp_path / "j"
    ask(said({"content": "a"}), path)
    path.write_text(f"{path.read_text()}{line}\n{path.read_text()}")
    with pytest.raises(
        JournalError, match=r"/j, line 2: expected a reply, found .*; remove the line, or"
    ) as caught:
        ask(said({"content": "a"}), path)
    assert what in str(caught.value) and "\n" not in str(caught.value)


def test_entries_of_the_version_before_are_read(tmp_path: Path) -> None:
    path = tmp_path / "j"
    ask(said({"content": "a"}), path)
    entry = json.loads(path.read_text())
    del entry["reply"]["token_ids"]
    path.write_text(json.dumps(entry) + "\n")
    with ChatServer(lambda _: Act(500, "{}")) as server, ChatClient(settings(server), path) as chat:
        assert chat.ask(HELLO).content == "a"


def test_a_line_that_could_not_be_written_whole_leaves_the_journal_as_it_was(tmp_path: Path) -> None:
    """A file may be as large as the limit of the process allows: the same as a full disk."""
    import resource
    import signal

    from persistence_pipeline.llm_client.journal import Journal

    path = tmp_path / "j"
    with Journal(path, dict) as journal:
        journal.put("a", {"content": "one"})
        whole = path.read_bytes()
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 20, hard))
            with pytest.raises(OSError, match="File too large"):
                journal.put("b", {"content": "two" * 20})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, before)
        assert path.read_bytes() == whole
        journal.put("c", {"content": "three"})
    with Journal(path, dict) as journal:
        assert (journal.get("a"), journal.get("b"), journal.get("c")) == (
            {"content": "one"},
            None,
            {"content": "three"},
        )
