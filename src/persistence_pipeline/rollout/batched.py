"""Rollouts of a causal language model: all episodes of a batch in lockstep, each row at its own position.

The tokens of a row are what its prompt and its observations say (read) and what the agent writes (sampled). One
forward pass gives every row of the batch all that it has to read: one token where its agent is writing, more after
an observation. They stand in one line without padding. The key-value cache is kept from the first token of an
episode to its last. What prompts of a batch have in common, such as the schemas of the same tools, is read once,
and episodes are one row as long as they are alike (``rows.py``). Rows whose episodes have ended leave the batch.

Sampling uses one stream of random numbers per episode, keyed by seed, case and sample: an episode does not
depend on which others share its batch, up to the rounding of the matrix products.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from persistence_pipeline.rollout.dialect import speech_of
from persistence_pipeline.rollout.engine.prefill import Step, Text, kept_apart, next_step, share_prefixes
from persistence_pipeline.rollout.engine.sequences import Row, Speaker, rows_of, settle
from persistence_pipeline.rollout.episode import Episode
from persistence_pipeline.strict import Strict

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from persistence_pipeline.rollout.engine.cache import BatchCache


class PromptTooLongError(ValueError):
    """A case does not fit into an episode; the message says what to raise."""


class SamplingSettings(Strict):
    """How tokens are drawn and where turns and episodes end."""

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
        from persistence_pipeline.rollout.engine.attention import use_lockstep_attention

        self._model = model.eval()
        use_lockstep_attention(model)
        self._settings = settings
        context = int(model.config.max_position_embeddings)
        window = getattr(model.config, "sliding_window", None) or context
        self._context = min(context, window, settings.max_length or context)
        self._speech = speech_of(tokenizer)
        self._device = model.device
        self._cache: BatchCache | None = None

    @property
    def dialect(self) -> str:
        """What the checkpoint speaks."""
        return self._speech.name

    def play(self, episodes: list[Episode]) -> Iterator[Episode]:
        """Drive the episodes batch by batch; yields each as it ends. Sorted by their prompts within the call."""
        prompts = sorted(((self._prompt(e), e) for e in episodes), key=lambda asked: (len(asked[0]), asked[0]))
        cache, self._cache = self._cache or self._new_cache(), None  # of its own, where another play goes on
        try:
            for start in range(0, len(prompts), self._settings.batch_size):
                batch = prompts[start : start + self._settings.batch_size]
                speakers = [(prompt, Speaker(episode, self._uniforms(episode))) for prompt, episode in batch]
                yield from self._play_batch(rows_of(speakers), cache)
        finally:
            self._cache = cache

    def _new_cache(self) -> BatchCache:
        from persistence_pipeline.rollout.engine.cache import BatchCache

        return BatchCache(self._context, self._settings.batch_size, self._device, self._model.dtype)

    def _prompt(self, episode: Episode) -> list[int]:
        prompt = self._speech.transcript.prompt(episode.messages, episode.tools)
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

    def _play_batch(self, rows: list[Row], cache: BatchCache) -> Iterator[Episode]:
        import torch

        with torch.inference_mode():
            cache.begin()
            self._read_prefixes(rows, cache)
        while rows:
            with torch.inference_mode():  # never around a yield: it would hold for whoever takes the episodes
                ended, rows = self._step(rows, cache)
            yield from ended

    def _step(self, rows: list[Row], cache: BatchCache) -> tuple[list[Episode], list[Row]]:
        """Let every row read, and write where it has read all; the episodes that end, and the rows that go on."""
        step = next_step(rows)
        writing = [index for index, row in enumerate(rows) if row.writes]
        logits = self._forward(step, writing or [0], cache)
        writers = [rows[index] for index in writing]
        speakers = [speaker for row in writers for speaker in row.speakers]
        heirs = dict(zip(writing, self._write(writers, logits), strict=True))
        ended = [speaker.episode for speaker in speakers if speaker.episode.done]
        return ended, settle([heirs.get(index, [row]) for index, row in enumerate(rows)], cache)

    def _read_prefixes(self, rows: list[Row], cache: BatchCache) -> None:
        """Read what prompts begin with, once for all rows that share it."""
        prefixes, prefix_of_row = share_prefixes([row.tokens for row in rows])
        lengths = [len(prefix) for prefix in prefixes]
        if not min(lengths):
            return
        texts = [Text(prefix) for prefix in prefixes]
        apart = kept_apart(lengths, sum(len(row.speakers) for row in rows))
        reader = self._new_cache() if apart else cache  # else every row's buffer had room for a prefix
        while any(text.read < len(text.tokens) for text in texts):
            self._forward(next_step(texts), [0], reader)
        if apart:
            cache.begin_with(reader, prefix_of_row, lengths)
        else:
            cache.spread(prefix_of_row)
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
        cache.require_attention(type(self._model).__name__)
        return logits[0]

    def _write(self, rows: list[Row], logits: torch.Tensor) -> list[list[Row]]:
        """Let every agent whose turn it is write a token; returns what becomes of each row."""
        if not rows:
            return []
        sampled = iter(self._sample(logits, rows))
        heirs = []
        for row in rows:
            said = []
            for speaker in row.speakers:
                tokens = self._take_token(speaker, next(sampled))
                if len(row.tokens) + len(tokens) >= self._context and not speaker.episode.done:
                    speaker.episode.stop("context")
                if not speaker.episode.done:
                    said.append((speaker, tokens))
            heirs.append(row.branch(said))
        return heirs

    def _sample(self, logits: torch.Tensor, rows: list[Row]) -> list[int]:
        """A token for every speaker of the rows: inverts the cumulative distribution at its random number."""
        import torch

        if self._settings.temperature == 0:
            likeliest = logits.argmax(-1).tolist()
            return [int(token) for token, row in zip(likeliest, rows, strict=True) for _ in row.speakers]
        likely = torch.softmax(logits.double() / self._settings.temperature, -1)
        if self._settings.top_p < 1:
            ordered, order = likely.sort(-1, descending=True)
            beyond = ordered.cumsum(-1) - ordered >= self._settings.top_p
            likely = likely.scatter(-1, order, ordered.masked_fill(beyond, 0.0))
        cumulative = likely.cumsum(-1)
        drawn = [speaker.uniforms[len(row.tokens)] for row in rows for speaker in row.speakers]
        if len(drawn) > len(rows):
            sharers = torch.tensor([len(row.speakers) for row in rows], device=cumulative.device)
            cumulative = cumulative.repeat_interleave(sharers, 0)
        scaled = (
            torch.tensor(drawn, dtype=cumulative.dtype).to(cumulative.device).unsqueeze(1) * cumulative[:, -1:]
        )
        return [int(token) for token in torch.searchsorted(cumulative, scaled, right=True)[:, 0].tolist()]

    def _take_token(self, speaker: Speaker, token: int) -> list[int]:
        """Write the agent's token; at the end of a turn, hand it over. Returns how the transcript goes on."""
        speaker.turn.append(token)
        ended = self._speech.has_ended(speaker.turn)
        if not ended and len(speaker.turn) < self._settings.max_turn_tokens:
            return [token]
        turn, speaker.turn = speaker.turn, []
        message = speaker.episode.take(self._speech.read(turn, speaker.episode.environment.tools, ended))
        transcript = self._speech.transcript
        written = [token, *transcript.appended(turn)]
        return written if message is None else written + transcript.observation(message)
