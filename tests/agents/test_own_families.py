"""Families of a user: files beside a study, for models with the special tokens of Gemma and of Granite."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from persistence_pipeline.agents.chat import TemplateError
from persistence_pipeline.agents.families import family_of, read_family, recorded_family
from persistence_pipeline.agents.tokenizer import load_tokenizer
from persistence_pipeline.agents.transcript import Transcript
from persistence_pipeline.records import Message, ToolCall
from persistence_pipeline.rollout.run import RolloutSettings, roll_out
from persistence_pipeline.strict import SettingError, parse
from persistence_pipeline.training.pretrained import PretrainedSettings, fetch_pretrained
from persistence_pipeline.world.domains import DOMAINS
from persistence_pipeline.world.splits import WorldSettings, generate_cases
from real_shapes import byte_level, tiny_model

GEMMA = """
{%- for message in messages %}
    {%- if message.role == 'assistant' %}
        {{- '<start_of_turn>model\\n' }}
        {%- generation %}
            {{- message.content }}
            {%- for call in message.tool_calls or [] %}
                {{- '\\n' if message.content or not loop.first else '' }}
                {{- '{"name": "' + call.function.name + '", "args": ' + (call.function.arguments | tojson) + '}' }}
            {%- endfor %}
            {{- '<end_of_turn>' }}
        {%- endgeneration %}
        {{- '\\n' }}
    {%- else %}
        {{- '<start_of_turn>' + (family.observations if message.role == 'tool' else 'user') + '\\n' }}
        {{- message.content + '<end_of_turn>\\n' }}
    {%- endif %}
{%- endfor %}
{{- '<start_of_turn>model\\n' if add_generation_prompt else '' }}
"""
GRANITE = """
{%- for message in messages %}
    {{- '<|start_of_role|>' + message.role + '<|end_of_role|>' }}
    {%- if message.role == 'assistant' %}
        {%- generation %}
            {{- message.content }}
            {%- for call in message.tool_calls or [] %}
                {{- family.calls.tags[0] + '{"name": "' + call.function.name + '", "arguments": ' }}
                {{- (call.function.arguments | tojson) + '}' + family.calls.tags[1] }}
            {%- endfor %}
            {{- '<|end_of_text|>' }}
        {%- endgeneration %}
        {{- '\\n' }}
    {%- else %}
        {{- message.content }}
        {%- for tool in (tools or []) if message.role == 'system' %}
            {{- '\\n' + (tool | tojson) }}
        {%- endfor %}
        {{- '<|end_of_text|>\\n' }}
    {%- endif %}
{%- endfor %}
{{- '<|start_of_role|>assistant<|end_of_role|>' if add_generation_prompt else '' }}
"""
FAMILIES: dict[str, dict[str, Any]] = {
    "gemma": {
        "template": GEMMA,
        "model_types": ["gemma"],
        "control_tokens": ["<start_of_turn>", "<end_of_turn>"],
        "end": "<end_of_turn>",
        "further_ends": ["<eos>"],
        "pad": "<pad>",
        "calls": {"form": "alone", "arguments": "args"},
        "observations": "user",
    },
    "granite": {
        "template": GRANITE,
        "control_tokens": ["<|start_of_role|>", "<|end_of_role|>", "<|end_of_text|>"],
        "end": "<|end_of_text|>",
        "calls": {"form": "tagged", "tags": ["<|tool_call|>", "<|/tool_call|>"]},
    },
}
TOKENS = {"gemma": ("<eos>", "<bos>", "<pad>"), "granite": ("<|end_of_text|>", "<fim_prefix>", "<|tool_call|>")}
ARCHITECTURE = {"gemma": "mistral", "granite": "granite"}
TWINS = {"train": 1, "test_iid": 0, "test_combination": 0, "test_domain": 0}
CASES = generate_cases(WorldSettings(phrasing="natural", twins_per_group=TWINS), 0)[:2]
NAMES = st.from_regex(r"[a-z_]{1,12}", fullmatch=True)
VALUES = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text(), max_size=2)


def write(folder: Path, name: str, **changes: Any) -> Path:
    """The files of a family; ``changes`` replace fields."""
    fields = {**FAMILIES[name], **changes}
    (folder / f"{name}.jinja").write_text(str(fields.pop("template")))
    file = folder / f"{name}.yml"
    file.write_text(yaml.safe_dump({**fields, "template": f"{name}.jinja"}))
    return file


def save_model(folder: Path, name: str) -> Path:
    """A tiny model of another architecture than the family's, with the special tokens of the family's models."""
    tokens = [*TOKENS[name], *FAMILIES[name]["control_tokens"]]
    tokenizer = byte_level(tokens, [case.instruction for case in CASES])
    tiny_model(ARCHITECTURE[name], tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=list(FAMILIES))
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source of a user's family; the family's files are gone when it is used."""
    folder = tmp_path_factory.mktemp(request.param)
    there, file = save_model(folder / "hub", request.param), write(folder, request.param)
    fields = {"model": str(there), "family": str(file), "dtype": "float32"}
    made = fetch_pretrained(parse(PretrainedSettings, fields), folder / "scratch")
    file.unlink()
    (folder / f"{request.param}.jinja").unlink()
    return made


