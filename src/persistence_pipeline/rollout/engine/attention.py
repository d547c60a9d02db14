"""Attention of a step: every row its last token, rows in prefill the tokens before it, over keys of their own.

The tokens of a step stand in one line without padding: first the last token of every row, then the tokens before
it of the rows that have several (``prefill.py``). Keys and values lie in the cache of the batch (``cache.py``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


class AttentionError(TypeError):
    """A model whose attention cannot be computed in a batch of rows; says what to do."""


@dataclass(frozen=True)
class PrefillGroup:
    """Rows in which about as many tokens stand before their last one in a step."""

    rows: torch.Tensor
    """(m) their indices."""
    tokens: torch.Tensor
    """(m, widest) where their tokens stand in the step; padded with the first."""
    mask: torch.Tensor
    """(m, 1, widest, keys) additive."""
    filled: torch.Tensor
    """Indices of what is no padding, in the flattened (m, widest)."""
    masks: dict[int, torch.Tensor] = field(default_factory=dict)

    def mask_for(self, queries: int) -> torch.Tensor:
        """The mask (m, 1, queries · widest, keys) of so many heads that read the same keys: made once a step."""
        if queries not in self.masks:
            self.masks[queries] = self.mask.repeat(1, 1, queries, 1)
        return self.masks[queries]


def decode_attention(
    query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """One scaled query a row, over its own keys.

    Args:
        query: (rows, key heads, queries of a key head, size): the heads that read the same keys lie side by side.
        keys: (rows, key heads, length, size).
        values: Likewise.
        mask: (rows, 1, 1, length) additive.

    Returns:
        (rows, key heads, queries of a key head, size).
    """
    import torch

    scores = torch.matmul(query, keys.transpose(-1, -2)).add_(mask)
    weights = torch.softmax(scores, -1, dtype=torch.float32)
    return torch.matmul(weights.to(values.dtype), values)


def prefill_attention(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    group: PrefillGroup,
) -> torch.Tensor:
    """The same for the tokens before the last ones; each of these rows is given its keys in one piece.

    Args:
        query: (tokens of the step, key heads, queries of a key head, size).
        keys: (rows, key heads, length, size).
        values: Likewise.
        group: Which rows and tokens.

    Returns:
        (tokens of the group without padding, key heads, queries of a key head, size).
    """
    import torch

    keys, values = keys.index_select(0, group.rows), values.index_select(0, group.rows)
    _, heads, queries, size = query.shape
    m, widest = group.tokens.shape
    by_row = query.index_select(0, group.tokens.flatten()).view(m, widest, heads, queries, size)
    outputs = torch.nn.functional.scaled_dot_product_attention(
        by_row.permute(0, 2, 3, 1, 4).reshape(m, heads, queries * widest, size),
        keys,
        values,
        attn_mask=group.mask_for(queries),
        scale=1.0,
    )
    by_token = outputs.view(m, heads, queries, widest, size).permute(0, 3, 1, 2, 4)
    return by_token.reshape(m * widest, heads, queries, size).index_select(0, group.filled)
