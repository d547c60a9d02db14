"""Padding a batch, bit for bit as TRL does; which pairs make a step, and how it is shared out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st


def test_a_batch_is_trls_with_the_agents_tokens_alone_to_be_scored() -> None:
    import torch
    from trl.trainer.dpo_trainer import DataCollatorForPreference

    from persistence_pipeline.training.batches import AgentTokensCollator

    example = {
        "prompt_ids": [5, 6, 7],
        "chosen_ids": [8, 9],
        "rejected_ids": [4, 3, 2, 1],
        "chosen_mask": [0, 1],
        "rejected_mask": [1, 0, 0, 1],
        "ref_chosen_logps": -1.5,
        "ref_rejected_logps": -2.25,
    }
    shorter = {**example, "prompt_ids": [5], "ref_chosen_logps": -0.1}
    theirs = DataCollatorForPreference(pad_token_id=11)([example, shorter])
    ours = AgentTokensCollator(pad_token_id=11)([example, shorter])
    assert ours.keys() == theirs.keys()
    masks = ours.pop("completion_mask")
    assert masks.tolist() == [
        [0, 0, 0, 0, 1, 0, 0],
        [0, 0, 1, 0, 0, 0, 0],
        [0, 0, 0, 1, 0, 0, 1],
        [0, 1, 0, 0, 1, 0, 0],
    ]
    assert masks.dtype == theirs["completion_mask"].dtype
    for name, found in ours.items():
        assert torch.equal(found, theirs[name]), name
        assert found.dtype == theirs[name].dtype, name


SIZES = st.integers(1, 5)


@given(n=st.integers(1, 60), batch_size=SIZES, accumulation=SIZES, processes=SIZES)
def test_every_pair_of_a_step_has_the_same_weight_however_the_step_is_divided(
    n: int, batch_size: int, accumulation: int, processes: int
) -> None:
    from persistence_pipeline.training.batches import EpochSampler, StepSampler

    step = batch_size * accumulation * processes

    def batches(process: int) -> list[Any]:
        order = EpochSampler(step, [1] * n, seed=0)
        sampler = StepSampler(order, batch_size, accumulation, processes, process)
        mine = list(sampler)
        assert len(mine) == len(sampler)
        return mine

    of_all = [batches(process) for process in range(processes)]
    assert len({len(mine) for mine in of_all}) == 1
    done = []
    for start in range(0, len(of_all[0]), accumulation):
        rounds = of_all[0][start : start + accumulation]
        weights: dict[int, float] = {}
        for mine in of_all:
            for batch in mine[start : start + accumulation]:
                assert 1 <= len(batch) <= batch_size
                for pair, weight, _ in batch:
                    part = weight / len(batch) / len(rounds) / processes
                    weights[pair] = weights.get(pair, 0) + part
        assert list(weights.values()) == pytest.approx([1 / len(weights)] * len(weights))
        assert sum(batch[0].share for batch in rounds) == pytest.approx(len(rounds))
        if len(weights) == step:
            assert {place.weight for batch in rounds for place in batch} == {1.0}
        done += weights
    assert sorted(done) == list(range(n))
