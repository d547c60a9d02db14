"""Rollouts of a causal language model, token by token, all episodes of a batch in lockstep.

Every row of the batch starts at its own first token and moves one position a step: a position is either
*forced* (the prompt, an observation) or *sampled* (the agent's turn). No turn needs a prefill, and no padding
enters the attention. Rows whose episode has ended are dropped when half of the batch is done.

Sampling uses one stream of random numbers per episode, keyed by seed, case and sample: an episode does not
depend on which others share its batch, up to the rounding of the matrix products.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from persistence_pipeline.agents.chat import neutralise_special_tokens
from persistence_pipeline.agents.compact import ParseFault, parse_call
from persistence_pipeline.records import Message
from persistence_pipeline.rollout.episode import Episode, Turn

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


class SamplingSettings(BaseModel):
    """How tokens are drawn and where turns and episodes end."""

    model_config = ConfigDict(extra="forbid")

    temperature: float = Field(1.0, ge=0)
    """0 takes the most likely token."""
    max_turn_tokens: int = Field(8, gt=0)
    """A turn that has not ended after this many tokens is cut and counts as an invalid call."""
    max_turns: int = Field(10, gt=0)
    batch_size: int = Field(256, gt=0)


@dataclass
class _Row:
    """One episode in the batch."""

    episode: Episode
    forced: deque[int]
    uniforms: np.ndarray
    """Random numbers of this episode by position."""
    turn: list[int] = field(default_factory=list)


class LockstepPolicy:
    """Plays episodes with a model and tokenizer of the compact dialect.

    Args:
        model: A causal language model with a key-value cache.
        tokenizer: Its tokenizer, with the chat template that the model was trained on.
        settings: Sampling.
    """

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, settings: SamplingSettings
    ) -> None:
        self._model = model.eval()
        self._tokenizer = tokenizer
        self._settings = settings
        self._context = int(model.config.max_position_embeddings)
        self._observations: dict[str, list[int]] = {}
        self._end = int(tokenizer.eos_token_id)

    def play(self, episodes: list[Episode]) -> Iterator[Episode]:
        """Drive the episodes batch by batch; yields each as it ends. Sorted by prompt length within the call."""
        rows = sorted((self._row(e) for e in episodes), key=lambda row: len(row.forced))
        for start in range(0, len(rows), self._settings.batch_size):
            yield from self._play_batch(rows[start : start + self._settings.batch_size])

    def _row(self, episode: Episode) -> _Row:
        key = f"{episode.seed}/{episode.case.case_id}/{episode.sample}"
        seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
        uniforms = np.random.default_rng(seed).random(self._context)
        return _Row(episode, deque(self._encode(episode.messages)), uniforms)

    def _encode(self, messages: Iterable[Message]) -> list[int]:
        """Tokens of untrusted messages up to where the agent begins to write."""
        spoken = [
            {"role": m.role, "content": neutralise_special_tokens(m.content, self._tokenizer)} for m in messages
        ]
        text = self._tokenizer.apply_chat_template(spoken, tokenize=False, add_generation_prompt=True)
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _play_batch(self, rows: list[_Row]) -> Iterator[Episode]:
        import torch
        from transformers import DynamicCache

        cache = DynamicCache(config=self._model.config)
        position = min(len(row.forced) for row in rows)
        tokens = [[row.forced.popleft() for _ in range(position)] for row in rows]
        with torch.inference_mode():
            while rows:
                ids = torch.tensor(tokens, device=self._model.device)
                logits = self._model(input_ids=ids, cache=cache, use_cache=True).logits[:, -1]
                sampled = self._sample(logits, rows, position)
                tokens = [[self._next_token(row, token)] for row, token in zip(rows, sampled, strict=True)]
                position += 1
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

    def _sample(self, logits: torch.Tensor, rows: list[_Row], position: int) -> list[int]:
        """One token a row by inverting the cumulative distribution at the row's own random number."""
        import torch

        if self._settings.temperature == 0:
            return [int(token) for token in logits.argmax(-1).tolist()]
        cumulative = torch.softmax(logits.double() / self._settings.temperature, -1).cumsum(-1)
        drawn = torch.tensor([row.uniforms[position] for row in rows], dtype=cumulative.dtype)
        scaled = drawn.to(cumulative.device).unsqueeze(1) * cumulative[:, -1:]
        return [int(token) for token in torch.searchsorted(cumulative, scaled, right=True)[:, 0].tolist()]

    def _next_token(self, row: _Row, sampled: int) -> int:
        """The token at the row's next position; a sampled one is written into the agent's turn."""
        if row.episode.done:
            return self._end
        if row.forced:
            return row.forced.popleft()
        row.turn.append(sampled)
        ended = sampled == self._end
        if ended or len(row.turn) >= self._settings.max_turn_tokens:
            self._end_turn(row, ended)
        return sampled

    def _end_turn(self, row: _Row, ended: bool) -> None:
        """Hand the turn to the episode and queue what the world answers."""
        written = row.turn[:-1] if ended else row.turn
        text = self._tokenizer.decode(written, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        turn = self._parse(text, row, ended)
        row.turn = []
        message = row.episode.take(turn)
        if message is None:
            return
        if not ended:
            row.forced.append(self._end)
        if message.content not in self._observations:
            self._observations[message.content] = self._encode([message])
        row.forced.extend(self._observations[message.content])

    def _parse(self, text: str, row: _Row, ended: bool) -> Turn:
        invalid = partial(Turn, call=None, text=text, new_tokens=len(row.turn))
        if not ended:
            return invalid()
        try:
            return Turn(call=parse_call(text, row.episode.environment.tools), new_tokens=len(row.turn))
        except ParseFault:
            return invalid()
