"""Preference pairs as token ids with masks: what the agent wrote in the completion, and nothing else, is scored.

Knows nothing of TRL or torch; ``trainer.py`` pads these rows into batches.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from persistence_pipeline.agents.chat import Encoded, TemplateFault, encode_conversations
from persistence_pipeline.records import Message, PreferencePair

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Row = dict[str, Any]
Conversation = tuple[Message, ...]


def encode_pairs(
    pairs: Sequence[PreferencePair], tokenizer: PreTrainedTokenizerBase, max_length: int
) -> tuple[list[Row], int]:
    """Rows for TRL's trainer, and how many distinct trajectories were cut at their end by ``max_length`` tokens.

    Each conversation is tokenised once and whole, so its tokens are those that the policy saw. A row holds
    ``prompt_ids``, ``chosen_ids``, ``rejected_ids``; ``chosen_mask`` and ``rejected_mask``, as long as those ids,
    1 for tokens that the agent wrote; and ``length``, tokens of the longer side.

    Raises:
        ValueError: if nothing that the agent wrote in a completion lies within ``max_length``.
        TemplateFault: if the template lacks generation markers, or renders the prompt of a pair differently when
            a completion follows.
    """
    encoded = _encode_distinct(pairs, tokenizer)
    rows = []
    cut = set()
    for pair in pairs:
        prompt, chosen, rejected = (_key(pair, conversation) for conversation in _conversations(pair))
        cut |= {key for key in (chosen, rejected) if len(encoded[key][0]) > max_length}
        rows.append(_row(pair, encoded[prompt], encoded[chosen], encoded[rejected], max_length))
    return rows, len(cut)


def _conversations(pair: PreferencePair) -> tuple[Conversation, Conversation, Conversation]:
    """The prompt, and the whole conversation of each side."""
    return pair.prompt, (*pair.prompt, *pair.chosen), (*pair.prompt, *pair.rejected)


def _key(pair: PreferencePair, conversation: Conversation) -> str:
    return "\n".join([json.dumps(pair.tools), *(message.model_dump_json() for message in conversation)])


def _encode_distinct(pairs: Sequence[PreferencePair], tokenizer: PreTrainedTokenizerBase) -> dict[str, Encoded]:
    """Every conversation of the pairs once, with the tools of its pair."""
    by_tools: dict[str, tuple[PreferencePair, dict[str, Conversation]]] = {}
    for pair in pairs:
        _, conversations = by_tools.setdefault(json.dumps(pair.tools), (pair, {}))
        conversations.update({_key(pair, conversation): conversation for conversation in _conversations(pair)})
    encoded: dict[str, Encoded] = {}
    for pair, conversations in by_tools.values():
        rows = encode_conversations(tokenizer, list(conversations.values()), pair.tools)
        encoded.update(zip(conversations, rows, strict=True))
    return encoded


def _row(pair: PreferencePair, prompt: Encoded, chosen: Encoded, rejected: Encoded, max_length: int) -> Row:
    start = len(prompt[0])
    for side, (ids, mask) in (("chosen", chosen), ("rejected", rejected)):
        if ids[:start] != prompt[0]:
            raise TemplateFault(
                f"pair {pair.pair_id}: the chat template renders the prompt differently when the {side} "
                "completion follows it, so the two sides would not share a prompt"
            )
        if 1 not in mask[start:max_length]:
            raise ValueError(
                f"pair {pair.pair_id}: nothing that the agent wrote in the {side} completion lies within "
                f"max_length={max_length} tokens (the prompt alone has {start}); raise max_length"
            )
    return {
        "prompt_ids": prompt[0],
        "chosen_ids": chosen[0][start:max_length],
        "rejected_ids": rejected[0][start:max_length],
        "chosen_mask": chosen[1][start:max_length],
        "rejected_mask": rejected[1][start:max_length],
        "length": min(max(len(chosen[0]), len(rejected[0])), max_length),
    }
