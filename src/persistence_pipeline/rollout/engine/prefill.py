"""Prefill: prefixes that prompts share are computed once, and a step takes tokens of all rows without padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from persistence_pipeline.rollout.engine.sequences import SequenceGroup

STEP_TOKENS = 4096
"""Tokens that a step computes at most, beside one of every row: this bounds the memory of a forward pass."""


@dataclass(frozen=True)
class Step:
    """The tokens of one forward pass: the last one of every row, then those before it of rows in prefill."""

    tokens: list[int]
    positions: np.ndarray
    """(tokens) where each stands in its row."""
    row_of_token: np.ndarray
    """(tokens)"""
    counts: np.ndarray
    """(rows) how many tokens of each row are computed."""

    @property
    def n_rows(self) -> int:
        """Rows of the batch."""
        return len(self.counts)

    def prefill_groups(self) -> list[np.ndarray]:
        """Places of the tokens before the last ones, rows of like numbers together: (rows, widest), else -1."""
        before = self.counts - 1
        starts = self.n_rows + np.cumsum(before) - before
        sizes = np.ceil(np.log2(np.maximum(before, 1))).astype(int)
        groups = []
        for size in np.unique(sizes[before > 0]):
            rows = np.flatnonzero((before > 0) & (sizes == size))
            column = np.arange(before[rows].max())
            groups.append(np.where(column < before[rows, None], starts[rows, None] + column, -1))
        return groups


def next_step(rows: Sequence[SequenceGroup[Any]]) -> Step:
    """Take from every row the tokens that are not computed yet, at least one each.

    Of a row that has none left the last token is computed again.
    """
    counts = np.maximum([len(row.tokens) - row.n_computed for row in rows], 1)
    n_rows = len(rows)
    if counts.sum() > n_rows + STEP_TOKENS:
        spent = np.minimum(np.cumsum(counts - 1), STEP_TOKENS)
        counts = 1 + np.diff(spent, prepend=0)
    before = counts - 1
    for row, count in zip(rows, counts.tolist(), strict=True):
        row.n_computed = min(row.n_computed + count, len(row.tokens))
    tokens = [row.tokens[row.n_computed - 1] for row in rows]
    ends = np.array([row.n_computed - 1 for row in rows])
    wide = np.flatnonzero(before)
    for index in wide.tolist():
        end = rows[index].n_computed - 1
        tokens += rows[index].tokens[end - int(before[index]) : end]
    row_of_token = np.concatenate([np.arange(n_rows), np.repeat(wide, before[wide])])
    back = np.repeat(np.cumsum(before[wide]), before[wide]) - np.arange(before.sum())
    positions = np.concatenate([ends, ends[row_of_token[n_rows:]] - back])
    return Step(tokens, positions, row_of_token, counts)


def share_prefixes(prompts: Sequence[list[int]]) -> tuple[list[list[int]], list[int]]:
    """Prefixes that prompts have in common, and for each prompt the index of its own.

    In their order, a prompt joins the prompts before it where shortening their common prefix costs less than
    computing another one. At least one token of every prompt is left to be computed.
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
