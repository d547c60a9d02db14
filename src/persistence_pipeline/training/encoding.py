"""Preference pairs as token ids with masks: what the agent sampled in the completion, and nothing else, is scored.

Knows nothing of TRL; ``trainer.py`` makes batches of these rows.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from persistence_pipeline.agents.chat import TemplateError
from persistence_pipeline.agents.transcript import Encoded, Transcript
from persistence_pipeline.records import Message, PreferencePair

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

logger = logging.getLogger(__name__)

Row = dict[str, Any]
Conversation = tuple[Message, ...]
Sides = tuple[Encoded, Encoded]


class RenderedTurnsError(ValueError):
    """Pairs have turns whose sampled tokens are not known; the message counts them and says what to set."""


def encode_pairs(
    pairs: Sequence[PreferencePair],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    rendered_turns: bool = False,
) -> tuple[list[Row], int]:
    """Rows for TRL's trainer, and how many distinct trajectories were cut at their end by ``max_length`` tokens.

    A conversation is put together as in a rollout (``agents/transcript.py``): of a turn of the agent exactly the
    sampled ids are scored. A row holds ``prompt_ids``, all that precedes the first turn of the completion;
    ``chosen_ids``, ``rejected_ids``; ``chosen_mask`` and ``rejected_mask``, as long as those ids, 1 for tokens
    that the agent wrote; and ``length``, tokens of the longer side.

    Args:
        pairs: Pairs of one objective.
        tokenizer: Of the checkpoint in training.
        max_length: Tokens that a side may have.
        rendered_turns: Also take turns whose sampled tokens are not known, or belong to another tokenizer: what is
            scored then is the chat template's text for them.

    Raises:
        RenderedTurnsError: there are such turns, and they are not to be taken.
        ValueError: nothing that the agent wrote in a completion lies within ``max_length``.
        TemplateError: the template lacks generation markers, renders the prompt of a pair differently when a
            completion follows, or leaves out something of a turn.
    """
    transcript = Transcript(tokenizer)
    sides = _encode_sides(pairs, transcript)
    _count_rendered(pairs, sides, rendered_turns)
    prompts = [transcript.prompt(pair.prompt, pair.tools) for pair in pairs]
    rows = [_row(*each, max_length) for each in zip(pairs, prompts, sides, strict=True)]
    cut = {id(encoded) for both in sides for encoded in both if len(encoded.ids) > max_length}
    return rows, len(cut)


def _encode_sides(pairs: Sequence[PreferencePair], transcript: Transcript) -> list[Sides]:
    """Both sides of every pair, whole with the prompt; equal conversations are one object."""
    by_tools: dict[str, dict[str, Conversation]] = {}
    keyed: list[tuple[str, list[str]]] = []
    for pair in pairs:
        tools, conversations = json.dumps(pair.tools), _conversations(pair)
        keys = [_key(conversation) for conversation in conversations]
        by_tools.setdefault(tools, {}).update(zip(keys, conversations, strict=True))
        keyed.append((tools, keys))
    encoded = {
        tools: dict(zip(named, transcript.encode(list(named.values()), json.loads(tools)), strict=True))
        for tools, named in by_tools.items()
    }
    return [(encoded[tools][chosen], encoded[tools][rejected]) for tools, (chosen, rejected) in keyed]


def _conversations(pair: PreferencePair) -> tuple[Conversation, Conversation]:
    return (*pair.prompt, *pair.chosen), (*pair.prompt, *pair.rejected)


def _key(conversation: Conversation) -> str:
    return "\n".join(message.model_dump_json() for message in conversation)


def _count_rendered(pairs: Sequence[PreferencePair], sides: Sequence[Sides], allowed: bool) -> None:
    distinct = {id(encoded): encoded for both in sides for encoded in both}.values()
    n_rendered = sum(sum(encoded.rendered) for encoded in distinct)
    if not n_rendered:
        return
    n_pairs = sum(any(any(encoded.rendered) for encoded in both) for both in sides)
    n_turns = sum(len(encoded.rendered) for encoded in distinct)
    message = (
        f"stage on {pairs[0].objective}: of {n_rendered} of {n_turns} turns, in {n_pairs} of {len(pairs)} pairs, "
        "the tokens that were sampled with this tokenizer are not known"
    )
    if not allowed:
        raise RenderedTurnsError(
            f"{message}: set training.{pairs[0].objective}.rendered_turns: true to train on them as the chat "
            "template renders them, or make the pairs from episodes that the source itself plays"
        )
    logger.info("%s; they are rendered", message)


def _row(pair: PreferencePair, prompt: list[int], sides: Sides, max_length: int) -> Row:
    start = len(prompt)
    for side, encoded in zip(("chosen", "rejected"), sides, strict=True):
        if start not in encoded.starts or encoded.ids[:start] != prompt:
            raise TemplateError(
                f"pair {pair.pair_id}: the {side} completion does not begin with a turn of the agent, or the chat "
                "template renders the prompt differently when it follows: the sides would not share a prompt"
            )
        if 1 not in encoded.mask[start:max_length]:
            raise ValueError(
                f"pair {pair.pair_id}: nothing that the agent wrote in the {side} completion lies within "
                f"max_length={max_length} tokens (the prompt alone has {start}); raise max_length"
            )
    chosen, rejected = sides
    return {
        "prompt_ids": prompt,
        "chosen_ids": chosen.ids[start:max_length],
        "rejected_ids": rejected.ids[start:max_length],
        "chosen_mask": chosen.mask[start:max_length],
        "rejected_mask": rejected.mask[start:max_length],
        "length": min(max(len(chosen.ids), len(rejected.ids)), max_length),
    }


def pad_right(rows: Sequence[Sequence[int]], value: int) -> torch.Tensor:
    """Rows of any lengths as one tensor, (rows, longest)."""
    import torch

    width = max(map(len, rows))
    return torch.tensor([[*row, *[value] * (width - len(row))] for row in rows])
