"""Attention by products: as the fused kernel's, to the rounding of bfloat16, and the kernel's own elsewhere."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from persistence_pipeline.training.attention import NAME, attend, use_products

HEADS, SHARED_BY, TOKENS, UNITS = 6, 3, 33, 16
ROUNDING = 0.03
"""Of attention over random values of variance one, in bfloat16."""


def _sides(dtype: torch.dtype, seed: int = 0) -> list[torch.Tensor]:
    torch.manual_seed(seed)
    heads = (HEADS, HEADS // SHARED_BY, HEADS // SHARED_BY)
    return [torch.randn(2, n, TOKENS, UNITS).to(dtype).requires_grad_() for n in heads]


def _layer() -> Any:
    return SimpleNamespace(num_key_value_groups=SHARED_BY, is_causal=True, training=True)


def _mask() -> torch.Tensor:
    """Causal, and the second row's last tokens do not see the middle ones: two sides that share a beginning."""
    mask = torch.ones(TOKENS, TOKENS, dtype=torch.bool).tril().repeat(2, 1, 1, 1)
    mask[1, :, 22:, 11:22] = False
    return mask


@pytest.mark.parametrize("mask", [None, _mask()], ids=["causal", "packed"])
@pytest.mark.parametrize("scaling", [None, 0.5])
def test_products_attend_as_the_kernel_does_and_so_do_their_gradients(
    mask: torch.Tensor | None, scaling: float | None
) -> None:
    exact, halves = _sides(torch.float32), _sides(torch.bfloat16)
    expected, _ = sdpa_attention_forward(_layer(), *exact, mask, scaling=scaling)
    found, _ = attend(_layer(), *halves, mask, scaling=scaling)
    torch.manual_seed(1)
    towards = torch.randn_like(expected)
    (expected * towards).sum().backward()
    (found * towards.bfloat16()).sum().backward()
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), expected, rtol=0.02, atol=ROUNDING)
    for whole, half in zip(exact, halves, strict=True):
        torch.testing.assert_close(half.grad.float(), whole.grad, rtol=0.02, atol=3 * ROUNDING)


def test_a_mask_of_numbers_is_added() -> None:
    sides, mask = _sides(torch.bfloat16), _mask()
    added = torch.zeros(mask.shape, dtype=torch.bfloat16).masked_fill(~mask, -torch.inf)
    assert torch.equal(attend(_layer(), *sides, added)[0], attend(_layer(), *sides, mask)[0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_not_plain_attention_is_left_to_the_kernel(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    module = "persistence_pipeline.training.attention.sdpa_attention_forward"
    monkeypatch.setattr(module, lambda *args, **settings: asked.append(settings) or (args[1], None))
    attend(_layer(), *_sides(dtype), None, softcap=30.0)
    assert asked[-1]["softcap"] == 30.0
    attend(_layer(), *_sides(dtype), None, dropout=0.1)
    assert len(asked) == 2
    attend(_layer(), *_sides(dtype), None)
    assert len(asked) == (3 if dtype == torch.float32 else 2)


def test_a_model_attends_by_products_and_is_saved_as_it_was(tmp_path: Any) -> None:
    shape = {"hidden_size": 96, "num_attention_heads": 6, "num_key_value_heads": 2, "num_hidden_layers": 2}
    config = LlamaConfig(vocab_size=50, intermediate_size=64, **shape)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(tmp_path / "before")
    ids = torch.arange(24).reshape(2, 12)
    plain = model(ids).logits
    use_products(model)
    assert model.config._attn_implementation == NAME
    torch.testing.assert_close(model(ids).logits, plain, rtol=0.02, atol=0.02)
    model.save_pretrained(tmp_path / "after")
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "after" / name).read_bytes() == (tmp_path / "before" / name).read_bytes()
    eager = AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    use_products(eager)
    assert eager.config._attn_implementation == "eager"
