"""What models, judges and users write: every text is either read or refused with the parser's own fault."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from fuzzing import examples
from persistence_pipeline.agents.calls import parse_arguments
from persistence_pipeline.agents.chat import break_up
from persistence_pipeline.agents.compact import END, SPECIAL_TOKENS, ParseError, parse_call
from persistence_pipeline.agents.families import MODEL_FAMILIES, control_pattern
from persistence_pipeline.judging.parsing import LEVELS, read_verdict
from persistence_pipeline.llm_client import ChatReply
from persistence_pipeline.llm_client.answers import json_object
from persistence_pipeline.records import Message, ToolCall
from persistence_pipeline.study.policies import StudyError, parse_policies
from persistence_pipeline.study.spec import expand, load_spec
from persistence_pipeline.world.domains import DOMAINS
from persistence_pipeline.world.tools import ASK_USER, FINISH
from real_shapes import bpe_tokenizer

Tried = Callable[[], None]
TOOLS = {tool.name: tool for domain in DOMAINS.values() for tool in domain.tools}
TOOLS |= {tool.name: tool for tool in (ASK_USER, FINISH)}
PIECES = st.sampled_from(
    [
        *sorted(TOOLS),
        *SPECIAL_TOKENS,
        *('{"name": "x"', "<tool_call>", "</tool_call>", "<think>", "</think>", '"arguments": {'),
        *('"score": 2', '{"score": 3, "reason": "r"}', "}", "}}", "[", "```", "0", "-1", "9" * 5_000),
        *("1e999", "NaN", "m1", "\ud800", "\x00", "٣"),
    ]
)
TEXT = st.one_of(
    st.text(max_size=60),
    st.lists(st.one_of(PIECES, st.text(max_size=5)), max_size=9).map(" ".join),
    st.lists(st.one_of(PIECES, st.text(max_size=5)), max_size=9).map("".join),
    st.integers(900, 200_000).map(lambda depth: "[" * depth),
    st.integers(900, 200_000).map(lambda depth: '{"a":' * depth),
)
SAFE_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)
JSON = st.recursive(
    st.one_of(SAFE_TEXT, st.integers(-(10**6), 10**6), st.booleans(), st.none(), st.floats(-1e6, 1e6)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SAFE_TEXT, inner, max_size=3),
    max_leaves=6,
)


@examples
@given(text=TEXT)
def test_a_compact_turn_is_a_call_that_fits_its_tool_or_a_fault(tried: Tried, text: str) -> None:
    tried()
    try:
        call = parse_call(text, TOOLS)
    except ParseError:
        return
    TOOLS[call.name].check(call.arguments)
    again = " ".join([call.name, *map(str, call.arguments.values())])
    assert parse_call(again, TOOLS) == call


@examples
@given(name=st.sampled_from(sorted(MODEL_FAMILIES)), text=TEXT)
def test_a_turn_of_a_family_is_a_call_or_a_fault(tried: Tried, name: str, text: str) -> None:
    tried()
    family = MODEL_FAMILIES[name]
    for question in (family.calls.attempted, family.calls.has_ended, family.calls.up_to_first):
        question(text)  # total
    broken = break_up(text, control_pattern())
    assert break_up(broken, control_pattern()) == broken
    for parse in (family.calls.parse, parse_arguments):
        with suppress(ParseError):
            parse(text)


@pytest.fixture(scope="module")
def tokenizers() -> dict[str, Any]:
    """A tokenizer of each family with the family's template."""
    from persistence_pipeline.agents.families import use_family

    made = {name: bpe_tokenizer(name, ["a text"]) for name in MODEL_FAMILIES}
    for name, tokenizer in made.items():
        use_family(tokenizer, MODEL_FAMILIES[name])
    return made


