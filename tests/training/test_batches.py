"""What a stage does faster than TRL, bit for bit the same: padding a batch, scoring over a small vocabulary."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

SHAPES = {
    "llama": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64},
    "qwen2": {
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "intermediate_size": 48,
        "tie_word_embeddings": True,
    },
    "gpt2": {"n_embd": 32, "n_layer": 1, "n_head": 2},
}


def model(kind: str, seed: int = 0, **change: Any) -> Any:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    config = AutoConfig.for_model(kind, **{**SHAPES.get(kind, SHAPES["llama"]), "vocab_size": 179, **change})
    return AutoModelForCausalLM.from_config(config).eval()


def batch() -> dict[str, Any]:
    """Six rows of 23 tokens, the last five padded; labels of the middle."""
    import torch

    ids = torch.randint(0, 179, (6, 23), generator=torch.Generator().manual_seed(1))
    attention = torch.ones_like(ids)
    attention[:, -5:] = 0
    labels = ids.clone()
    labels[:, :4] = labels[:, -5:] = -100
    return {"input_ids": ids, "attention_mask": attention, "labels": labels, "use_cache": False}


@pytest.mark.parametrize("kind", SHAPES)
def test_scores_and_gradients_are_those_of_trl(kind: str) -> None:
    import torch
    from trl.trainer.utils import add_fused_lm_head

    from persistence_pipeline.training.narrow_head import OF_A_STEP, NarrowHead, fit_tiles

    theirs, bare = model(kind), model(kind)
    add_fused_lm_head(theirs, outputs=OF_A_STEP)
    ours = fit_tiles(bare, OF_A_STEP)
    assert isinstance(ours, NarrowHead)
    results = [score(**batch(), fused_lm_head=True) for score in (theirs, ours)]
    for field in (*OF_A_STEP, "label_mask"):
        expected, found = (getattr(result, field) for result in results)
        assert torch.equal(expected, found), field
    assert results[0].log_probs.count_nonzero() == 6 * 14
    for result in results:
        result.log_probs.pow(2).sum().backward()
    for (name, expected), found in zip(theirs.named_parameters(), bare.parameters(), strict=True):
        assert torch.equal(expected.grad, found.grad), name


@pytest.mark.parametrize(
    ("kind", "change"), [("gemma2", {"head_dim": 16}), ("granite", {}), ("llama", {"vocab_size": 40_000})]
)
def test_heads_that_do_more_are_left_to_trl(kind: str, change: dict[str, Any]) -> None:
    """Capped logits, scaled logits, a vocabulary of more than a tile."""
    from persistence_pipeline.training.narrow_head import LOG_PROBS, fit_tiles

    whole = model(kind, **change)
    assert fit_tiles(whole, LOG_PROBS) is whole


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
