"""Families of real models: how each writes tools, calls and observations, and where an agent's turn ends.

A family's chat template (``templates/<family>.jinja``) writes what the family's own template writes, with markers
around what the agent wrote, and never writes earlier turns differently when later ones follow. Its first line
names the family, so a checkpoint saved with it says how it is spoken to. ``parse`` is the strict inverse of a
rendered turn: what is not exactly one call is an invalid call, and nothing is guessed or repaired.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal

from persistence_pipeline.agents.chat import TemplateError, without_control_tokens
from persistence_pipeline.agents.compact import ParseError
from persistence_pipeline.json_values import JsonError, is_text, strict_json
from persistence_pipeline.records import Message, ToolCall

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

FamilyName = Literal["qwen2_5", "qwen3", "llama3_1", "phi4"]
_NAMED = re.compile(r"\{#- dialect: (\w+) -#\}")
_TAGGED = re.compile(r"(?P<text>.*?)<tool_call>\s*(?P<call>\{.*\})\s*</tool_call>\s*", re.DOTALL)
_BARE = re.compile(r"(?P<text>.*?)(?P<call>^\s*\{.*\})\s*", re.DOTALL | re.MULTILINE)
_BARE_START = re.compile(r"^\s*\{", re.MULTILINE)
_SPECIAL = re.compile(r"<\|[^<>|\s]*\|>")
CONTROL_TOKENS = re.compile(_SPECIAL.pattern + r"|</?(?:tool_call|tool_response|tools|think)>")


@dataclass(frozen=True)
class ModelFamily:
    """The control tokens, call format and parser that models of one family share."""

    name: FamilyName
    model_types: tuple[str, ...]
    """``model_type`` of their configurations; ``control_tokens`` tell families of one architecture apart."""
    control_tokens: tuple[str, ...]
    """Each must be one token of the tokenizer."""
    end: str
    """Ends a turn."""
    pad: str
    """Serves for padding where the tokenizer names no token for it."""
    tagged: bool = True
    """Whether a call stands between ``<tool_call>`` tags; else it begins a line. Text may stand before it."""
    arguments: str = "arguments"
    """Key of a call's arguments."""
    further_ends: tuple[str, ...] = ("<|endoftext|>",)
    """Tokens that end a turn too where a model writes them."""

    def chat_template(self) -> str:
        """Text of the family's chat template, with generation markers."""
        return (files(__package__) / "templates" / f"{self.name}.jinja").read_text(encoding="utf-8")

    def parse(self, turn: str) -> tuple[str, ToolCall]:
        """Parse a turn, without its end token, into the text before its call, and the call.

        Raises:
            ParseError: the turn is not exactly one call.
        """
        match = (_TAGGED if self.tagged else _BARE).fullmatch(turn)
        if match is None:
            where = (
                "between <tool_call> and </tool_call>"
                if self.tagged
                else "as one JSON object on a line of its own"
            )
            raise ParseError(f"expected one call {where}")
        return match["text"].removesuffix("\n"), _call(match["call"], self.arguments)

    def attempts_call(self, turn: str) -> bool:
        """True if the turn holds the beginning of a call."""
        return ("<tool_call>" if self.tagged else "{") in turn

    def up_to_first_call(self, text: str) -> str:
        """The text to the end of its first call: a server may have written on."""
        if not self.tagged:
            first = _BARE_START.search(text)
            try:
                return text[: json.JSONDecoder().raw_decode(text, first.end() - 1)[1]] if first else text
            except (ValueError, RecursionError):
                return text
        before, tag, _ = text.partition("</tool_call>")
        return before + tag

    def call_has_ended(self, turn: str) -> bool:
        """True if the turn so far ends with a call, well-formed or not: nothing that follows is the agent's."""
        written = turn.rstrip()
        if self.tagged:
            return written.endswith("</tool_call>")
        match = _BARE.fullmatch(written)
        try:
            return match is not None and isinstance(json.loads(match["call"]), dict)
        except (ValueError, RecursionError):
            return False


