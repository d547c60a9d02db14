"""Conversations as a tokenizer's chat template writes them, with a mask of the tokens that the agent wrote.

Works for any Hugging Face tokenizer whose template marks generations. Text from users and tools is untrusted:
special tokens in it are neutralised before it is rendered, so it cannot pose as a turn of the agent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from persistence_pipeline.records import Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

UNTRUSTED_ROLES = frozenset({"user", "tool"})
Encoded = tuple[list[int], list[int]]
"""Token ids of a conversation, and 1 for each token that the agent wrote."""


class TemplateFault(ValueError):
    """A tokenizer's chat template cannot serve for training."""


def require_generation_markers(tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse a tokenizer whose template does not mark what the agent wrote.

    Raises:
        TemplateFault: saying what has to be added.
    """
    template = tokenizer.chat_template
    name = getattr(tokenizer, "name_or_path", "") or "the tokenizer"
    if not isinstance(template, str):
        raise TemplateFault(f"{name} has no chat template (expected one text, found {type(template).__name__})")
    if not re.search(r"{%-?\s*generation\s*-?%}", template):
        raise TemplateFault(
            f"the chat template of {name} lacks generation markers: put {{% generation %}} … {{% endgeneration %}} "
            "around what the assistant writes (its tool calls, its text and its end-of-turn token), so that "
            "observations can be kept out of the loss"
        )


def neutralise_special_tokens(text: str, tokenizer: PreTrainedTokenizerBase) -> str:
    """The text with every special token of the tokenizer broken up by a space after its first character."""
    for token in sorted(tokenizer.all_special_tokens, key=len, reverse=True):
        if len(token) > 1 and token in text:
            text = text.replace(token, f"{token[0]} {token[1:]}")
    return text


def to_template_messages(messages: Iterable[Message], tokenizer: PreTrainedTokenizerBase) -> list[dict[str, Any]]:
    """Messages as chat templates expect them; arguments of tool calls stay dicts."""
    rendered = []
    for message in messages:
        content = message.content
        if message.role in UNTRUSTED_ROLES:
            content = neutralise_special_tokens(content, tokenizer)
        entry: dict[str, Any] = {"role": message.role, "content": content}
        if message.tool_calls:
            entry["tool_calls"] = [
                {"type": "function", "function": {"name": call.name, "arguments": dict(call.arguments)}}
                for call in message.tool_calls
            ]
        if message.name and message.role == "tool":
            entry["name"] = message.name
        rendered.append(entry)
    return rendered


def encode_conversations(
    tokenizer: PreTrainedTokenizerBase, conversations: Sequence[Sequence[Message]]
) -> list[Encoded]:
    """Token ids and agent masks of whole conversations.

    Raises:
        TemplateFault: the template lacks generation markers, or marks nothing in a conversation that has
            a turn of the agent.
    """
    require_generation_markers(tokenizer)
    if not conversations:
        return []
    encoded = tokenizer.apply_chat_template(
        [to_template_messages(messages, tokenizer) for messages in conversations],
        tokenize=True,
        return_dict=True,
        return_assistant_tokens_mask=True,
    )
    rows = list(zip(encoded["input_ids"], encoded["assistant_masks"], strict=True))
    for messages, (_, mask) in zip(conversations, rows, strict=True):
        if not any(mask) and any(m.role == "assistant" for m in messages):
            raise TemplateFault("the chat template marks no token of a conversation with assistant turns")
    return [(list(ids), list(mask)) for ids, mask in rows]
