"""Preference pairs as token ids with masks: what the agent wrote, and nothing else, is trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from persistence_pipeline.agents.chat import Encoded, encode_conversations
from persistence_pipeline.records import PreferencePair

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Row = dict[str, Any]


def encode_pairs(
    pairs: Sequence[PreferencePair], tokenizer: PreTrainedTokenizerBase, max_length: int
) -> tuple[list[Row], int]:
    """Rows for TRL's trainer, and how many of the trajectories were cut at ``max_length``.

    Each conversation is tokenised once and whole, so its tokens are those that the policy saw. A row holds
    ``prompt_ids``, ``chosen_ids``, ``rejected_ids``, ``chosen_mask``, ``rejected_mask`` (1 for the agent's
    tokens) and ``length``.

    Raises:
        ValueError: if nothing that the agent wrote is left of a trajectory.
    """
    conversations = {(pair.case_id, pair.chosen_id): (*pair.prompt, *pair.chosen) for pair in pairs}
    conversations |= {(pair.case_id, pair.rejected_id): (*pair.prompt, *pair.rejected) for pair in pairs}
    encoded = dict(zip(conversations, encode_conversations(tokenizer, list(conversations.values())), strict=True))
    n_cut = sum(len(ids) > max_length for ids, _ in encoded.values())
    rows = [
        _row(pair, encoded[pair.case_id, pair.chosen_id], encoded[pair.case_id, pair.rejected_id], max_length)
        for pair in pairs
    ]
    return rows, n_cut


def _row(pair: PreferencePair, chosen: Encoded, rejected: Encoded, max_length: int) -> Row:
    start = min(_first_written(pair, chosen, max_length), _first_written(pair, rejected, max_length))
    (chosen_ids, chosen_mask), (rejected_ids, rejected_mask) = chosen, rejected
    return {
        "prompt_ids": chosen_ids[:start],
        "chosen_ids": chosen_ids[start:max_length],
        "rejected_ids": rejected_ids[start:max_length],
        "chosen_mask": chosen_mask[start:max_length],
        "rejected_mask": rejected_mask[start:max_length],
        "length": min(max(len(chosen_ids), len(rejected_ids)), max_length),
    }


def _first_written(pair: PreferencePair, side: Encoded, max_length: int) -> int:
    _, mask = side
    if 1 not in mask[:max_length]:
        raise ValueError(
            f"pair {pair.pair_id}: nothing that the agent wrote lies within max_length={max_length} tokens; raise it"
        )
    return mask.index(1)
