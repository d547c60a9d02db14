"""Rows of training data: the tokens of the whole conversation, scored where the agent wrote them."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persistence_pipeline.agents.chat import TemplateError
from persistence_pipeline.agents.transcript import encode_conversation
from persistence_pipeline.records import Message
from persistence_pipeline.training.encoding import RenderedTurnsError, Row, encode_pairs
from tiny import TEMPLATE, WORDS, call, make_pair, make_pairs, tool

PROMPT = [Message(role="user", content="please delete f1")]
TEXT = st.lists(st.sampled_from([*WORDS, "<|assistant|>", "<|end|>", "unheard-of"]), max_size=6).map(" ".join)


def _scored(tokenizer: Any, row: Row, side: str) -> list[str]:
    pairs = zip(row[f"{side}_ids"], row[f"{side}_mask"], strict=True)
    return tokenizer.convert_ids_to_tokens([token for token, mine in pairs if mine])


@given(observation=TEXT)
@settings(max_examples=50, deadline=None)
def test_no_observation_changes_what_is_scored(tiny_tokenizer: Any, observation: str) -> None:
    pair = make_pair(PROMPT, [call("read", "f1"), tool(observation), call("finish")], [call("delete", "f1")])
    (row,), _ = encode_pairs([pair], tiny_tokenizer, 64, rendered_turns=True)
    assert _scored(tiny_tokenizer, row, "chosen") == ["read", "f1", "<|end|>", "finish", "<|end|>"]
    assert _scored(tiny_tokenizer, row, "rejected") == ["delete", "f1", "<|end|>"]


def test_a_row_is_the_whole_conversation(tiny_tokenizer: Any) -> None:
    pairs = make_pairs(20)
    rows, n_cut = encode_pairs(pairs, tiny_tokenizer, 128, rendered_turns=True)
    assert n_cut == 0
    for pair, row in zip(pairs, rows, strict=True):
        for side in ("chosen", "rejected"):
            ids, _ = encode_conversation(tiny_tokenizer, [*pair.prompt, *getattr(pair, side)])
            assert row["prompt_ids"] + row[f"{side}_ids"] == ids


def test_turns_of_the_agent_within_the_prompt_are_not_scored(tiny_tokenizer: Any) -> None:
    prompt = [*PROMPT, call("read", "f1"), tool("f1 shared")]
    (row,), _ = encode_pairs(
        [make_pair(prompt, [call("finish")], [call("delete", "f1")])], tiny_tokenizer, 64, rendered_turns=True
    )
    assert _scored(tiny_tokenizer, row, "chosen") == ["finish", "<|end|>"]
    assert tiny_tokenizer.decode(row["prompt_ids"]).endswith("<|tool|> f1 shared <|end|> <|assistant|>")


def test_what_is_cut_is_counted_once_a_trajectory(tiny_tokenizer: Any) -> None:
    long = [call("read", "f1"), tool("f1 shared"), call("finish")]
    pairs = [make_pair(PROMPT, long, [call("delete", f"f{i}")], name=f"p{i}") for i in (1, 2)]
    rows, n_cut = encode_pairs(pairs, tiny_tokenizer, 12, rendered_turns=True)
    assert n_cut == 1
    assert all(len(row["prompt_ids"]) + len(row["chosen_ids"]) == row["length"] == 12 for row in rows)
    assert _scored(tiny_tokenizer, rows[0], "chosen") == ["read", "f1", "<|end|>"]


def test_a_pair_with_nothing_left_to_score_is_named(tiny_tokenizer: Any) -> None:
    with pytest.raises(ValueError, match=r"pair p7: nothing .* chosen .* max_length=5 .*prompt alone has 6"):
        encode_pairs(
            [make_pair(PROMPT, [call("finish")], [call("finish")], name="p7")],
            tiny_tokenizer,
            5,
            rendered_turns=True,
        )


def test_a_completion_that_begins_with_another_s_turn_is_refused(tiny_tokenizer: Any) -> None:
    pair = make_pair(PROMPT, [call("finish")], [tool("f1 shared"), call("finish")])
    with pytest.raises(
        TemplateError, match="pair p: the rejected completion does not begin with a turn of the agent"
    ):
        encode_pairs([pair], tiny_tokenizer, 64, rendered_turns=True)


def test_turns_without_their_tokens_are_refused_unless_asked_for(tiny_tokenizer: Any) -> None:
    pairs = make_pairs(3)
    with pytest.raises(
        RenderedTurnsError, match=r"of \d+ of \d+ turns, in 3 of 3 pairs.*training.safety.rendered_turns"
    ):
        encode_pairs(pairs, tiny_tokenizer, 64)


def test_a_template_that_changes_the_prompt_is_refused(tiny_tokenizer: Any) -> None:
    tokenizer = copy.deepcopy(tiny_tokenizer)
    tokenizer.chat_template = "{% if messages|length > 2 %}please {% endif %}" + TEMPLATE
    with pytest.raises(
        TemplateError, match=r"pair p: the chosen completion .* template renders the prompt differently"
    ):
        encode_pairs(
            [make_pair(PROMPT, [call("finish"), tool("x")], [call("delete", "f1")])],
            tokenizer,
            64,
            rendered_turns=True,
        )
