"""Preference pairs as token ids with masks: what the agent wrote in the completion, and nothing else, is scored.

Knows nothing of TRL or torch; ``trainer.py`` pads these rows into batches.
"""

from __future__ import annotations

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
    wholes = [(*pair.prompt, *side) for pair in pairs for side in (pair.chosen, pair.rejected)]
    keys = [_key(conversation) for conversation in (*wholes, *(pair.prompt for pair in pairs))]
    distinct = dict(zip(keys, (*wholes, *(pair.prompt for pair in pairs)), strict=True))
    encoded = dict(zip(distinct, encode_conversations(tokenizer, list(distinct.values())), strict=True))
    n_cut = sum(len(encoded[key][0]) > max_length for key in set(keys[: len(wholes)]))
    rows = []
    for index, pair in enumerate(pairs):
        chosen, rejected, prompt = keys[2 * index], keys[2 * index + 1], keys[len(wholes) + index]
        rows.append(_row(pair, encoded[prompt], encoded[chosen], encoded[rejected], max_length))
    return rows, n_cut


def _key(conversation: Sequence[Message]) -> str:
    return "\n".join(message.model_dump_json() for message in conversation)


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
