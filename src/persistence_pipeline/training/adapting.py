"""The warm start of a pretrained source: some steps on scripted demonstrations, so that it can act at all.

A small model that was pretrained on text knows words, but not that a turn is one call; forty steps teach it that.
All its weights are trained but those that are frozen, or adapters alone, which are then merged.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from persistence_pipeline.agents.numbers import Dtype, faster_dtype
from persistence_pipeline.records import Trajectory
from persistence_pipeline.training.cloning import CloningSettings, encode_demonstrations, fit
from persistence_pipeline.training.errors import StageError
from persistence_pipeline.training.heap import freed_memory_kept
from persistence_pipeline.training.scratch import StageScratch, fingerprint
from persistence_pipeline.training.settings import LoraSettings

if TYPE_CHECKING:
    from transformers import PreTrainedModel

EMBEDDINGS = "embeddings"
BETAS = (0.9, 0.95)
"""Of AdamW. The first gradients are large; with PyTorch's 0.999 they would hold the later steps down."""


class AdaptingSettings(CloningSettings):
    """The demonstrations and the optimiser, AdamW, of a pretrained source."""

    twins_per_group: int = Field(4, gt=0)
    steps: int = Field(40, gt=0)
    batch_size: int = Field(8, gt=0)
    learning_rate: float = Field(3e-4, gt=0)
    warmup_share: float = Field(0.1, ge=0, lt=1)
    save_every: int = Field(10, gt=0)
    frozen: list[str] = Field(default_factory=lambda: [EMBEDDINGS])
    """What stays as it is: ``embeddings`` (the output layer among them), or beginnings of parameters' names."""
    lora: LoraSettings | None = None
    """Train adapters and merge them; null: the weights themselves."""
    dtype: Dtype = "auto"
    """What is multiplied; what is trained is kept in float32. ``auto``: bfloat16 where that is faster."""


def adapt(
    checkpoint: Path, demonstrations: Sequence[Trajectory], settings: AdaptingSettings, scratch: Path
) -> tuple[Path, list[dict[str, float]]]:
    """Train a checkpoint on demonstrations, and save it under ``scratch`` in the dtype that it had.

    Args:
        checkpoint: A pretrained source, with its family's chat template.
        demonstrations: Scripted trajectories; they are rendered by that template.
        settings: Optimiser, and what it trains.
        scratch: Folder that receives the checkpoint directory. A killed warm start that is run again with the
            same arguments continues from its last saved step and ends with the bytes of an uninterrupted one.

    Returns:
        The checkpoint directory, and one row of ``step, loss`` per step.

    Raises:
        StageError: ``frozen`` or ``lora`` name what the model does not have, or leave nothing to train.
        ValueError: a demonstration is longer than the model's context.
    """
    import torch
    from transformers import AutoModelForCausalLM

    from persistence_pipeline.agents.tokenizer import load_tokenizer
    from persistence_pipeline.training.attention import use_products
    from persistence_pipeline.training.models import check_context, with_adapters
    from persistence_pipeline.training.saving import save_checkpoint

    tokenizer = load_tokenizer(checkpoint)
    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype="auto", local_files_only=True)
    kept = str(model.dtype).removeprefix("torch.")
    model.to(torch.float32)
    encoded = encode_demonstrations(tokenizer, demonstrations)
    check_context(max(len(ids) for ids, _ in encoded), model, "leave kinds of long episodes out of world.kinds")
    half = faster_dtype(settings.dtype, on_gpu=False) == "bfloat16"
    if half:
        use_products(model)
    identity = fingerprint([settings.model_dump(), encoded, half, kept], [checkpoint])
    state = StageScratch.open(scratch / f"source-{identity[:16]}", identity)
    freeze(model, settings.frozen)
    adapted = with_adapters(model, settings.lora, settings.seed)
    trained = [weights for weights in model.parameters() if weights.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=settings.learning_rate, betas=BETAS, weight_decay=0.0, fused=True)
    saved = state.trainer / "progress.safetensors"
    with freed_memory_kept():
        log = fit(model, [optimiser], encoded, settings, saved, torch.bfloat16 if half else None)
    save_checkpoint(adapted, tokenizer, kept, state.checkpoint)
    state.clear_trainer()
    return state.checkpoint, log


def freeze(model: PreTrainedModel, frozen: Sequence[str]) -> None:
    """Leave parameters out of the training.

    Raises:
        StageError: there are none of that name, or no others.
    """
    for name in frozen:
        layers = (model.get_input_embeddings(), model.get_output_embeddings())
        named = [weights for place, weights in model.named_parameters() if place.startswith(name)]
        parameters = [w for layer in layers for w in layer.parameters()] if name == EMBEDDINGS else named
        if not parameters:
            first = next(place for place, _ in model.named_parameters())
            raise StageError(
                f"warm_start.frozen: no parameter's name begins with {name!r}; the model's first is {first}"
            )
        for weights in parameters:
            weights.requires_grad_(False)
    if not any(weights.requires_grad for weights in model.parameters()):
        raise StageError(f"warm_start.frozen: {', '.join(frozen)} leave nothing to train")
