"""The head that scores the agent's tokens alone, against TRL's."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

LLAMA = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
SHAPES: dict[str, dict[str, Any]] = {
    "llama": LLAMA,
    "qwen2": {**LLAMA, "num_key_value_heads": 1, "tie_word_embeddings": True},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 2},
    "bloom": {"hidden_size": 32, "n_layer": 2, "n_head": 2},
    "gemma2": {**LLAMA, "head_dim": 16, "num_key_value_heads": 2},
    "granite": {**LLAMA, "logits_scaling": 4.0},
    "mistral": {**LLAMA, "num_key_value_heads": 2, "sliding_window": 8},
}
VOCABULARY = 179


def model(kind: str, *, ours: bool, adapters: bool = False) -> Any:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM
    from trl.trainer.utils import add_fused_lm_head

    from persistence_pipeline.training.agent_tokens import narrow_head
    from persistence_pipeline.training.models import with_adapters
    from persistence_pipeline.training.settings import LoraSettings

    torch.set_num_threads(1)
    torch.manual_seed(0)
    shape = {"initializer_range": 0.2, **SHAPES[kind], "vocab_size": VOCABULARY}
    made = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **shape)).eval()
    whole = with_adapters(made, LoraSettings(dropout=0) if adapters else None, 0)
    add_fused_lm_head(made, outputs=("log_probs", "entropy", "mean_logits", "is_top1"))
    if ours:
        narrow_head(whole)
    return whole


def pairs(shapes: list[tuple[int, int, int]], seed: int = 0) -> dict[str, Any]:
    """Rows of pairs: tokens that the sides share, and what each has beside."""
    from persistence_pipeline.training.encoding import pad_right

    rng = random.Random(seed)
    sides: tuple[list[list[int]], list[list[int]]] = ([], [])
    for shared, *own in shapes:
        start = [rng.randrange(VOCABULARY) for _ in range(shared)]
        for side, n in zip(sides, own, strict=True):
            side.append(start + [rng.randrange(VOCABULARY) for _ in range(n)])
    rows = [*sides[0], *sides[1]]
    labels = [[-100, *(token if rng.random() < 0.4 else -100 for token in row[1:])] for row in rows]
    labels = [[*row[:-1], token[-1]] for row, token in zip(labels, rows, strict=True)]
    return {
        "input_ids": pad_right(rows, 0),
        "attention_mask": pad_right([[1] * len(row) for row in rows], 0),
        "labels": pad_right(labels, -100),
    }


def is_ours(model: Any) -> bool:
    return bool(model.forward.__module__ == "persistence_pipeline.training.agent_tokens")


@pytest.mark.parametrize("kind", ["llama", "qwen2", "gpt2", "mistral"])
@pytest.mark.parametrize("adapters", [False, True])
@settings(max_examples=8, deadline=None)
@given(shapes=st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=4))
def test_scores_and_gradients_are_those_of_trl(
    kind: str, adapters: bool, shapes: list[tuple[int, int, int]]
) -> None:
    import torch

    if adapters and kind == "gpt2":
        return
    batch, found = pairs(shapes), []
    for ours in (False, True):
        made = model(kind, ours=ours, adapters=adapters)
        scored = made(**batch, fused_lm_head=True, use_cache=False)
        scored.log_probs.pow(2).sum().backward()
        gradients = {name: p.grad for name, p in made.named_parameters() if p.requires_grad}
        found.append((scored, gradients))
    (theirs, expected), (mine, gradients) = found
    assert torch.allclose(theirs.log_probs, mine.log_probs, atol=1e-4)
    assert torch.equal(theirs.label_mask, mine.label_mask) and mine.log_probs.count_nonzero() > 0
    for name, gradient in expected.items():
        assert torch.allclose(gradient, gradients[name], atol=1e-4 * (1 + float(gradient.abs().max()))), name


def test_what_a_pair_shares_goes_through_the_model_once() -> None:
    import torch

    from persistence_pipeline.training.agent_tokens import pack

    packed = pack(torch.tensor([[1, 2, 3, 4, 0], [1, 2, 5, 6, 7]]), torch.tensor([4, 5]))
    assert packed.ids.tolist() == [[1, 2, 3, 4, 5, 6, 7]]
    assert packed.positions.tolist() == [[0, 1, 2, 3, 2, 3, 4]]
    assert packed.places[1].tolist() == [0, 1, 4, 5, 6]
    assert packed.visible[0, 0, 5].tolist() == [True, True, False, False, True, True, False]


@pytest.mark.parametrize("kind", ["gemma2", "granite", "bloom"])
def test_models_that_do_more_are_left_to_trl(kind: str) -> None:
    """Capped logits, scaled logits, positions that are not told."""
    assert not is_ours(model(kind, ours=True))
    assert is_ours(model("llama", ours=True))


def test_what_lies_beyond_a_window_is_left_to_trl() -> None:
    import torch

    batch = pairs([(6, 14, 9)])
    scored = [model("mistral", ours=ours)(**batch, fused_lm_head=True) for ours in (False, True)]
    assert torch.equal(scored[0].log_probs, scored[1].log_probs)
