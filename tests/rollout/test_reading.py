"""What a batch reads at once, what it reads once for many, and what its cache holds when rows leave."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persistence_pipeline.rollout.cache import BatchCache
from persistence_pipeline.rollout.reading import share_prefixes, width_of_step

TOOLS = list(range(100, 140))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=8), min_size=1, max_size=12))
def test_every_prompt_begins_with_its_prefix_and_keeps_a_token_to_read(prompts: list[list[int]]) -> None:
    prefixes, of_prompt = share_prefixes(prompts)
    for prompt, prefix in zip(prompts, of_prompt, strict=True):
        assert prompt[: len(prefixes[prefix])] == prefixes[prefix]
        assert len(prefixes[prefix]) < len(prompt)
    read_alone = sum(len(prompt) - 1 for prompt in prompts)
    left = sum(len(prompt) - 1 - len(prefixes[prefix]) for prompt, prefix in zip(prompts, of_prompt, strict=True))
    assert sum(map(len, prefixes)) + left <= read_alone


@pytest.mark.parametrize(
    ("prompts", "prefixes"),
    [
        ([[*TOOLS, n, 7] for n in range(5)], [TOOLS]),
        ([[*TOOLS, 1], [9, *TOOLS], [*TOOLS, 2]], [[9, *TOOLS[:-1]], TOOLS]),
        ([[1, 2, 3], [1, 2, 3]], [[1, 2]]),
        ([[1]], [[]]),
    ],
)
def test_what_prompts_share_is_read_once(prompts: list[list[int]], prefixes: list[list[int]]) -> None:
    assert share_prefixes(prompts)[0] == prefixes


@pytest.mark.parametrize(
    ("awaited", "width"), [([1] * 9, 1), ([40] * 64, 40), ([1] * 200 + [40] * 56, 1), ([1, 40, 40], 40)]
)
def test_a_step_is_wide_where_most_rows_have_much_to_read(awaited: Sequence[int], width: int) -> None:
    assert width_of_step(awaited) == width


def test_the_cache_holds_each_row_at_its_own_length() -> None:
    """Rows begin as copies, go on at their own positions, and keep what is theirs when others leave."""
    import torch

    cache = BatchCache(1000)

    def write(values: list[list[float]], starts: list[int]) -> list[list[float]]:
        new = torch.tensor(values).float()[:, None, :, None]
        mask = cache.at(torch.tensor(starts)[:, None] + torch.arange(new.shape[2]))
        seen, _ = cache.update(new, new, 0)
        return [
            [float(v) for v, hidden in zip(row, rule, strict=True) if hidden == 0]
            for row, rule in zip(seen[:, 0, :, 0], mask[:, 0, -1], strict=True)
        ]

    assert write([[1, 2, 3], [4, 5, -1]], [0, 0]) == [[1, 2, 3], [4, 5, -1]]
    cache.spread([0, 1, 1])
    assert write([[6], [7], [8]], [3, 2, 2]) == [[1, 2, 3, 6], [4, 5, 7], [4, 5, 8]]
    cache.move([2], [0])
    assert write([[9], [0]], [3, 3]) == [[4, 5, 8, 9], [4, 5, 7, 0]]
    long = [[float(n) for n in range(200)]] * 2
    assert write(long, [4, 4]) == [[4, 5, 8, 9, *long[0]], [4, 5, 7, 0, *long[0]]]
