"""Rollouts of a causal language model: all episodes of a batch in lockstep, each row at its own position.

The tokens of a row are those of its prompt and its observations (prefill) and those that the agent samples
(decode). One forward pass computes all tokens of every row that are not in the key-value cache: one where its
agent is writing, more after an observation. They stand in one line without padding. The cache is kept from the
first token of an episode to its last. What prompts of a batch have in common, such as the schemas of the same
tools, is computed once, and episodes are one row as long as they are alike (``engine/sequences.py``). Rows whose
episodes have ended leave the batch.

Sampling uses one stream of random numbers per episode, keyed by seed, case and sample: an episode does not
depend on which others share its batch, up to the rounding of the matrix products.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from persistence_pipeline.rollout.dialect import dialect_of
from persistence_pipeline.rollout.engine.adapter import forward, use_batched_attention
from persistence_pipeline.rollout.engine.cache import KVCache
from persistence_pipeline.rollout.engine.prefill import next_step, share_prefixes
from persistence_pipeline.rollout.engine.sampling import sample_tokens
from persistence_pipeline.rollout.engine.sequences import SequenceGroup, group_by_prompt, place_rows
from persistence_pipeline.rollout.episode import Episode
from persistence_pipeline.strict import Strict

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class PromptTooLongError(ValueError):
    """A case does not fit into an episode; the message says what to raise."""


class SamplingSettings(Strict):
    """Settings of the drawing of tokens, and of the ends of turns and episodes."""

    temperature: float = Field(1.0, ge=0)
    """0 takes the most likely token."""
    top_p: float = Field(1.0, gt=0, le=1)
    """Draw from the most likely tokens that together have this probability."""
    max_turn_tokens: int = Field(8, gt=0)
    """A turn that has not ended after this many tokens is cut and counts as an invalid call."""
    max_turns: int = Field(16, gt=0)
    batch_size: int = Field(256, gt=0)
    max_length: int | None = Field(None, gt=0)
    """Tokens after which an episode is stopped, where the model's context does not end it before."""


@dataclass
class Sequence:
    """One episode in the batch."""

    episode: Episode
    uniforms: np.ndarray
    """(context) random numbers of this episode by position."""
    turn: list[int] = field(default_factory=list)
    """Tokens of the present turn so far."""


Row = SequenceGroup[Sequence]


