"""Rows of a batch: what has been said so far, and all episodes in which just this has been said.

Episodes with the same transcript, such as samples of one case, are one row as long as they remain alike: the model
reads their tokens once, and each draws its own next token from the same distribution. Where they part, the row
branches.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from persistence_pipeline.rollout.engine.prefill import Text
from persistence_pipeline.rollout.episode import Episode

if TYPE_CHECKING:
    from persistence_pipeline.rollout.engine.cache import BatchCache


@dataclass
class Speaker:
    """One episode in the batch."""

    episode: Episode
    uniforms: np.ndarray
    """Random numbers of this episode by position."""
    turn: list[int] = field(default_factory=list)
    """What the agent has written of the present turn."""


@dataclass(kw_only=True)
class Row(Text):
    """A transcript and who shares it."""

    speakers: list[Speaker]

    @property
    def writes(self) -> bool:
        """Whether everything has been read, so that the next token is the agents'."""
        return self.read == len(self.tokens)

    def branch(self, said: Sequence[tuple[Speaker, list[int]]]) -> list[Row]:
        """What becomes of the row: a row for each way in which it goes on, the first of them this one.

        Args:
            said: The speakers whose episodes go on, each with the tokens that follow.
        """
        if not said:
            return []
        ways: dict[tuple[int, ...], list[Speaker]] = {}
        for speaker, tokens in said:
            ways.setdefault(tuple(tokens), []).append(speaker)
        first, *others = ways.items()
        branches = [Row([*self.tokens, *tokens], self.read, speakers=speakers) for tokens, speakers in others]
        self.tokens += first[0]
        self.speakers = first[1]
        return [self, *branches]


def rows_of(prompts: Iterable[tuple[Sequence[int], Speaker]]) -> list[Row]:
    """One row for all speakers with the same prompt, in the order in which prompts first occur."""
    rows: dict[tuple[int, ...], Row] = {}
    for prompt, speaker in prompts:
        rows.setdefault(tuple(prompt), Row(list(prompt), speakers=[])).speakers.append(speaker)
    return list(rows.values())


def settle(heirs: Sequence[list[Row]], cache: BatchCache) -> list[Row]:
    """The rows of the next step: what has become of each row, given a place in the cache.

    A row stays where it was, if there is still such a place; the others take what has become free.
    """
    n_rows = sum(map(len, heirs))
    settled: list[Row | None] = [None] * n_rows
    seeking: list[tuple[int, Row]] = []
    for place, rows in enumerate(heirs):
        for branch, row in enumerate(rows):
            if branch or place >= n_rows:
                seeking.append((place, row))
            else:
                settled[place] = row
    free = [place for place, row in enumerate(settled) if row is None]
    for place, (_, row) in zip(free, seeking, strict=True):
        settled[place] = row
    if seeking or n_rows != len(heirs):
        cache.move([origin for origin, _ in seeking], free, n_rows)
    return [row for row in settled if row is not None]
