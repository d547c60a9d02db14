"""Attention in bfloat16 on a CPU as two products of matrices, instead of PyTorch's fused kernel.

On a CPU that has units for products of matrices, forward and backward of that kernel take about twice as long as
the products and the softmax on their own. Scores are rounded to bfloat16 here, as in transformers' own ``eager``
attention. Elsewhere, and for all that a model adds to attention, nothing changes.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

NAME = "bfloat16_products"
ADDED = ("softcap", "s_aux", "position_bias")
"""What some models add to attention, by the names under which transformers hands it on."""


def use_products(model: Any) -> None:
    """Have a model that attends by PyTorch's fused kernel attend by products where those are faster."""
    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    if model.config._attn_implementation == "sdpa":
        model.set_attn_implementation(NAME)


def attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of whole sequences, (rows, tokens, heads, units of a head).

    Args:
        module: The layer; its dropout is used while it trains.
        query: (rows, heads, tokens, units of a head).
        key: The same with as many heads or fewer.
        value: As ``key``.
        attention_mask: (rows, 1, tokens, tokens), true or nought where a token (third) sees another (last); None:
            all earlier ones and itself.
        dropout: Share of the weights that are left out.
        scaling: Of the scores; None: one over the root of the units of a head.
        others: What else the model asks of attention.
    """
    fused = query.dtype != torch.bfloat16 or query.device.type != "cpu" or dropout > 0
    if fused or query.shape[2] != key.shape[2] or any(others.get(name) is not None for name in ADDED):
        return sdpa_attention_forward(  # type: ignore[no-any-return]
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **others
        )
    rows, heads, tokens, units = query.shape
    # the heads that share a key stand below each other, so that nothing is repeated
    shared = (query * (scaling or units**-0.5)).reshape(rows, key.shape[1], -1, units)
    scores = torch.matmul(shared, key.transpose(2, 3)).view(rows, heads, tokens, tokens)
    weights = scores.add_(_bias(attention_mask, scores)).softmax(-1)
    mixed = torch.matmul(weights.view(rows, key.shape[1], -1, tokens), value).view(rows, heads, tokens, -1)
    return mixed.transpose(1, 2).contiguous(), None


def _bias(mask: torch.Tensor | None, scores: torch.Tensor) -> torch.Tensor:
    """What is added to scores: minus infinity where a token is not seen."""
    if mask is None:
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
    return mask if mask.dtype != torch.bool else scores.new_zeros(mask.shape).masked_fill_(~mask, -torch.inf)