@examples
@given(
    family_name=st.sampled_from(sorted(MODEL_FAMILIES)),
    tool=st.from_regex(r"[a-z_]{1,12}", fullmatch=True),
    arguments=st.dictionaries(SAFE_TEXT, JSON, max_size=3),
)
def test_a_rendered_call_parses_as_itself(
    tried: Tried, tokenizers: dict[str, Any], family_name: str, tool: str, arguments: dict[str, Any]
) -> None:
    from persistence_pipeline.agents.chat import control_tokens, to_template_messages

    tried()
    family, tokenizer = MODEL_FAMILIES[family_name], tokenizers[family_name]
    call = ToolCall(name=tool, arguments=arguments)
    ask, turn = Message(role="user", content="go"), Message(role="assistant", tool_calls=(call,))
    texts = [
        tokenizer.apply_chat_template(
            to_template_messages(messages, tokenizer), tokenize=False, add_generation_prompt=prompt
        )
        for messages, prompt in (([ask], True), ([ask, turn], False))
    ]
    assert texts[1].startswith(texts[0])
    written = texts[1][len(texts[0]) :].removesuffix("\n").removesuffix(family.end)
    parsed = family.calls.parse(written)[1]
    spelt = json.dumps(arguments, ensure_ascii=False)
    assert parsed.name == call.name
    assert parsed == call or break_up(spelt, control_tokens(tokenizer)) != spelt, (
        "only control tokens are broken up"
    )


@examples
@given(text=TEXT, finish=st.sampled_from(["stop", "length", ""]))
def test_a_judge_s_answer_is_a_score_or_a_reason_why_not(tried: Tried, text: str, finish: str) -> None:
    tried()
    verdict = read_verdict(ChatReply(text, (), finish, 1, 1))
    assert (verdict.score is None) == (verdict.missing_reason is not None)
    if verdict.score is not None:
        assert type(verdict.score) is int and 0 <= verdict.score < LEVELS
        assert json_object(text) is not None


@examples
@example(score=0, reason="</think>", thoughts="hm</think>\n")
@given(score=st.integers(0, LEVELS - 1), reason=SAFE_TEXT, thoughts=st.sampled_from(["", "hm</think>\n"]))
def test_a_well_formed_verdict_is_read(tried: Tried, score: int, reason: str, thoughts: str) -> None:
    tried()
    body = json.dumps({"score": score, "reason": reason})
    for text in (thoughts + body, f"{thoughts}```json\n{body}\n```"):
        verdict = read_verdict(ChatReply(text, (), "stop", 1, 1))
        assert (verdict.score, verdict.reason) == (score, reason)


SPEC_KEYS = st.sampled_from(["sources", "orderings", "factors", "beta", "lora.r", "seeds", "extra", "objectives"])
SPEC_VALUES = st.recursive(
    st.one_of(
        st.sampled_from(["llama", "gpt2", "both", "safety", "safety>helpfulness", "previous", "sigmoid", "../x"]),
        st.sampled_from([0, 1, -1, 0.1, 1e9, float("nan"), float("inf"), None, True, 10**30]),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SPEC_KEYS, inner, max_size=3),
    max_leaves=5,
)
SPEC_TEXTS = st.one_of(
    st.dictionaries(SPEC_KEYS, SPEC_VALUES, max_size=6).map(yaml.safe_dump),
    st.text(max_size=40),
    st.lists(PIECES, max_size=6).map(" ".join),
    st.sampled_from(["!!python/object/apply:os.system ['touch pwned']", "a: &a [*a]", "- [x", "\t- x"]),
    st.sampled_from(["a: 2026-02-31", "seeds: [" * 500, "factors: 0x_", "? [a]\n: b", "a: !!binary '?'"]),
)


@examples
@given(spec=SPEC_TEXTS)
def test_a_study_spec_expands_or_is_refused(
    tried: Tried, tmp_path_factory: pytest.TempPathFactory, spec: str
) -> None:
    tried()
    path = tmp_path_factory.getbasetemp() / "study.yml"
    path.write_bytes(spec.encode("utf-8", "surrogatepass"))
    try:
        policies = expand(load_spec(path), {"llama", "gpt2"})
    except StudyError as error:
        assert str(error)
        return
    for name, policy in policies.items():
        assert policy.parent is None or policy.parent in policies
        assert "/" not in name and not name.startswith(".")


@examples
@given(table=st.dictionaries(st.sampled_from(["a", "b", "../c"]), SPEC_VALUES, max_size=3))
def test_a_table_of_policies_is_read_or_refused(tried: Tried, table: dict[str, Any]) -> None:
    tried()
    try:
        parse_policies(table)
    except StudyError as error:
        assert str(error)


def test_nothing_was_executed() -> None:
    assert not Path("pwned").exists()
    assert END in SPECIAL_TOKENS
