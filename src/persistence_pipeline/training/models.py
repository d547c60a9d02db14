"""The models of a stage: a checkpoint as it is trained, and adapters on it; what cannot be is refused before."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from persistence_pipeline.agents.numbers import faster_dtype
from persistence_pipeline.training.errors import StageError
from persistence_pipeline.training.scratch import file_digests
from persistence_pipeline.training.settings import LoraSettings, StageConfig

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def loading_dtype(config: StageConfig) -> str:
    """The dtype in which a checkpoint is loaded: all weights that are trained are float32.

    AdamW's steps at usual learning rates are smaller than the distance of neighbouring bfloat16 numbers, so
    weights in bfloat16 would hardly move. ``dtype: bfloat16`` multiplies in bfloat16 (autocast) and saves in it;
    without adapters the weights are float32 until then, with them the frozen ones are bfloat16.
    """
    return config.dtype if config.lora is not None else "float32"


def on_cpu(config: StageConfig) -> bool:
    """True if the stage trains on the CPU.

    Raises:
        StageError: the machine has no such device as is asked for, or it does not know bfloat16.
    """
    import torch

    if config.device == "cpu" or (config.device == "auto" and not torch.accelerator.is_available()):
        return True
    if config.device == "cuda" and not torch.cuda.is_available():
        raise StageError(
            "device is cuda, but this machine has no GPU that torch can use: set device to cpu or auto"
        )
    if config.dtype == "bfloat16" and torch.cuda.is_available() and not torch.cuda.is_bf16_supported(False):
        raise StageError(f"dtype is bfloat16, which {torch.cuda.get_device_name()} does not know: take float32")
    return False


def as_computed(config: StageConfig) -> StageConfig:
    """The settings with the dtype that ``auto`` stands for here.

    Raises:
        StageError: as for ``on_cpu``.
    """
    return config.model_copy(update={"dtype": faster_dtype(config.dtype, on_gpu=not on_cpu(config))})


def check_context(longest: int, model: PreTrainedModel, advice: str) -> None:
    """See that the model can read so many tokens; ``advice`` says what to do where it cannot.

    Raises:
        ValueError: its context is shorter.
    """
    context = getattr(model.config, "max_position_embeddings", None)
    if context is not None and longest > context:
        raise ValueError(f"a trajectory has {longest} tokens, the model's context {context}: {advice}")


def load_model(checkpoint: Path, config: StageConfig) -> PreTrainedModel:
    """The model of a checkpoint without dropout: log-probabilities must not be noisy."""
    import torch
    from transformers import AutoModelForCausalLM
    from trl.trainer.utils import disable_dropout_in_model

    from persistence_pipeline.training.attention import use_products

    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        checkpoint, dtype=getattr(torch, loading_dtype(config)), local_files_only=True
    )
    disable_dropout_in_model(model)
    for module in model.modules():
        if isinstance(getattr(module, "attention_dropout", None), float):
            module.attention_dropout = 0.0
    if config.dtype == "bfloat16" and on_cpu(config):
        use_products(model)
    return model


def stage_seed(config: StageConfig, parent: Path) -> int:
    """Seed of a stage's adapters and of their dropout: its own, whatever stages come before and after it.

    With one seed for all, the stages of an ordering would train adapters that begin in the same random subspace.
    """
    digest = hashlib.sha256(f"{config.seed}/{config.objective}".encode())
    for _, of_file in file_digests(parent, "*.safetensors"):
        digest.update(of_file)
    return int.from_bytes(digest.digest()[:4], "big")


def with_adapters(model: PreTrainedModel, lora: LoraSettings | None, seed: int) -> Any:
    """The model with fresh float32 adapters, drawn from ``seed``; the model itself where there are none.

    The adapters take their inputs as they are: under autocast the products are computed in bfloat16, and no layer
    keeps its input a second time in float32.

    Raises:
        StageError: ``target_modules`` names something that is not there, or that adapters cannot stand for.
    """
    if lora is None:
        return model
    import torch
    from peft import LoraConfig, get_peft_model
    from peft.tuners.tuners_utils import BaseTunerLayer

    _check_targets(model, lora)
    torch.manual_seed(seed)
    adapters = LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=lora.target_modules,
        task_type="CAUSAL_LM",
    )
    try:
        adapted = get_peft_model(model, adapters)
    except ValueError as error:
        raise StageError(f"lora.target_modules {lora.target_modules!r}: {' '.join(str(error).split())}") from None
    for module in adapted.modules():
        if isinstance(module, BaseTunerLayer):
            module.cast_input_dtype_enabled = False
    return adapted


def _check_targets(model: PreTrainedModel, lora: LoraSettings) -> None:
    """PEFT refuses names of which none is there, but passes over one of several."""
    from peft.tuners.tuners_utils import check_target_module_exists

    if lora.target_modules == "all-linear":
        return
    import torch

    modules, targeted = dict(model.named_modules()), set[str]()
    asked = [lora.target_modules] if isinstance(lora.target_modules, str) else [[n] for n in lora.target_modules]
    for target in asked:
        matching = [name for name in modules if check_target_module_exists(_Targets(target), name)]
        named = f"lora.target_modules: {target if isinstance(target, str) else target[0]!r}"
        if not matching:
            last = sorted({name.rpartition(".")[2] for name in modules if not list(modules[name].children())})
            raise StageError(f"{named} is no module of this model; it has {', '.join(last)}")
        for name in matching:
            _check_target(model, modules[name], f"{named} is the model's {name}")
        targeted |= set(matching)
    if lora.dropout > 0 and all(isinstance(modules[name], torch.nn.Embedding) for name in targeted):
        raise StageError("lora.dropout: adapters of embeddings know none: set it to 0")


class _Targets:
    """What PEFT asks of a configuration when it looks for modules."""

    def __init__(self, target_modules: str | list[str]) -> None:
        self.target_modules = target_modules


def _check_target(model: PreTrainedModel, module: Any, named: str) -> None:
    head = model.get_output_embeddings()
    if module is head:
        raise StageError(f"{named}, the output layer, which is trained without adapters only: leave it out")
    if getattr(module, "weight", None) is head.weight:
        raise StageError(
            f"{named}, tied to the output layer: merging its adapter would change that too, though it was not "
            "trained with it: leave it out"
        )
