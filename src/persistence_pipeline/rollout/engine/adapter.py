"""The adapter to transformers: the attention that a model takes, and the forward pass of a step.

A model takes the batched attention where transformers lets it choose its own (``AttentionInterface``); in calls
that come without a batch, such as ``generate``, it is the usual one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from persistence_pipeline.rollout.engine.attention import AttentionError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from persistence_pipeline.rollout.engine.cache import KVCache
    from persistence_pipeline.rollout.engine.prefill import Step

NAME = "batched"
"""Of the attention, in transformers' registry."""
UNKNOWN = ("softcap", "s_aux", "position_bias")
"""What some models hand to their attention and this one does not compute."""


def use_batched_attention(model: PreTrainedModel) -> None:
    """Let a model attend as the engine needs it.

    Raises:
        AttentionError: the model does not let its attention be chosen.
    """
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(NAME, batched_attention)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    model.set_attn_implementation(NAME)
    if model.config._attn_implementation != NAME:
        raise AttentionError(
            f"{type(model).__name__} does not let its attention be chosen, so it cannot be rolled out in process: "
            "serve it, and name the server under rollout.served"
        )


def forward(model: PreTrainedModel, step: Step, rows: Sequence[int], cache: KVCache) -> torch.Tensor:
    """Compute a step: logits (rows, vocabulary) behind the last tokens of the named rows.

    Raises:
        AttentionError: the model's attention is not the engine's.
    """
    import torch

    device = model.device
    cache.set_step(step)
    logits: torch.Tensor = model(
        input_ids=torch.tensor([step.tokens], device=device),
        attention_mask=torch.zeros((1, 1, 1, 1), device=device),  # ours is made by the cache
        position_ids=torch.from_numpy(step.positions).unsqueeze(0).to(device),
        cache=cache,
        use_cache=True,
        logits_to_keep=torch.tensor(rows, device=device),
        batch=cache,
    ).logits
    cache.require_attention(type(model).__name__)
    return logits[0]


def batched_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float | None = None,
    batch: KVCache | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """The attention that a layer calls: queries (1, heads, tokens, size) to outputs (1, tokens, heads, size).

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