class BatchedPolicy:
    """Plays episodes with any causal language model whose chat template records its dialect.

    Args:
        model: A causal language model with a key-value cache.
        tokenizer: Its tokenizer, with the chat template that the model was trained on.
        settings: Sampling.

    Raises:
        AttentionError: the model's attention cannot be computed in a batch.
        TemplateError: the chat template records no dialect.
    """

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, settings: SamplingSettings
    ) -> None:
        self._model = model.eval()
        use_batched_attention(model)
        self._settings = settings
        context = int(model.config.max_position_embeddings)
        window = getattr(model.config, "sliding_window", None) or context
        self._context = min(context, window, settings.max_length or context)
        self._dialect = dialect_of(tokenizer)
        self._cache: KVCache | None = None

    @property
    def dialect(self) -> str:
        """Name of the dialect that the checkpoint speaks."""
        return self._dialect.name

    def play(self, episodes: list[Episode]) -> Iterator[Episode]:
        """Drive the episodes batch by batch; yields each as it ends. Sorted by their prompts within the call."""
        prompts = sorted(((self._prompt(e), e) for e in episodes), key=lambda asked: (len(asked[0]), asked[0]))
        cache, self._cache = self._cache or self._new_cache(), None  # of its own, where another play goes on
        try:
            for start in range(0, len(prompts), self._settings.batch_size):
                batch = prompts[start : start + self._settings.batch_size]
                sequences = [(prompt, Sequence(episode, self._uniforms(episode))) for prompt, episode in batch]
                yield from self._play_batch(group_by_prompt(sequences), cache)
        finally:
            self._cache = cache

    def _new_cache(self) -> KVCache:
        return KVCache(self._context, self._settings.batch_size, self._model.device, self._model.dtype)

    def _prompt(self, episode: Episode) -> list[int]:
        prompt = self._dialect.transcript.prompt(episode.messages, episode.tools)
        if len(prompt) >= self._context:
            raise PromptTooLongError(
                f"the prompt of case {episode.case.case_id} has {len(prompt)} tokens, and an episode may have "
                f"{self._context}: raise max_length, or take a model with a longer context"
            )
        return prompt

    def _uniforms(self, episode: Episode) -> np.ndarray:
        key = f"{episode.seed}/{episode.case.case_id}/{episode.sample}"
        seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
        return np.random.default_rng(seed).random(self._context)

    def _play_batch(self, rows: list[Row], cache: KVCache) -> Iterator[Episode]:
        import torch

        with torch.inference_mode():
            cache.reset()
            self._prefill_prefixes(rows, cache)
        while rows:
            with torch.inference_mode():  # never around a yield: it would hold for whoever takes the episodes
                ended, rows = self._step(rows, cache)
            yield from ended

    def _prefill_prefixes(self, rows: list[Row], cache: KVCache) -> None:
        """Compute what prompts begin with, once for all rows that share it."""
        prefixes, prefix_of_row = share_prefixes([row.tokens for row in rows])
        lengths = [len(prefix) for prefix in prefixes]
        if not min(lengths):
            return
        pending: list[Row] = [SequenceGroup(prefix) for prefix in prefixes]
        while not all(prefix.is_decoding for prefix in pending):
            forward(self._model, next_step(pending), [0], cache)
        cache.broadcast(prefix_of_row)
        for row, prefix in zip(rows, prefix_of_row, strict=True):
            row.n_computed = lengths[prefix]

    def _step(self, rows: list[Row], cache: KVCache) -> tuple[list[Episode], list[Row]]:
        """Compute every row, and sample where it is decoding; the episodes that end, and the rows that go on."""
        step = next_step(rows)
        decoding = [index for index, row in enumerate(rows) if row.is_decoding]
        logits = forward(self._model, step, decoding or [0], cache)
        writers = [rows[index] for index in decoding]
        sequences = [sequence for row in writers for sequence in row.sequences]
        branches = dict(zip(decoding, self._write(writers, logits), strict=True))
        ended = [sequence.episode for sequence in sequences if sequence.episode.done]
        placed, origins, targets = place_rows([branches.get(index, [row]) for index, row in enumerate(rows)])
        cache.reorder(origins, targets, len(placed))
        return ended, placed

    def _write(self, rows: list[Row], logits: torch.Tensor) -> list[list[Row]]:
        """Let every agent whose turn it is write a token; returns what becomes of each row."""
        if not rows:
            return []
        sampled = iter(self._sample(logits, rows))
        branches = []
        for row in rows:
            continued = []
            for sequence in row.sequences:
                tokens = self._take_token(sequence, next(sampled))
                if len(row.tokens) + len(tokens) >= self._context and not sequence.episode.done:
                    sequence.episode.stop("context")
                if not sequence.episode.done:
                    continued.append((sequence, tokens))
            branches.append(row.branch(continued))
        return branches

    def _sample(self, logits: torch.Tensor, rows: list[Row]) -> list[int]:
        """A token for every sequence of the rows."""
        uniforms = [[sequence.uniforms[len(row.tokens)] for sequence in row.sequences] for row in rows]
        settings = self._settings
        return sample_tokens(logits, uniforms, temperature=settings.temperature, top_p=settings.top_p)

    def _take_token(self, sequence: Sequence, token: int) -> list[int]:
        """Write the agent's token; at the end of a turn, hand it over. Returns how the transcript goes on."""
        sequence.turn.append(token)
        ended = self._dialect.has_ended(sequence.turn)
        if not ended and len(sequence.turn) < self._settings.max_turn_tokens:
            return [token]
        turn, sequence.turn = sequence.turn, []
        message = sequence.episode.take(self._dialect.parse_turn(turn, sequence.episode.environment.tools, ended))
        transcript = self._dialect.transcript
        written = [token, *transcript.appended(turn)]
        return written if message is None else written + transcript.observation(message)
