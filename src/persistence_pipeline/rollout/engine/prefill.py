"""How a batch reads: what its prompts share is read once, and which tokens of which rows stand in a step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

STEP_TOKENS = 4096
"""Tokens that a step reads at most, beside one of every row: this bounds the memory of a forward pass."""
LONG = 64
"""Beginnings of this many tokens are kept once for all that share them, where on average two or more do."""


@dataclass
class Text:
    """Tokens of a row, and how far the model has read them."""

    tokens: list[int]
    read: int = 0


@dataclass(frozen=True)
class Step:
    """What one forward pass reads: the last token of every row, then the tokens before it of rows with several."""

    tokens: list[int]
    positions: np.ndarray
    """(tokens) where each stands in its row."""
    row_of_token: np.ndarray
    """(tokens)"""
    counts: np.ndarray
    """(rows) how many tokens each row reads."""

    @property
    def n_rows(self) -> int:
        """Rows of the batch."""
        return len(self.counts)

    def several(self) -> list[np.ndarray]:
        """Where the tokens before the last ones stand, rows of like numbers together: (rows, widest), else -1."""
        before = self.counts - 1
        starts = self.n_rows + np.cumsum(before) - before
        sizes = np.ceil(np.log2(np.maximum(before, 1))).astype(int)
        groups = []
        for size in np.unique(sizes[before > 0]):
            rows = np.flatnonzero((before > 0) & (sizes == size))
            column = np.arange(before[rows].max())
            groups.append(np.where(column < before[rows, None], starts[rows, None] + column, -1))
        return groups


def next_step(rows: Sequence[Text]) -> Step:
    """Take from every row what it has not read, at least one token each.

    A row that has been read to its end reads its last token again.
    """
    counts = np.maximum([len(row.tokens) - row.read for row in rows], 1)
    n_rows = len(rows)
    if counts.sum() > n_rows + STEP_TOKENS:
        spent = np.minimum(np.cumsum(counts - 1), STEP_TOKENS)
        counts = 1 + np.diff(spent, prepend=0)
    before = counts - 1
    for row, count in zip(rows, counts.tolist(), strict=True):
        row.read = min(row.read + count, len(row.tokens))
    tokens = [row.tokens[row.read - 1] for row in rows]
    ends = np.array([row.read - 1 for row in rows])
    wide = np.flatnonzero(before)
    tokens += chain.from_iterable(
        row.tokens[row.read - 1 - n : row.read - 1] for row, n in ((rows[int(i)], int(before[i])) for i in wide)
    )
    row_of_token = np.concatenate([np.arange(n_rows), np.repeat(wide, before[wide])])
    back = np.repeat(np.cumsum(before[wide]), before[wide]) - np.arange(before.sum())
    positions = np.concatenate([ends, ends[row_of_token[n_rows:]] - back])
    return Step(tokens, positions, row_of_token, counts)


def kept_apart(lengths: Sequence[int], n_episodes: int) -> bool:
    """Whether beginnings of these lengths are worth keeping once, rather than in each row.

    Rows that are one so far count as often as they can branch.
    """
    return n_episodes >= 2 * len(lengths) and sum(lengths) >= LONG * len(lengths)


def share_prefixes(prompts: Sequence[list[int]]) -> tuple[list[list[int]], list[int]]:
    """Beginnings that prompts have in common, and for each prompt the index of its own.

    In their order, a prompt joins the prompts before it where shortening their common beginning costs less than
    reading another one. At least one token of every prompt is left to be read.
    """
    prefixes: list[list[int]] = []
    of_prompt = [0] * len(prompts)
    size = 0
    for index in sorted(range(len(prompts)), key=lambda i: prompts[i]):
        own = prompts[index][:-1]
        common = _common(prefixes[-1], own) if prefixes else []
        if prefixes and size * (len(prefixes[-1]) - len(common)) <= len(common):
            prefixes[-1], size = common, size + 1
        else:
            prefixes, size = [*prefixes, own], 1
        of_prompt[index] = len(prefixes) - 1
    return prefixes, of_prompt


def _common(one: list[int], other: list[int]) -> list[int]:
    n = min(len(one), len(other))
    if one[:n] == other[:n]:
        return one[:n]
    return one[: next(index for index in range(n) if one[index] != other[index])]
