"""What a batch reads at once, what it reads once for many, and what its cache holds when rows leave."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persistence_pipeline.rollout.engine import prefill
from persistence_pipeline.rollout.engine.cache import KVCache
from persistence_pipeline.rollout.engine.prefill import next_step, share_prefixes
from persistence_pipeline.rollout.engine.sequences import SequenceGroup

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


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 20), st.integers(0, 19)), min_size=1, max_size=9), st.integers(0, 30))
def test_steps_read_every_token_once_and_in_order(sizes: list[tuple[int, int]], limit: int) -> None:
    rows = [
        SequenceGroup([100 * i + n for n in range(size)], min(read, size - 1))
        for i, (size, read) in enumerate(sizes)
    ]
    heard = [row.tokens[: row.n_computed] for row in rows]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prefill, "STEP_TOKENS", limit)
        while any(row.n_computed < len(row.tokens) for row in rows):
            step = next_step(rows)
            assert len(step.tokens) <= len(rows) + limit and step.n_rows == len(rows)
            assert step.row_of_token[: len(rows)].tolist() == list(range(len(rows)))
            spoken = sorted(zip(step.row_of_token.tolist(), step.positions.tolist(), step.tokens, strict=True))
            for row, position, token in spoken:
                assert position in (len(heard[row]), len(rows[row].tokens) - 1)
                heard[row] = [*heard[row][:position], token]
    assert heard == [row.tokens for row in rows]


def test_rows_that_read_about_as_much_are_read_together() -> None:
    rows = [SequenceGroup(list(range(n)), 0) for n in (1, 2, 9, 8, 1, 3)]
    step = next_step(rows)
    groups = [[[step.tokens[t] for t in row if t >= 0] for row in group] for group in step.prefill_groups()]
    assert groups == [[[0]], [[0, 1]], [[*range(8)], [*range(7)]]]
    assert sorted(t for group in step.prefill_groups() for t in group.flat if t >= 0) == list(
        range(6, len(step.tokens))
    )


def test_the_cache_holds_each_row_at_its_own_length() -> None:
    """Rows begin alike, go on at their own positions, and keep what is theirs when others leave.

    A query of zeros attends to all that it sees alike, so that its output is the mean.
    """
    import torch

    cache = KVCache(1000, 8, torch.device("cpu"), torch.float32)

    def means(values: list[list[float]], starts: list[int]) -> list[float]:
        rows = [SequenceGroup([0] * (start + len(new)), start) for start, new in zip(starts, values, strict=True)]
        step = next_step(rows)
        cache.set_step(step)
        row_of_token = step.row_of_token.tolist()
        new = [
            values[row][position - starts[row]]
            for row, position in zip(row_of_token, step.positions.tolist(), strict=True)
        ]
        written = torch.tensor(new)[None, None, :, None].float()
        cache.update(written, written, 0)
        return [float(mean) for mean in cache.attend(torch.zeros(len(new), 2, 1), 0)[:, 1, 0]]

    def mean(values: Sequence[float]) -> Any:
        return pytest.approx(sum(values) / len(values))

    read = means([[1, 2, 3], [4, 5]], [0, 0])
    assert read == [mean([1, 2, 3]), mean([4, 5]), 1, mean([1, 2]), 4]
    cache.broadcast([0, 1, 1])
    assert means([[6], [7], [8]], [3, 2, 2]) == [mean([1, 2, 3, 6]), mean([4, 5, 7]), mean([4, 5, 8])]
    cache.reorder([2], [0], 2)
    assert means([[9], [0, 1]], [3, 3]) == [mean([4, 5, 8, 9]), mean([4, 5, 7, 0, 1]), mean([4, 5, 7, 0])]
    long = [float(n) for n in range(200)]
    assert means([long, [2]], [4, 5])[:2] == [mean([4, 5, 8, 9, *long]), mean([4, 5, 7, 0, 1, 2])]
    means([[float("inf")], [float("nan")]], [150, 20])
    cache.reset()
    assert means([[3, 5], [7], [9]], [0, 0, 0]) == [4, 7, 9, 3]
    assert means([long, [1]], [2, 1])[1] == mean([7, 1])
