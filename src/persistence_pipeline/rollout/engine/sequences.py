"""Rows of a batch: a transcript, and all sequences that have it in common.

Sequences with the same tokens, such as samples of one case, are one row as long as they remain alike: the model
computes their tokens once, and each draws its own next token from the same distribution. Where they part, the
row branches. What a sequence is, its owner knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

S = TypeVar("S")


@dataclass
class SequenceGroup(Generic[S]):
    """The tokens of a row, how many of them the model has computed, and who shares them."""

    tokens: list[int]
    n_computed: int = 0
    sequences: list[S] = field(default_factory=list)

    @property
    def is_decoding(self) -> bool:
        """True if everything has been computed, so that the next token is to be sampled."""
        return self.n_computed == len(self.tokens)

    def branch(self, continued: Sequence[tuple[S, list[int]]]) -> list[SequenceGroup[S]]:
        """A row for each way in which the sequences go on, the first of them this one; none where none goes on.

        Args:
            continued: The sequences that go on, each with the tokens that follow.
        """
        if not continued:
            return []
        by_tokens: dict[tuple[int, ...], list[S]] = {}
        for sequence, tokens in continued:
            by_tokens.setdefault(tuple(tokens), []).append(sequence)
        (first, self.sequences), *others = by_tokens.items()
        branches = [
            SequenceGroup([*self.tokens, *tokens], self.n_computed, sequences) for tokens, sequences in others
        ]
        self.tokens += first
        return [self, *branches]


def group_by_prompt(prompts: Iterable[tuple[Sequence[int], S]]) -> list[SequenceGroup[S]]:
    """One row for all sequences with the same prompt, in the order in which prompts first occur."""
    rows: dict[tuple[int, ...], SequenceGroup[S]] = {}
    for prompt, sequence in prompts:
        rows.setdefault(tuple(prompt), SequenceGroup(list(prompt))).sequences.append(sequence)
    return list(rows.values())


def place_rows(
    branches: Sequence[list[SequenceGroup[S]]],
) -> tuple[list[SequenceGroup[S]], list[int], list[int]]:
    """Give every row of the next step a place in the batch, with as few copies in the cache as possible.

    A row stays where it was, if there is still such a place; the others take what has become free.

    Args:
        branches: By row of the last step: what has become of it.

    Returns:
        The rows by place; which places of the cache are to be copied, and where to (``KVCache.reorder``).
    """
    n_rows = sum(map(len, branches))
    placed: list[SequenceGroup[S] | None] = [None] * n_rows
    seeking: list[tuple[int, SequenceGroup[S]]] = []
    for place, rows in enumerate(branches):
        for branch, row in enumerate(rows):
            if branch or place >= n_rows:
                seeking.append((place, row))
            else:
                placed[place] = row
    free = [place for place, row in enumerate(placed) if row is None]
    for place, (_, row) in zip(free, seeking, strict=True):
        placed[place] = row
    return [row for row in placed if row is not None], [origin for origin, _ in seeking], free
