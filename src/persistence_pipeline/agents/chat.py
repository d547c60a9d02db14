"""Messages as chat templates take them, without control tokens where nobody may write one.

Works for any Hugging Face tokenizer whose template marks generations. Text from users and tools is untrusted:
control tokens in it are broken up before it is rendered, so it cannot pose as a turn of the agent. So are those in
the names and arguments of an agent's calls, where JSON escapes can spell one that was never sampled, and the
special tokens in what it says: where they were sampled as such, a record keeps them as ids (``transcript.py``).
Parsing an agent's turn does not live here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from persistence_pipeline.records import Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class TemplateError(ValueError):
    """A tokenizer's chat template cannot serve for training."""


def require_generation_markers(tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse a tokenizer whose template does not mark what the agent wrote.

    Raises:
        TemplateError: saying what has to be added.
    """
    template = tokenizer.chat_template
    name = getattr(tokenizer, "name_or_path", "") or "the tokenizer"
    if not isinstance(template, str):
        raise TemplateError(f"{name} has no chat template (expected one text, found {type(template).__name__})")
    if not re.search(r"{%-?\s*generation\s*-?%}", template):
        raise TemplateError(
            f"the chat template of {name} lacks generation markers: put {{% generation %}} and "
            "{% endgeneration %} around what the assistant writes (its tool calls, its text and its end-of-turn "
            "token), so that observations can be kept out of the loss"
        )


def break_up(text: str, control: re.Pattern[str]) -> str:
    """The text with every match of ``control``, in any Unicode form that folds into one, broken up by a space."""
    while control.search(text):
        text = control.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)
    folded = text if text.isascii() else unicodedata.normalize("NFKC", text)
    return break_up(folded, control) if control.search(folded) else text


def break_up_in(value: Any, control: re.Pattern[str]) -> Any:
    """A JSON value whose texts and keys are broken up as by ``break_up``."""
    if isinstance(value, str):
        return break_up(value, control)
    if isinstance(value, dict):
        return {break_up(key, control): break_up_in(item, control) for key, item in value.items()}
    return [break_up_in(item, control) for item in value] if isinstance(value, list) else value


def without_control_tokens(message: Message, control: re.Pattern[str], special: re.Pattern[str]) -> Message:
    """The message with control tokens broken up where nobody may write one: in all but what the system says.

    Args:
        message: Is left as it is.
        control: Matches those that users, tools, and names and arguments of calls may not hold.
        special: Matches those that what an agent says may not hold.
    """
    if message.role == "system":
        return message
    changes: dict[str, Any] = {
        "content": break_up(message.content, special if message.role == "assistant" else control),
        "tool_calls": tuple(
            call.model_copy(update=break_up_in({"name": call.name, "arguments": call.arguments}, control))
            for call in message.tool_calls
        ),
    }
    if message.name is not None:
        changes["name"] = break_up(message.name, control)
    return message.model_copy(update=changes)


def control_tokens(tokenizer: PreTrainedTokenizerBase, *, special_only: bool = False) -> re.Pattern[str]:
    """Matches special tokens and, unless ``special_only``, those added tokens that the chat template writes."""
    template = tokenizer.chat_template if isinstance(tokenizer.chat_template, str) and not special_only else ""
    return _control_pattern(tokenizer, len(tokenizer), template)


@lru_cache(maxsize=16)
def _control_pattern(tokenizer: PreTrainedTokenizerBase, size: int, template: str) -> re.Pattern[str]:
    """Matches any control token; ``size`` and ``template`` renew the cache when the tokenizer is changed."""
    added = tokenizer.added_tokens_decoder.values()
    tokens = {token.content for token in added if token.special or token.content in template}
    tokens |= set(tokenizer.all_special_tokens)
    tokens |= {unicodedata.normalize("NFKC", token) for token in tokens}
    breakable = sorted((t for t in tokens if len(t.strip()) > 1), key=lambda t: (-len(t), t))
    return re.compile("|".join(map(re.escape, breakable)) or "(?!)")


def to_template_messages(messages: Iterable[Message], tokenizer: PreTrainedTokenizerBase) -> list[dict[str, Any]]:
    """Messages as chat templates expect them: control tokens broken up, arguments of tool calls as dicts."""
    return [_to_template_message(message, tokenizer) for message in messages]


def _to_template_message(message: Message, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    control, special = (control_tokens(tokenizer, special_only=special_only) for special_only in (False, True))
    safe = without_control_tokens(message, control, special)
    entry: dict[str, Any] = {"role": safe.role, "content": safe.content}
    if safe.tool_calls:
        calls = [{"name": call.name, "arguments": call.arguments} for call in safe.tool_calls]
        entry["tool_calls"] = [{"type": "function", "function": call} for call in calls]
    if safe.name is not None and safe.role == "tool":
        entry["name"] = safe.name
    return entry
