"""Chat templates: who wrote a token, and that untrusted text cannot pose as somebody else."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persistence_pipeline.agents.chat import (
    TemplateError,
    break_up,
    control_tokens,
    require_generation_markers,
    to_template_messages,
)
from persistence_pipeline.agents.tokenizer import tokenizer_identity
from persistence_pipeline.agents.transcript import encode_conversation, encode_conversations
from persistence_pipeline.records import Message, Sampled, ToolCall
from tiny import SPECIAL, TEMPLATE, call, tool

FULLWIDTH = str.maketrans({"<": "\uff1c", "|": "\uff5c", ">": "\uff1e"})
SPOOF = st.lists(
    st.sampled_from(
        [*SPECIAL, *(token.translate(FULLWIDTH) for token in SPECIAL), "<|", "|>", "<", "end", " ", "f1"]
    ),
    max_size=8,
).map("".join)


def _written(tokenizer: Any, ids: list[int], mask: list[int]) -> list[str]:
    return tokenizer.convert_ids_to_tokens([token for token, mine in zip(ids, mask, strict=True) if mine])


def test_the_mask_covers_exactly_what_the_agent_wrote(tiny_tokenizer: Any) -> None:
    messages = [
        Message(role="user", content="please delete f1"),
        call("read", "f1"),
        tool("f1 shared"),
        call("finish"),
    ]
    ids, mask = encode_conversation(tiny_tokenizer, messages)
    assert tiny_tokenizer.decode(ids) == (
        "<|user|> please delete f1 <|end|> <|assistant|> read f1 <|end|> "
        "<|tool|> f1 shared <|end|> <|assistant|> finish <|end|>"
    )
    assert _written(tiny_tokenizer, ids, mask) == ["read", "f1", "<|end|>", "finish", "<|end|>"]


@given(text=SPOOF)
@settings(max_examples=200, deadline=None)
def test_untrusted_text_never_becomes_a_control_token(tiny_tokenizer: Any, text: str) -> None:
    safe = break_up(text, control_tokens(tiny_tokenizer))
    assert not set(tiny_tokenizer.convert_ids_to_tokens(tiny_tokenizer(safe)["input_ids"])) & {
        token for token in SPECIAL if token != "<|unknown|>"
    }
    assert break_up(safe, control_tokens(tiny_tokenizer)) == safe


def test_text_that_a_tokenizer_folds_into_a_control_token_is_broken_up(tiny_tokenizer: Any) -> None:
    from tokenizers import AddedToken, normalizers

    tokenizer = copy.deepcopy(tiny_tokenizer)
    tokenizer.backend_tokenizer.normalizer = normalizers.NFKC()
    tokenizer.add_special_tokens({"additional_special_tokens": [AddedToken("<|call|>", normalized=True)]})
    spoof = "<|call|>".translate(FULLWIDTH)
    special = tokenizer.convert_tokens_to_ids("<|call|>")
    assert special in tokenizer(spoof)["input_ids"]
    assert special not in tokenizer(break_up(spoof, control_tokens(tokenizer)))["input_ids"]


@given(text=SPOOF, role=st.sampled_from(["user", "tool"]))
@settings(max_examples=100, deadline=None)
def test_an_observation_cannot_spoof_a_turn(tiny_tokenizer: Any, text: str, role: Any) -> None:
    messages = [Message(role=role, content=text), call("read", "f1"), tool(text), call("finish")]
    ids, mask = encode_conversation(tiny_tokenizer, messages)
    assert _written(tiny_tokenizer, ids, mask) == ["read", "f1", "<|end|>", "finish", "<|end|>"]
    assert tiny_tokenizer.convert_ids_to_tokens(ids).count("<|assistant|>") == 2


@given(text=st.text(alphabet="abc <>|{}%\n", max_size=30))
def test_harmless_text_is_left_alone(tiny_tokenizer: Any, text: str) -> None:
    assert break_up(text, control_tokens(tiny_tokenizer)) == text


def test_added_tokens_of_the_template_are_control_tokens_too(tiny_tokenizer: Any) -> None:
    tokenizer = copy.deepcopy(tiny_tokenizer)
    assert break_up("<call> x", control_tokens(tokenizer)) == "<call> x"
    tokenizer.add_tokens(["<call>", "<b>"])
    tokenizer.chat_template = TEMPLATE.replace("{{ c.function.name }}", "<call> {{ c.function.name }}")
    assert break_up("<call> <b>", control_tokens(tokenizer)) == "< call> <b>"


def test_a_rendered_turn_has_no_control_tokens_but_its_end(tiny_tokenizer: Any) -> None:
    """In names and arguments JSON escapes may spell one; in text it was sampled, and then its id is known."""
    turns = [
        Message(role="assistant", content="read <|user|> f1"),
        call("read<|tool|>", "<|end|>"),
        call("<|user|>"),
    ]
    for turn in turns:
        ids, mask = encode_conversation(tiny_tokenizer, [turn])
        special = [t for t in _written(tiny_tokenizer, ids, mask) if t in SPECIAL and t != "<|unknown|>"]
        assert special == ["<|end|>"] and mask[-1]


def test_control_tokens_in_nested_arguments_are_broken_up(tiny_tokenizer: Any) -> None:
    nested = ToolCall(name="x", arguments={"<|end|>": [{"a": "<|user|>"}, 1, None, True]})
    (message,) = to_template_messages([Message(role="assistant", tool_calls=(nested,))], tiny_tokenizer)
    assert message["tool_calls"][0]["function"]["arguments"] == {"< |end|>": [{"a": "< |user|>"}, 1, None, True]}


def test_sampled_control_tokens_are_scored_as_they_were_sampled(tiny_tokenizer: Any) -> None:
    ids = tuple(tiny_tokenizer.convert_tokens_to_ids(["read", "<|user|>", "f1"]))
    sampled = Sampled(ids=ids, tokenizer=tokenizer_identity(tiny_tokenizer))
    whole, mask = encode_conversation(
        tiny_tokenizer, [Message(role="assistant", content="read <|user|> f1", sampled=sampled)]
    )
    assert _written(tiny_tokenizer, whole, mask) == ["read", "<|user|>", "f1"]
    assert tiny_tokenizer.convert_ids_to_tokens(whole)[-1] == "<|end|>" and mask[-1] == 0


def test_arguments_of_calls_stay_dicts(tiny_tokenizer: Any) -> None:
    (message,) = to_template_messages([call("read", "f1")], tiny_tokenizer)
    assert message["tool_calls"] == [{"type": "function", "function": {"name": "read", "arguments": {"a0": "f1"}}}]


def test_a_batch_gives_what_single_conversations_give(tiny_tokenizer: Any) -> None:
    first, second = [call("read", "f1")], [Message(role="user", content="please"), call("finish")]
    assert encode_conversations(tiny_tokenizer, [first, second]) == [
        encode_conversation(tiny_tokenizer, first),
        encode_conversation(tiny_tokenizer, second),
    ]
    assert encode_conversations(tiny_tokenizer, []) == []


def test_tools_reach_the_template(tiny_tokenizer: Any) -> None:
    tokenizer = copy.deepcopy(tiny_tokenizer)
    tokenizer.chat_template = "{%- for t in tools or [] -%}{{ t.function.name }} {% endfor %}" + TEMPLATE
    schema = {"type": "function", "function": {"name": "read", "parameters": {}}}
    ids, mask = encode_conversation(tokenizer, [call("finish")], [schema])
    assert tokenizer.decode(ids).split() == ["read", "<|assistant|>", "finish", "<|end|>"]
    assert mask == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (None, "no chat template"),
        (TEMPLATE.replace("{% generation %}", "").replace("{% endgeneration %}", ""), "put {% generation %}"),
    ],
)
def test_a_template_without_markers_is_refused(tiny_tokenizer: Any, template: str | None, expected: str) -> None:
    tokenizer = copy.deepcopy(tiny_tokenizer)
    tokenizer.chat_template = template
    with pytest.raises(TemplateError, match=expected):
        require_generation_markers(tokenizer)
    with pytest.raises(TemplateError, match=expected):
        encode_conversation(tokenizer, [call("finish")])


def test_a_template_that_writes_half_a_turn_is_refused(tiny_tokenizer: Any) -> None:
    tokenizer = copy.deepcopy(tiny_tokenizer)
    one, two = call("read", "f1"), call("finish")
    several = one.model_copy(update={"tool_calls": (*one.tool_calls, *two.tool_calls)})
    beside = one.model_copy(update={"content": "please"})
    for turn in (several, beside):
        assert "f1" in tokenizer.decode(encode_conversation(tokenizer, [turn])[0])
    tokenizer.chat_template = TEMPLATE.replace("m.tool_calls or []", "(m.tool_calls or [])[:1]")
    with pytest.raises(TemplateError, match=r"only a part of a turn with 2 calls \(calls of read, finish\)"):
        encode_conversation(tokenizer, [several])
    tokenizer.chat_template = TEMPLATE.replace("if m.content", "if m.content and not m.tool_calls")
    with pytest.raises(TemplateError, match="only a part of a turn with 1 calls and text beside them"):
        encode_conversation(tokenizer, [beside])


def test_turns_that_are_not_marked_one_by_one_are_refused(tiny_tokenizer: Any) -> None:
    tokenizer = copy.deepcopy(tiny_tokenizer)
    tokenizer.chat_template = "{% generation %}a{% endgeneration %}" + TEMPLATE
    with pytest.raises(TemplateError, match="marks 2 turns of an agent in a conversation with 1"):
        encode_conversation(tokenizer, [call("finish")])


def test_markers_around_nothing_are_refused(tiny_tokenizer: Any) -> None:
    tokenizer = copy.deepcopy(tiny_tokenizer)
    tokenizer.chat_template = "{% generation %}{% endgeneration %}{% for m in messages %}finish {% endfor %}"
    with pytest.raises(TemplateError, match="marks no token"):
        encode_conversation(tokenizer, [call("finish")])