def test_a_checkpoint_says_by_itself_how_it_is_spoken_to(checkpoint: Path) -> None:
    settings = RolloutSettings(samples=1, max_turns=2, max_turn_tokens=16)
    played = roll_out(checkpoint, CASES, settings, policy="p", seed=0)
    family = recorded_family(load_tokenizer(checkpoint))
    assert family is not None and len(played) == len(CASES)
    assert {trajectory.flags["dialect"] for trajectory in played} == {family.name}


@settings(max_examples=60, deadline=None)
@given(name=NAMES, arguments=st.dictionaries(st.text(), VALUES, max_size=3))
def test_it_reads_the_calls_that_it_writes(checkpoint: Path, name: str, arguments: dict[str, Any]) -> None:
    """But for control tokens, which rendering breaks up."""
    from persistence_pipeline.agents.families import made_safe

    tokenizer = load_tokenizer(checkpoint)
    family = recorded_family(tokenizer)
    assert family is not None
    turn = Message(role="assistant", tool_calls=(ToolCall(name=name, arguments=arguments),))
    safe = made_safe(turn, family)
    text = tokenizer.decode(Transcript(tokenizer).turn(safe)).rstrip("\n").removesuffix(family.end)
    assert family.calls.parse(text) == ("", safe.tool_calls[0])
    assert family.calls.has_ended(text) and not family.calls.has_ended(text[:-1])


def test_signatures_name_tools_and_their_arguments(tmp_path: Path) -> None:
    """A family may name a template of the project's."""
    file = tmp_path / "mine.yml"
    file.write_text((Path(read_family.__code__.co_filename).parent / "templates/smollm2.yml").read_text())
    tokenizer = byte_level(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    from persistence_pipeline.agents.families import use_family

    use_family(tokenizer, read_family(file))
    tools = [tool.schema for tool in DOMAINS["files"].tools][:2]
    prompt = Transcript(tokenizer).prompt(
        [Message(role="system", content="Act."), Message(role="user", content="x")], tools
    )
    shown = "search_files(name), file_info(file)"
    assert tokenizer.decode(prompt).startswith(f"<|im_start|>system\n{shown}<|im_end|>\n<|im_start|>user\nx")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"template": "{{ messages[0].content }}"}, r"gemma\.jinja lacks generation markers"),
        ({"calls": {"form": "bare"}}, r"calls\.form: .*'tagged', 'line' or 'alone'.*'bare'"),
        ({"ends": "x"}, "ends: no such name; did you mean end?"),
        ({"control_tokens": "<bos>"}, r"control_tokens: .*list"),
    ],
)
def test_what_is_no_family_is_refused_where_it_is_named(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    file = write(tmp_path, "gemma", **changes)
    with pytest.raises(SettingError, match=rf"^family: family .*gemma\.yml: .*{said}[^\n]*$"):
        parse(PretrainedSettings, {"model": "m", "family": str(file)})


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("qwen2_6", r"no family is named 'qwen2_6'; did you mean qwen2_5\?"),
        ("there.yml", r"there\.yml: No such file"),
    ],
)
def test_a_name_that_is_none_is_refused(tmp_path: Path, named: str, said: str) -> None:
    with pytest.raises(TemplateError, match=said):
        family_of(named if named == "qwen2_6" else str(tmp_path / named))
    (tmp_path / "one.yml").write_text("template: gone.jinja")
    with pytest.raises(
        TemplateError, match=r"no file .*gone\.jinja; with the project come chatml\.jinja, llama3_1\.jinja"
    ):
        family_of(str(tmp_path / "one.yml"))


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('"args": ', '"arguments": ', "writes a call as .*expected a JSON object of name and args"),
        (
            "'<end_of_turn>' }}\n        {%- endgeneration",
            "'' }}\n        {%- endgeneration",
            "no <end_of_turn> at",
        ),
        (
            "{{- '<start_of_turn>model\\n' }}",
            "{{- '<start_of_turn>model\\n' if loop.last }}",
            "in another way when",
        ),
        ("{%- generation %}", "{%- generation %}{% if %}", "the chat template of family gemma: Expected an"),
    ],
)
def test_a_template_that_does_not_fit_its_parser_is_refused(
    tmp_path: Path, before: str, after: str, said: str
) -> None:
    assert before in GEMMA
    file = write(tmp_path, "gemma", template=GEMMA.replace(before, after))
    there = save_model(tmp_path / "hub", "gemma")
    with pytest.raises(TemplateError, match=said) as refused:
        fetch_pretrained(PretrainedSettings(model=str(there), family=str(file)), tmp_path / "scratch")
    assert "\n" not in str(refused.value)
