"""A trained model as a checkpoint: in one piece, adapters merged, with equal bytes for equal weights."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from persistence_pipeline.training.trainer import StagedDPOTrainer


def save_checkpoint(model: Any, tokenizer: PreTrainedTokenizerBase, dtype: str, target: Path) -> None:
    """Save a model in ``dtype``, adapters merged, and its tokenizer; what was at ``target`` is replaced."""
    import torch
    from peft import PeftModel

    shutil.rmtree(target, ignore_errors=True)
    if isinstance(model, PeftModel):
        model = merge_adapters(model, dtype)
    model.to(getattr(torch, dtype))
    model.model_tags = None
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)


def merge_adapters(model: Any, dtype: str) -> PreTrainedModel:
    """The model with its adapters added to its weights, in float32 and then rounded once to ``dtype``.

    Merging in half precision, and then again at the next stage, would add up its rounding. Layers are merged one
    after the other, so that a large model is never held in float32 as a whole.
    """
    import torch
    from peft.tuners.tuners_utils import BaseTunerLayer

    for module in list(model.modules()):
        if isinstance(module, BaseTunerLayer):
            module.to(torch.float32)
            module.merge()
            module.to(getattr(torch, dtype))
    merged: PreTrainedModel = model.base_model.unload()
    return merged


def whole_model(trainer: StagedDPOTrainer, fresh: Callable[[], Any]) -> Any:
    """The trained model in one piece: the trainer's own, or one put together again where FSDP holds it in shards.

    Every process must call this; only the first one's model is whole.

    Args:
        trainer: After training.
        fresh: Makes the untrained model with its adapters.
    """
    if not trainer.is_fsdp_enabled:
        return trainer.model
    weights = trainer.accelerator.get_state_dict(trainer.model_wrapped)
    if not trainer.accelerator.is_main_process:
        return None
    model = fresh()
    # TRL keeps the adapters as they were at the start under the name "ref".
    model.load_state_dict({name: value for name, value in weights.items() if ".ref." not in name})
    return model
