"""A short conversation that a family has to render and read back before a model is used as one of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from persistence_pipeline.agents.chat import TemplateError
from persistence_pipeline.agents.compact import ParseError
from persistence_pipeline.agents.families import ModelFamily
from persistence_pipeline.agents.transcript import Transcript
from persistence_pipeline.records import Message, ToolCall

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_CALL = ToolCall(name="look", arguments={"thing": 'a "b"', "times": 2})
_ACT = Message(role="assistant", tool_calls=(_CALL,))
_SEEN = Message(role="tool", name="look", content="seen")
_PROMPT = (Message(role="system", content="Act."), Message(role="user", content="Look."))
_SCHEMA = {"type": "object", "properties": {"thing": {"type": "string"}, "times": {"type": "integer"}}}
_TOOLS = ({"type": "function", "function": {"name": "look", "description": "Look.", "parameters": _SCHEMA}},)


def require_readable(tokenizer: PreTrainedTokenizerBase, family: ModelFamily) -> None:
    """See that a tokenizer with the family's template writes calls that the family's parser reads.

    Raises:
        TemplateError: it does not, its turns do not end with the family's end, or what stands before a turn
            changes with what follows.
    """
    from jinja2 import TemplateError as JinjaError

    try:
        transcript = Transcript(tokenizer)
        prompt, turn = transcript.prompt(_PROMPT, _TOOLS), transcript.turn(_ACT)
        (whole,) = transcript.encode([[*_PROMPT, _ACT, _SEEN, _ACT]], _TOOLS)
        observation = transcript.observation(_SEEN)
    except (JinjaError, TypeError, TemplateError) as fault:
        raise TemplateError(f"the chat template of family {family.name}: {' '.join(str(fault).split())}") from None
    text = str(tokenizer.decode(turn, skip_special_tokens=False, clean_up_tokenization_spaces=False))
    written = text.rstrip().removesuffix(family.end)
    try:
        read: object = family.calls.parse(written) if written != text.rstrip() else f"no {family.end} at its end"
    except ParseError as fault:
        read = str(fault)
    if read != ("", _CALL):
        raise TemplateError(
            f"family {family.name}: the template writes a call as {text!r}, of which is read: {read}"
        )
    if whole.ids[: len(prompt) + len(turn) + len(observation)] != [*prompt, *turn, *observation]:
        raise TemplateError(
            f"the chat template of family {family.name} writes a turn, or what is before it, in another way when "
            "others follow"
        )