_IM = ("<|im_start|>", "<|im_end|>")
MODEL_FAMILIES: dict[str, ModelFamily] = {
    family.name: family
    for family in (
        ModelFamily("qwen2_5", ("qwen2", "qwen2_moe"), (*_IM, "<tool_call>"), "<|im_end|>", "<|endoftext|>"),
        ModelFamily("qwen3", ("qwen3", "qwen3_moe"), (*_IM, "<think>", "</think>"), "<|im_end|>", "<|endoftext|>"),
        ModelFamily(
            "llama3_1",
            ("llama",),
            ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
            "<|eot_id|>",
            "<|finetune_right_pad_id|>",
            tagged=False,
            arguments="parameters",
            further_ends=("<|eom_id|>", "<|end_of_text|>"),
        ),
        ModelFamily("phi4", ("phi3",), (*_IM, "<|im_sep|>"), "<|im_end|>", "<|endoftext|>"),
    )
}


def find_family(model_type: str, tokenizer: PreTrainedTokenizerBase) -> ModelFamily:
    """The family of a model, from its configuration and its tokenizer's control tokens.

    Raises:
        TemplateError: none fits; says which there are and what can be done.
    """
    fitting = [f for f in MODEL_FAMILIES.values() if model_type in f.model_types and not _missing(f, tokenizer)]
    if fitting:
        return fitting[0]
    name = getattr(tokenizer, "name_or_path", "") or "the tokenizer"
    raise TemplateError(
        f"{name}: no known family fits model_type {model_type!r} with these control tokens: give the source one "
        f"of the families {', '.join(MODEL_FAMILIES)} whose control tokens its tokenizer has, or add a family: "
        "a chat template with {% generation %} markers around what the assistant writes, and how its calls are "
        "parsed"
    )


def use_family(tokenizer: PreTrainedTokenizerBase, family: ModelFamily) -> None:
    """Give a tokenizer the family's chat template, its end of a turn, and a token for padding.

    Raises:
        TemplateError: a control token of the family is not one token of the tokenizer.
    """
    missing = _missing(family, tokenizer)
    if missing:
        raise TemplateError(
            f"family {family.name} needs {', '.join(missing)} as single tokens, which the tokenizer lacks"
        )
    tokenizer.chat_template = family.chat_template()
    tokenizer.eos_token = family.end
    if tokenizer.pad_token is None:
        tokenizer.pad_token = family.pad if family.pad in tokenizer.get_vocab() else family.end


def recorded_family(tokenizer: PreTrainedTokenizerBase) -> ModelFamily | None:
    """The family that a checkpoint's chat template names; None where it names none."""
    template = tokenizer.chat_template
    match = _NAMED.match(template) if isinstance(template, str) else None
    if match is None:
        return None
    if match[1] not in MODEL_FAMILIES:
        raise TemplateError(f"the chat template names the family {match[1]!r}; known: {', '.join(MODEL_FAMILIES)}")
    return MODEL_FAMILIES[match[1]]


def made_safe(message: Message) -> Message:
    """The message for a server that renders it: without control tokens of any family where nobody may write one.

    That is in what users and tools say, and in the names and arguments of calls, where JSON escapes may have
    spelled them. In what an agent says the tags of its family stay.
    """
    return without_control_tokens(message, CONTROL_TOKENS, _SPECIAL)


def read_call(name: str, arguments: str) -> ToolCall:
    """A call as servers hand it over.

    Raises:
        ParseError: the arguments are not one JSON object that can be kept, or the name is no text.
    """
    if not is_text(name):
        raise ParseError("half of a surrogate pair in the name of a call")
    return ToolCall(name=name, arguments=parse_arguments(arguments))


def parse_arguments(text: str) -> dict[str, Any]:
    """Arguments of a call as servers write them.

    Raises:
        ParseError: the text is not one JSON object.
    """
    value = _value(text)
    if not isinstance(value, dict):
        raise ParseError("expected an object of arguments")
    return value


def _missing(family: ModelFamily, tokenizer: PreTrainedTokenizerBase) -> Sequence[str]:
    vocabulary = tokenizer.get_vocab()
    return [token for token in family.control_tokens if token not in vocabulary]


def _value(text: str) -> Any:
    try:
        return strict_json(text)
    except JsonError as fault:
        raise ParseError(f"the call is not JSON that can be kept: {fault}") from None


def _call(text: str, arguments: str) -> ToolCall:
    value = _value(text)
    if not isinstance(value, dict) or set(value) != {"name", arguments}:
        raise ParseError(f"expected a JSON object of name and {arguments}")
    if not isinstance(value["name"], str) or not isinstance(value[arguments], dict):
        raise ParseError(f"expected a text as name and an object as {arguments}")
    return ToolCall(name=value["name"], arguments=value[arguments])
