"""Rollouts of a causal language model: all episodes of a batch in lockstep, each row at its own position.

The tokens of a row are what its prompt and its observations say (read) and what the agent writes (sampled). One
forward pass gives every row of the batch all that it has to read: one token where its agent is writing, more after
an observation. They stand in one line without padding. The key-value cache is kept from the first token of an
episode to its last. What prompts of a batch have in common, such as the schemas of the same tools, is read once.
Rows whose episode has ended leave the batch.

Sampling uses one stream of random numbers per episode, keyed by seed, case and sample: an episode does not
depend on which others share its batch, up to the rounding of the matrix products.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from persistence_pipeline.rollout.episode import Episode
from persistence_pipeline.rollout.reading import Step, Text, kept_apart, next_step, share_prefixes
from persistence_pipeline.rollout.speech import speech_of

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from persistence_pipeline.rollout.cache import BatchCache


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


@dataclass(kw_only=True)
class _Row(Text):
    """One episode in the batch."""

    episode: Episode
    turn: list[int] = field(default_factory=list)
    """What the agent has written of the present turn."""
    uniforms: np.ndarray = field(default_factory=lambda: np.empty(0))
    """Random numbers of this episode by position."""

    @property
    def writes(self) -> bool:
        """Whether everything has been read, so that the next token is the agent's."""
        return self.read == len(self.tokens)


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
        from persistence_pipeline.rollout.attention import use_lockstep_attention
        from persistence_pipeline.rollout.cache import BatchCache

        self._model = model.eval()
        use_lockstep_attention(model)
        self._settings = settings
        context = int(model.config.max_position_embeddings)
        window = getattr(model.config, "sliding_window", None) or context
        self._context = min(context, window, settings.max_length or context)
        self._speech = speech_of(tokenizer)
        self._device = model.device
        self._cache = BatchCache(self._context, self._device, model.dtype)

    @property
    def dialect(self) -> str:
        """What the checkpoint speaks."""
        return self._speech.name

    def play(self, episodes: list[Episode]) -> Iterator[Episode]:
        """Drive the episodes batch by batch; yields each as it ends. Sorted by prompt length within the call."""
        rows = sorted((self._row(e) for e in episodes), key=lambda row: len(row.tokens))
        for start in range(0, len(rows), self._settings.batch_size):
            yield from self._play_batch(rows[start : start + self._settings.batch_size], self._cache)

    def _row(self, episode: Episode) -> _Row:
        prompt = self._speech.prompt(episode)
        if len(prompt) >= self._context:
            raise PromptTooLong(
                f"the prompt of case {episode.case.case_id} has {len(prompt)} tokens, and an episode may have "
                f"{self._context}: raise max_length, or take a model with a longer context"
            )
        return _Row(prompt, episode=episode)

    def _uniforms(self, episode: Episode) -> np.ndarray:
        key = f"{episode.seed}/{episode.case.case_id}/{episode.sample}"
        seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
        return np.random.default_rng(seed).random(self._context)

    def _play_batch(self, rows: list[_Row], cache: BatchCache) -> Iterator[Episode]:
        import torch

        cache.begin()
        for row in rows:
            row.uniforms = self._uniforms(row.episode)
        with torch.inference_mode():
            self._read_prefixes(rows, cache)
            while rows:
                step = next_step(rows)
                writing = [index for index, row in enumerate(rows) if row.writes]
                logits = self._forward(step, writing or [0], cache)
                self._write([rows[index] for index in writing], logits)
                yield from (row.episode for row in rows if row.episode.done)
                rows = _without_ended(rows, cache)

    def _read_prefixes(self, rows: list[_Row], cache: BatchCache) -> None:
        """Read what prompts begin with, once for all rows that share it."""
        prefixes, prefix_of_row = share_prefixes([row.tokens for row in rows])
        lengths = [len(prefix) for prefix in prefixes]
        if not min(lengths):
            return
        texts = [Text(prefix) for prefix in prefixes]
        while any(text.read < len(text.tokens) for text in texts):
            self._forward(next_step(texts), [0], cache)
        cache.spread(prefix_of_row, lengths, kept_apart(lengths, len(rows)))
        for row, prefix in zip(rows, prefix_of_row, strict=True):
            row.read = lengths[prefix]

    def _forward(self, step: Step, kept: list[int], cache: BatchCache) -> torch.Tensor:
        """Logits behind the last tokens of the kept rows."""
        import torch

        device = self._device
        cache.at(step)
        logits: torch.Tensor = self._model(
            input_ids=torch.tensor([step.tokens], device=device),
            attention_mask=torch.zeros((1, 1, 1, 1), device=device),  # ours is made by the cache
            position_ids=torch.from_numpy(step.positions).unsqueeze(0).to(device),
            cache=cache,
            use_cache=True,
            logits_to_keep=torch.tensor(kept, device=device),
            batch=cache,
        ).logits
        return logits[0]

    def _write(self, rows: list[_Row], logits: torch.Tensor) -> None:
        """Let every agent whose turn it is write a token."""
        if not rows:
            return
        for row, token in zip(rows, self._sample(logits, rows), strict=True):
            self._take_token(row, token)
            if len(row.tokens) >= self._context and not row.episode.done:
                row.episode.stop("context")

    def _sample(self, logits: torch.Tensor, rows: list[_Row]) -> list[int]:
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
        drawn = torch.tensor([row.uniforms[len(row.tokens)] for row in rows], dtype=cumulative.dtype)
        scaled = drawn.to(cumulative.device).unsqueeze(1) * cumulative[:, -1:]
        return [int(token) for token in torch.searchsorted(cumulative, scaled, right=True)[:, 0].tolist()]

    def _take_token(self, row: _Row, token: int) -> None:
        """Write the agent's token; at the end of a turn, hand it over and append what the world answers."""
        row.turn.append(token)
        ended = self._speech.has_ended(row.turn)
        if not ended and len(row.turn) < self._settings.max_turn_tokens:
            row.tokens.append(token)
            return
        turn, row.turn = row.turn, []
        message = row.episode.take(self._speech.read(turn, row.episode, ended))
        if token not in self._speech.ends:
            row.tokens.append(token)
        row.tokens.append(self._speech.end)
        if message is not None:
            row.tokens += self._speech.observation(message)


def _without_ended(rows: list[_Row], cache: BatchCache) -> list[_Row]:
    """The running rows; the last of them take the places of those that have ended."""
    running = [index for index, row in enumerate(rows) if not row.episode.done]
    n = len(running)
    if n == len(rows):
        return rows
    targets = [index for index in range(n) if rows[index].episode.done]
    origins = [index for index in running if index >= n]
    for target, origin in zip(targets, origins, strict=True):
        rows[target] = rows[origin]
    cache.move(origins, targets, n)
    return rows[:n]
