"""The source policy: behaviour cloning of a mixture of scripted behaviours, from a fresh model.

It plays the part of pretraining: it sees every template group, with slot values that no case of the study
uses, so that the source is competent everywhere and torn between behaviours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from persistence_pipeline.agents import compact
from persistence_pipeline.agents.models import ModelSettings, build_model
from persistence_pipeline.agents.tokenizer import train_tokenizer
from persistence_pipeline.collecting import import_unwatched
from persistence_pipeline.records import Trajectory
from persistence_pipeline.training.cloning import CloningSettings, encode_demonstrations, fit
from persistence_pipeline.training.scratch import StageScratch, fingerprint

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


class WarmStartSettings(CloningSettings):
    """The demonstrations and the optimisers of sources that are trained from scratch."""

    twins_per_group: int = Field(60, gt=0)
    steps: int = Field(600, gt=0)
    batch_size: int = Field(64, gt=0)
    matrix_learning_rate: float = Field(0.02, gt=0)
    """Muon, on the hidden matrices."""
    learning_rate: float = Field(3e-3, gt=0)
    """AdamW, on embeddings, norms and the output layer."""


def warm_start(
    demonstrations: Sequence[Trajectory],
    vocabulary: Sequence[str],
    model_settings: ModelSettings,
    settings: WarmStartSettings,
    scratch: Path,
) -> tuple[Path, list[dict[str, float]]]:
    """Train a source policy from scratch and save it under ``scratch``.

    Args:
        demonstrations: Scripted trajectories.
        vocabulary: Further words that the tokenizer must know.
        model_settings: Shape of the model.
        settings: Optimiser.
        scratch: Folder that receives the checkpoint directory. A killed warm start that is run again with the
            same arguments continues from its last saved step and ends with the bytes of an uninterrupted one.

    Returns:
        The checkpoint directory, and one row of ``step, loss`` per step.
    """
    import_unwatched("torch", "transformers")
    from transformers.utils import logging as hf_logging

    hf_logging.disable_progress_bar()
    tokenizer = train_tokenizer(_texts(demonstrations, vocabulary))
    model = build_model(model_settings, tokenizer, settings.seed)
    encoded = encode_demonstrations(tokenizer, demonstrations)
    identity = fingerprint([model_settings.model_dump(), settings.model_dump(), encoded], [])
    state = StageScratch.open(scratch / f"source-{identity[:16]}", identity)
    log = fit(model, _optimisers(model, settings), encoded, settings, state.trainer / "progress.safetensors")
    model.save_pretrained(state.checkpoint)
    tokenizer.save_pretrained(state.checkpoint)
    state.clear_trainer()
    return state.checkpoint, log


def _texts(demonstrations: Sequence[Trajectory], vocabulary: Sequence[str]) -> Iterator[str]:
    yield " ".join(sorted(vocabulary))
    for trajectory in demonstrations:
        for message in trajectory.messages:
            yield message.content
            for call in message.tool_calls:
                yield " ".join(compact.words(call))


def _optimisers(model: PreTrainedModel, settings: WarmStartSettings) -> list[torch.optim.Optimizer]:
    """Muon for the hidden matrices, AdamW for everything else."""
    import torch

    matrices: list[torch.nn.Parameter] = []
    others: list[torch.nn.Parameter] = []
    for name, parameter in model.named_parameters():
        hidden = parameter.ndim == 2 and not any(k in name for k in ("embed", "lm_head", "wte", "wpe"))
        (matrices if hidden else others).append(parameter)
    return [
        torch.optim.Muon(matrices, lr=settings.matrix_learning_rate, weight_decay=0.0),
        torch.optim.AdamW(others, lr=settings.learning_rate, weight_decay=0.0, betas=(0.9, 0.95)),
    ]
