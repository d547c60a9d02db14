"""Conversations as a tokenizer's chat template writes them, with a mask of the tokens that the agent wrote.

Works for any Hugging Face tokenizer whose template marks generations. Text from users and tools is untrusted:
control tokens in it are broken up before it is rendered, so it cannot pose as a turn of the agent. What the agent
wrote is rendered as it stands. Parsing an agent's turn does not live here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
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
            f"the chat template of {name} lacks generation markers: put {{% generation %}} and "
            "{% endgeneration %} around what the assistant writes (its tool calls, its text and its end-of-turn "
            "token), so that observations can be kept out of the loss"
        )


def neutralise_special_tokens(text: str, tokenizer: PreTrainedTokenizerBase) -> str:
    """The text with every control token of the tokenizer broken up by a space after its first character.

    Control tokens are the tokenizer's special tokens and those added tokens that its chat template writes, in any
    Unicode form that the tokenizer may fold into one. Text without them is returned unchanged.
    """
    template = tokenizer.chat_template if isinstance(tokenizer.chat_template, str) else ""
    pattern = _control_pattern(tokenizer, len(tokenizer), template)
    text = _broken_up(pattern, text)
    folded = text if text.isascii() else unicodedata.normalize("NFKC", text)
    return _broken_up(pattern, folded) if pattern.search(folded) else text


def _broken_up(pattern: re.Pattern[str], text: str) -> str:
    while pattern.search(text):
        text = pattern.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)
    return text


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
    """Messages as chat templates expect them: untrusted text neutralised, arguments of tool calls as dicts."""
    return [_to_template_message(message, tokenizer) for message in messages]


def _to_template_message(message: Message, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    content = message.content
    if message.role in UNTRUSTED_ROLES:
        content = neutralise_special_tokens(content, tokenizer)
    entry: dict[str, Any] = {"role": message.role, "content": content}
    if message.tool_calls:
        entry["tool_calls"] = [
            {"type": "function", "function": {"name": call.name, "arguments": dict(call.arguments)}}
            for call in message.tool_calls
        ]
    if message.name is not None and message.role == "tool":
        entry["name"] = neutralise_special_tokens(message.name, tokenizer)
    return entry


def encode_conversation(
    tokenizer: PreTrainedTokenizerBase,
    messages: Sequence[Message],
    tools: Sequence[Mapping[str, Any]] | None = None,
) -> Encoded:
    """Token ids and agent mask of one whole conversation; see ``encode_conversations``."""
    return encode_conversations(tokenizer, [messages], tools)[0]


def encode_conversations(
    tokenizer: PreTrainedTokenizerBase,
    conversations: Sequence[Sequence[Message]],
    tools: Sequence[Mapping[str, Any]] | None = None,
) -> list[Encoded]:
    """Token ids and agent masks of whole conversations.

    Args:
        tokenizer: Its chat template writes the conversations.
        conversations: Each is tokenised once and whole, so its tokens are those that the policy saw.
        tools: JSON schemas of the tools, for templates that show them to the model.

    Raises:
        TemplateFault: the template lacks generation markers, or marks nothing in a conversation that has
            a turn of the agent.
    """
    require_generation_markers(tokenizer)
    if not conversations:
        return []
    encoded: Any = tokenizer.apply_chat_template(
        [to_template_messages(messages, tokenizer) for messages in conversations],
        tools=[dict(tool) for tool in tools] if tools else None,
        tokenize=True,
        return_dict=True,
        return_assistant_tokens_mask=True,
    )
    rows = list(zip(encoded["input_ids"], encoded["assistant_masks"], strict=True))
    for messages, (_, mask) in zip(conversations, rows, strict=True):
        if not any(mask) and any(m.role == "assistant" for m in messages):
            raise TemplateFault("the chat template marks no token of a conversation with assistant turns")
    return [(list(ids), list(mask)) for ids, mask in rows]
