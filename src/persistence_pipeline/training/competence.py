"""What a source makes of the mending turn, teacher-forced: after the careful episode up to there."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from persistence_pipeline.agents.transcript import Encoded, Transcript
from persistence_pipeline.records import Message
from persistence_pipeline.rollout.episode import Episode
from persistence_pipeline.rollout.scripted import ScriptedPolicy
from persistence_pipeline.world.behaviours import careful
from persistence_pipeline.world.decisions import Decision

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

BATCH = 64
"""Episodes that are read at once."""


def mending_table(checkpoint: Path, decisions: Sequence[Decision]) -> pd.DataFrame:
    """One row per decision: ``kind``, the ``probability`` of the whole turn, its end included, ``demonstrated``.

    Args:
        checkpoint: A source that was trained from scratch; it is shown no schemas of tools.
        decisions: As found by ``world.decisions.mending_turns``.
    """
    columns = ["kind", "probability", "demonstrated"]
    if not decisions:
        return pd.DataFrame(columns=columns)
    from transformers import AutoModelForCausalLM

    from persistence_pipeline.agents.tokenizer import load_tokenizer

    model = AutoModelForCausalLM.from_pretrained(checkpoint, local_files_only=True).eval()
    encoded = Transcript(load_tokenizer(checkpoint)).encode(_careful_episodes(decisions))
    turns = [_up_to(one, decision.turn) for one, decision in zip(encoded, decisions, strict=True)]
    rows = zip(decisions, _probabilities(model, turns), strict=True)
    found = [(decision.case.kind, probability, decision.demonstrated) for decision, probability in rows]
    return pd.DataFrame(found, columns=columns)


def _careful_episodes(decisions: Sequence[Decision]) -> list[tuple[Message, ...]]:
    episodes = [Episode(decision.case, policy=careful.__name__, seed=0) for decision in decisions]
    return [episode.trajectory().messages for episode in ScriptedPolicy(careful.__name__).play(episodes)]


def _up_to(encoded: Encoded, turn: int) -> tuple[int, list[int]]:
    """Where a turn of the agent begins, and the tokens up to its end."""
    start = encoded.starts[turn]
    end = next((i for i in range(start, len(encoded.mask)) if not encoded.mask[i]), len(encoded.mask))
    return start, encoded.ids[:end]


def _probabilities(model: PreTrainedModel, turns: Sequence[tuple[int, list[int]]]) -> Iterator[float]:
    """Probability of the tokens of each turn, given those before it."""
    import torch

    for first in range(0, len(turns), BATCH):
        batch = turns[first : first + BATCH]
        ids = torch.zeros((len(batch), max(len(tokens) for _, tokens in batch)), dtype=torch.long)
        for row, (_, tokens) in enumerate(batch):
            ids[row, : len(tokens)] = torch.tensor(tokens)  # causal attention does not see the padding behind
        with torch.inference_mode():
            logprobs = model(input_ids=ids).logits.log_softmax(-1)
        for row, (start, tokens) in enumerate(batch):
            yield _of_turn(logprobs[row], start, tokens)


def _of_turn(logprobs: torch.Tensor, start: int, tokens: list[int]) -> float:
    """``logprobs``: (tokens, vocabulary) of each next token."""
    return math.exp(sum(float(logprobs[i - 1, tokens[i]]) for i in range(start, len(tokens))))
