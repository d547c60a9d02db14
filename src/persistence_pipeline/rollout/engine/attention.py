"""Attention of a step: every row its last token, rows in prefill the tokens before it, over keys of their own.

The tokens of a step stand in one line without padding: first the last token of every row, then the tokens before
it of the rows that have several (``prefill.py``). Keys and values lie in the cache of the batch (``cache.py``):
each row's own, and, where rows begin alike, those of the prefix that they share, which is kept and read once.
The two parts of a row's attention are joined by their normalisers, as in Juravsky et al. (2024),
arXiv:2402.05099.
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


@dataclass(frozen=True)
class SharedPrefix:
    """The prefixes that rows share, in one layer, and who shares which."""

    keys: torch.Tensor
    """(prefixes, key heads, length, size)."""
    values: torch.Tensor
    """Likewise."""
    mask: torch.Tensor
    """(prefixes, 1, 1, length) additive: hides what stands behind shorter prefixes."""
    of_row: torch.Tensor
    """(rows) index of each row's prefix."""
    sharers: torch.Tensor
    """(prefixes, most) the rows of each prefix; padded."""
    place: torch.Tensor
    """(rows) where each row stands in the flattened ``sharers``."""


def decode_attention(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    mask: torch.Tensor,
    prefix: SharedPrefix | None,
) -> torch.Tensor:
    """One scaled query a row, over its own keys and those shared.

    Args:
        query: (rows, key heads, queries of a key head, size): the heads that read the same keys lie side by side.
        keys: (rows, key heads, length, size) of each row alone.
        values: Likewise.
        mask: (rows, 1, 1, length) additive.
        prefix: What the rows share.

    Returns:
        (rows, key heads, queries of a key head, size).
    """
    own, scores, weights = _weighted(query, keys, values, mask)
    if prefix is None:
        return own
    _, heads, queries, size = query.shape
    prefixes, most = prefix.sharers.shape
    by_prefix = query[prefix.sharers].transpose(1, 2)  # (prefixes, key heads, most, queries, size)
    by_prefix = by_prefix.reshape(prefixes, heads, most * queries, size)
    shared, *of_shared = _weighted(by_prefix, prefix.keys, prefix.values, prefix.mask)

    def by_row(part: torch.Tensor) -> torch.Tensor:
        """(prefixes, key heads, most · queries, n) to (rows, key heads, queries, n)."""
        by_sharer = part.view(prefixes, heads, most, queries, -1).transpose(1, 2)
        return by_sharer.reshape(prefixes * most, heads, queries, -1).index_select(0, prefix.place)

    difference = _log_normaliser(scores, weights) - by_row(_log_normaliser(*of_shared))
    return by_row(shared).lerp(own, difference.sigmoid().to(own.dtype))


def prefill_attention(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    group: PrefillGroup,
    prefix: SharedPrefix | None,
) -> torch.Tensor:
    """The same for the tokens before the last ones; each of these rows is given its keys in one piece.

    Args:
        query: (tokens of the step, key heads, queries of a key head, size).
        keys: (rows, key heads, length, size) of each row alone.
        values: Likewise.
        group: Which rows and tokens.
        prefix: What the rows share.

    Returns:
        (tokens of the group without padding, key heads, queries of a key head, size).
    """
    import torch

    keys, values = keys.index_select(0, group.rows), values.index_select(0, group.rows)
    if prefix is not None:
        of_row = prefix.of_row[group.rows]
        keys = torch.cat([prefix.keys.index_select(0, of_row), keys], 2)  # (m, key heads, keys, size)
        values = torch.cat([prefix.values.index_select(0, of_row), values], 2)
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


def _weighted(
    query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Attention by the book: outputs (…, queries, size), scores and weights (…, queries, keys)."""
    import torch

    scores = torch.matmul(query, keys.transpose(-1, -2)).add_(mask)
    weights = torch.softmax(scores, -1, dtype=torch.float32)
    return torch.matmul(weights.to(values.dtype), values), scores, weights


def _log_normaliser(scores: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Logarithm of the sum of exponentials, (…, queries, 1), from the largest score and its weight."""
    return scores.amax(-1, keepdim=True).float() - weights.amax(-1, keepdim=True).log()
