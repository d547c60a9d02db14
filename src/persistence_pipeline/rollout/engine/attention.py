"""Attention of a step in lockstep: every row its last token, some rows tokens before it, over keys of their own.

The tokens of a step stand in one line without padding: first the last token of every row, then the tokens before
it of the rows that read several (``reading.py``). Keys and values lie in the cache of the batch (``cache.py``):
each row's own, and, where rows begin alike, those of the prefix that they share, which is kept and read once. The
two parts of a row's attention are joined by their normalisers, as in Juravsky et al. (2024), arXiv:2402.05099.

A model takes this attention where transformers lets it choose its own (``AttentionInterface``); in calls that come
without a batch, such as ``generate``, it is the usual one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from persistence_pipeline.rollout.engine.cache import BatchCache

NAME = "lockstep"
UNKNOWN = ("softcap", "s_aux", "position_bias")
"""What some models hand to their attention and this one does not compute."""


class AttentionError(TypeError):
    """A model whose attention cannot be computed in lockstep; says what to do."""


@dataclass(frozen=True)
class Several:
    """Rows that read about as many tokens before their last one in a step."""

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
        """The mask where so many heads read the same keys, one after the other: made once for all layers."""
        if queries not in self.masks:
            self.masks[queries] = self.mask.repeat(1, 1, queries, 1)
        return self.masks[queries]


@dataclass(frozen=True)
class Beginning:
    """What rows share, in one layer, and who shares it."""

    keys: torch.Tensor
    """(prefixes, key heads, length, size)."""
    values: torch.Tensor
    mask: torch.Tensor
    """(prefixes, 1, 1, length) additive: hides what stands behind shorter prefixes."""
    of_row: torch.Tensor
    """(rows) index of each row's prefix."""
    sharers: torch.Tensor
    """(prefixes, most) the rows of each prefix; padded."""
    place: torch.Tensor
    """(rows) where each row stands in the flattened ``sharers``."""


def use_lockstep_attention(model: PreTrainedModel) -> None:
    """Let a model attend as rollouts in lockstep need it.

    Raises:
        AttentionError: the model does not let its attention be chosen.
    """
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(NAME, attend_in_lockstep)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    model.set_attn_implementation(NAME)
    if model.config._attn_implementation != NAME:
        raise AttentionError(
            f"{type(model).__name__} does not let its attention be chosen, so it cannot be rolled out in process: "
            "serve it, and name the server under rollout.served"
        )


def attend_in_lockstep(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float | None = None,
    batch: BatchCache | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """What a layer calls: (1, heads, tokens, size) of queries to (1, tokens, heads, size) of outputs.

    Raises:
        AttentionError: the layer needs what this attention does not compute.
    """
    if batch is None:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        usual: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **options
        )
        return usual
    unknown = [name for name in UNKNOWN if options.get(name) is not None]
    if unknown:
        raise AttentionError(
            f"{type(module).__name__} attends with {', '.join(unknown)}, which rollouts in process do not "
            "compute: serve the model, and name the server under rollout.served"
        )
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    return batch.attend(query[0].transpose(0, 1) * scale, int(module.layer_idx)).unsqueeze(0), None  # type: ignore[arg-type]


def attend_last(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    mask: torch.Tensor,
    beginning: Beginning | None,
) -> torch.Tensor:
    """One scaled query a row, (rows, key heads, queries of a key head, size), over its own keys and those shared.

    Args:
        query: One token a row; the heads that read the same keys lie side by side.
        keys: (rows, key heads, length, size) of each row alone.
        values: Likewise.
        mask: (rows, 1, 1, length) additive.
        beginning: What the rows share.
    """
    own, scores, weights = _weighted(query, keys, values, mask)
    if beginning is None:
        return own
    _, heads, queries, size = query.shape
    prefixes, most = beginning.sharers.shape
    asked = query[beginning.sharers].transpose(1, 2).reshape(prefixes, heads, most * queries, size)
    shared, *of_shared = _weighted(asked, beginning.keys, beginning.values, beginning.mask)

    def in_rows(part: torch.Tensor) -> torch.Tensor:
        by_sharer = part.view(prefixes, heads, most, queries, -1).transpose(1, 2)
        return by_sharer.reshape(prefixes * most, heads, queries, -1).index_select(0, beginning.place)

    difference = _normaliser(scores, weights) - in_rows(_normaliser(*of_shared))
    return in_rows(shared).lerp(own, difference.sigmoid().to(own.dtype))


def attend_several(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    several: Several,
    beginning: Beginning | None,
) -> torch.Tensor:
    """The same for the tokens that rows read before their last: queries and outputs of all tokens of the step.

    Each of these rows is given its keys in one piece.

    Args:
        query: (tokens, key heads, queries of a key head, size).
        keys: As above.
        values: As above.
        several: Which rows and tokens.
        beginning: As above.

    Returns:
        (tokens of ``several`` without padding, key heads, queries of a key head, size).
    """
    import torch

    keys, values = keys.index_select(0, several.rows), values.index_select(0, several.rows)
    if beginning is not None:
        prefix = beginning.of_row[several.rows]
        keys = torch.cat([beginning.keys.index_select(0, prefix), keys], 2)
        values = torch.cat([beginning.values.index_select(0, prefix), values], 2)
    _, heads, queries, size = query.shape
    m, widest = several.tokens.shape
    asked = query.index_select(0, several.tokens.flatten()).view(m, widest, heads, queries, size)
    given = torch.nn.functional.scaled_dot_product_attention(
        asked.permute(0, 2, 3, 1, 4).reshape(m, heads, queries * widest, size),
        keys,
        values,
        attn_mask=several.mask_for(queries),
        scale=1.0,
    )
    by_token = given.view(m, heads, queries, widest, size).permute(0, 3, 1, 2, 4)
    return by_token.reshape(m * widest, heads, queries, size).index_select(0, several.filled)


def _weighted(
    query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Attention by the book, with its scores and its weights."""
    import torch

    scores = torch.matmul(query, keys.transpose(-1, -2)).add_(mask)
    weights = torch.softmax(scores, -1, dtype=torch.float32)
    return torch.matmul(weights.to(values.dtype), values), scores, weights


def _normaliser(scores: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Logarithm of the sum of exponentials, from the largest score and its weight."""
    return scores.amax(-1, keepdim=True).float() - weights.amax(-1, keepdim=True).log()
