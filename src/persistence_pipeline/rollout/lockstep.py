"""Rollouts of a causal language model: all episodes of a batch in lockstep, each row at its own position.

The tokens of a row are what its prompt and its observations say (read) and what the agent writes (sampled). One
forward pass gives every row of the batch its next tokens: one where agents are writing, more where most rows have
much to read. The key-value cache is kept from the first token of an episode to its last. What prompts of a batch
have in common, such as the schemas of the same tools, is read once. Rows whose episode has ended leave the batch.

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
from persistence_pipeline.rollout.reading import share_prefixes, width_of_step
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


@dataclass
class _Row:
    """One episode in the batch."""

    episode: Episode
    tokens: list[int]
    """The whole transcript so far."""
    read: int = 0
    """Tokens that the model has read."""
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
        self._model = model.eval()
        self._settings = settings
        context = int(model.config.max_position_embeddings)
        window = getattr(model.config, "sliding_window", None) or context
        self._context = min(context, window, settings.max_length or context)
        self._speech = speech_of(tokenizer)

    @property
    def dialect(self) -> str:
        """What the checkpoint speaks."""
        return self._speech.name

    def play(self, episodes: list[Episode]) -> Iterator[Episode]:
        """Drive the episodes batch by batch; yields each as it ends. Sorted by prompt length within the call."""
        rows = sorted((self._row(e) for e in episodes), key=lambda row: len(row.tokens))
        for start in range(0, len(rows), self._settings.batch_size):
            yield from self._play_batch(rows[start : start + self._settings.batch_size])

    def _row(self, episode: Episode) -> _Row:
        prompt = self._speech.prompt(episode)
        if len(prompt) >= self._context:
            raise PromptTooLong(
                f"the prompt of case {episode.case.case_id} has {len(prompt)} tokens, and an episode may have "
                f"{self._context}: raise max_length, or take a model with a longer context"
            )
        return _Row(episode, prompt)

    def _uniforms(self, episode: Episode) -> np.ndarray:
        key = f"{episode.seed}/{episode.case.case_id}/{episode.sample}"
        seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
        return np.random.default_rng(seed).random(self._context)

    def _play_batch(self, rows: list[_Row]) -> Iterator[Episode]:
        import torch

        from persistence_pipeline.rollout.cache import BatchCache

        cache = BatchCache(self._context)
        for row in rows:
            row.uniforms = self._uniforms(row.episode)
        with torch.inference_mode():
            self._read_prefixes(rows, cache)
            while rows:
                logits = self._step(rows, cache)
                self._write(rows, logits)
                yield from (row.episode for row in rows if row.episode.done)
                rows = _without_ended(rows, cache)

    def _read_prefixes(self, rows: list[_Row], cache: BatchCache) -> None:
        """Read what prompts begin with, once for all rows that share it."""
        prefixes, prefix_of_row = share_prefixes([row.tokens for row in rows])
        width = max(map(len, prefixes))
        if not width:
            return
        # What stands behind a shorter prefix is hidden from every row until its own tokens are written over it.
        padded = [prefix + [self._speech.end] * (width - len(prefix)) for prefix in prefixes]
        self._forward(padded, [width] * len(padded), cache)
        cache.spread(prefix_of_row)
        for row, prefix in zip(rows, prefix_of_row, strict=True):
            row.read = len(prefixes[prefix])

    def _step(self, rows: list[_Row], cache: BatchCache) -> torch.Tensor:
        """Give every row its next tokens; returns the logits behind the last of them.

        A row that awaits fewer than the others reads its last ones again.
        """
        width = width_of_step([len(row.tokens) - row.read for row in rows])
        width = min(width, *(len(row.tokens) for row in rows))
        for row in rows:
            row.read = min(row.read + width, len(row.tokens))
        return self._forward(
            [row.tokens[row.read - width : row.read] for row in rows], [r.read for r in rows], cache
        )

    def _forward(self, tokens: list[list[int]], ends: list[int], cache: BatchCache) -> torch.Tensor:
        """Logits behind tokens of equal number, which stand before the positions ``ends`` of their rows."""
        import torch

        device = self._model.device
        ids = torch.tensor(tokens, device=device)
        width = ids.shape[1]
        positions = torch.tensor(ends, device=device).unsqueeze(1) + torch.arange(-width, 0, device=device)
        mask = cache.at(positions).to(self._model.dtype)
        logits: torch.Tensor = self._model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            cache=cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits
        return logits[:, -1]

    def _write(self, rows: list[_Row], logits: torch.Tensor) -> None:
        """Let every agent whose turn it is write a token."""
        writing = [index for index, row in enumerate(rows) if row.writes]
        if not writing:
            return
        writers = [rows[index] for index in writing]
        sampled = self._sample(logits if len(writers) == len(rows) else logits[writing], writers)
        for row, token in zip(writers, sampled, strict=True):
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
    if targets:
        cache.move(origins, targets)
    return rows[:n]
