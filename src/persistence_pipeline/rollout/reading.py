"""How a batch reads: what its prompts share is read once, and how many tokens a step gives to every row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

STEP_COST = 64
"""A forward pass costs about as much as this many tokens beside what it costs for each token."""


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


def width_of_step(awaited: Sequence[int]) -> int:
    """Tokens of every row that a step reads, where row ``i`` awaits ``awaited[i]``: most tokens for their cost.

    A row that awaits fewer costs as much as the others.
    """
    waiting = np.asarray(awaited)
    widths = np.unique(waiting)
    read = np.minimum(waiting[:, None], widths).sum(0)
    return int(widths[np.argmax(read / (STEP_COST + len(waiting) * widths))])
