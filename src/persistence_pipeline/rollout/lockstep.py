"""Rollouts of a causal language model, token by token, all episodes of a batch in lockstep.

Every row of the batch starts at its own first token and moves one position a step: a position is either
*forced* (the prompt, an observation) or *sampled* (the agent's turn). The key-value cache is kept from the first
token of an episode to its last, and no padding enters the attention. Forced positions that all rows share are read
at once: the prompts' common length, and with real models whatever all rows await. Rows whose episode has ended are
dropped when half of the batch is done.

Sampling uses one stream of random numbers per episode, keyed by seed, case and sample: an episode does not
depend on which others share its batch, up to the rounding of the matrix products.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from persistence_pipeline.rollout.episode import Episode
from persistence_pipeline.rollout.speech import speech_of

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class PromptTooLong(ValueError):
    """A case does not fit into an episode; the message says what to raise."""


class SamplingSettings(BaseModel):
    """How tokens are drawn and where turns and episodes end."""

    model_config = ConfigDict(extra="forbid")

    temperature: float = Field(1.0, ge=0)
    """0 takes the most likely token."""
    top_p: float = Field(1.0, gt=0, le=1)
    """Draw from the most likely tokens that together have this probability."""
    max_turn_tokens: int = Field(8, gt=0)
    """A turn that has not ended after this many tokens is cut and counts as an invalid call."""
    max_turns: int = Field(10, gt=0)
    batch_size: int = Field(256, gt=0)
    max_length: int | None = Field(None, gt=0)
    """Tokens after which an episode is stopped, where the model's context does not end it before."""


@dataclass
class _Row:
    """One episode in the batch."""

    episode: Episode
    forced: deque[int]
    uniforms: np.ndarray
    """Random numbers of this episode by position."""
    turn: list[int] = field(default_factory=list)


class LockstepPolicy:
    """Plays episodes with any causal language model whose chat template records its dialect.

    Args:
        model: A causal language model with a key-value cache.
        tokenizer: Its tokenizer, with the chat template that the model was trained on.
        settings: Sampling.
    """

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, settings: SamplingSettings
    ) -> None:
        self._model = model.eval()
        self._settings = settings
        context = int(model.config.max_position_embeddings)
        self._context = min(context, settings.max_length or context)
        self._speech = speech_of(tokenizer)

    @property
    def dialect(self) -> str:
        """What the checkpoint speaks."""
        return self._speech.name

    def play(self, episodes: list[Episode]) -> Iterator[Episode]:
        """Drive the episodes batch by batch; yields each as it ends. Sorted by prompt length within the call."""
        rows = sorted((self._row(e) for e in episodes), key=lambda row: len(row.forced))
        for start in range(0, len(rows), self._settings.batch_size):
            yield from self._play_batch(rows[start : start + self._settings.batch_size])

    def _row(self, episode: Episode) -> _Row:
        key = f"{episode.seed}/{episode.case.case_id}/{episode.sample}"
        seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
        uniforms = np.random.default_rng(seed).random(self._context)
        prompt = self._speech.prompt(episode)
        if len(prompt) >= self._context:
            raise PromptTooLong(
                f"the prompt of case {episode.case.case_id} has {len(prompt)} tokens, and an episode may have "
                f"{self._context}: raise max_length, or take a model with a longer context"
            )
        return _Row(episode, deque(prompt), uniforms)

    def _play_batch(self, rows: list[_Row]) -> Iterator[Episode]:
        import torch
        from transformers import DynamicCache

        cache = DynamicCache(config=self._model.config)
        position = min(len(row.forced) for row in rows)
        tokens = [[row.forced.popleft() for _ in range(position)] for row in rows]
        with torch.inference_mode():
            while rows:
                ids = torch.tensor(tokens, device=self._model.device)
                logits = self._model(input_ids=ids, cache=cache, use_cache=True, logits_to_keep=1).logits[:, -1]
                sampled = self._sample(logits, rows, position)
                first = [self._next_token(row, token) for row, token in zip(rows, sampled, strict=True)]
                tokens = [[token, *more] for token, more in zip(first, self._shared(rows), strict=True)]
                position += len(tokens[0])
                if position >= self._context:
                    for row in rows:
                        if not row.episode.done:
                            row.episode.stop("context")
                ended = [row.episode.done for row in rows]
                if sum(ended) * 2 >= len(rows):
                    yield from (row.episode for row in rows if row.episode.done)
                    keep = [index for index, done in enumerate(ended) if not done]
                    rows, tokens = [rows[i] for i in keep], [tokens[i] for i in keep]
                    cache.batch_select_indices(torch.tensor(keep, dtype=torch.long))

    def _shared(self, rows: list[_Row]) -> list[list[int]]:
        """Further forced tokens of every row, as many as all running rows have; none where they are too few."""
        width = min((len(row.forced) for row in rows if not row.episode.done), default=0)
        if not self._speech.chunk or width < self._speech.chunk:
            return [[] for _ in rows]
        return [
            [self._speech.end if row.episode.done else row.forced.popleft() for _ in range(width)] for row in rows
        ]

    def _sample(self, logits: torch.Tensor, rows: list[_Row], position: int) -> list[int]:
        """One token a row by inverting the cumulative distribution at the row's own random number."""
        import torch

        if self._settings.temperature == 0:
            return [int(token) for token in logits.argmax(-1).tolist()]
        likely = torch.softmax(logits.double() / self._settings.temperature, -1)
        if self._settings.top_p < 1:
            ordered, order = likely.sort(-1, descending=True)
            beyond = ordered.cumsum(-1) - ordered >= self._settings.top_p
            likely = likely.scatter(-1, order, ordered.masked_fill(beyond, 0.0))
        cumulative = likely.cumsum(-1)
        drawn = torch.tensor([row.uniforms[position] for row in rows], dtype=cumulative.dtype)
        scaled = drawn.to(cumulative.device).unsqueeze(1) * cumulative[:, -1:]
        return [int(token) for token in torch.searchsorted(cumulative, scaled, right=True)[:, 0].tolist()]

    def _next_token(self, row: _Row, sampled: int) -> int:
        """The token at the row's next position; a sampled one is written into the agent's turn."""
        if row.episode.done:
            return self._speech.end
        if row.forced:
            return row.forced.popleft()
        row.turn.append(sampled)
        ended = self._speech.has_ended(row.turn)
        if ended or len(row.turn) >= self._settings.max_turn_tokens:
            return self._end_turn(row, ended)
        return sampled

    def _end_turn(self, row: _Row, ended: bool) -> int:
        """Hand the turn to the episode and queue what the world answers; returns the turn's last token."""
        last, row.turn, turn = row.turn[-1], [], row.turn
        closed = last in self._speech.ends
        message = row.episode.take(self._speech.read(turn, row.episode, ended))
        if message is not None:
            if not closed:
                row.forced.append(self._speech.end)
            row.forced.extend(self._speech.observation(message))
        return self._speech.end if closed else last
