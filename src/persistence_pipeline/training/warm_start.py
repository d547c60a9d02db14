"""The source policy: behaviour cloning of a mixture of scripted behaviours, from a fresh model.

It plays the part of pretraining: it sees every template group, with slot values that no case of the study
uses, so that the source is competent everywhere and torn between behaviours.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field, field_validator

from persistence_pipeline.agents import compact
from persistence_pipeline.agents.models import ModelSettings, build_model
from persistence_pipeline.agents.tokenizer import train_tokenizer
from persistence_pipeline.agents.transcript import encode_conversations
from persistence_pipeline.collecting import import_unwatched
from persistence_pipeline.records import Trajectory
from persistence_pipeline.rollout.episode import Episode
from persistence_pipeline.rollout.scripted import ScriptedPolicy
from persistence_pipeline.strict import Seed, Strict
from persistence_pipeline.training.encoding import pad_right
from persistence_pipeline.training.scratch import StageScratch, fingerprint
from persistence_pipeline.world.behaviours import BEHAVIOURS
from persistence_pipeline.world.cases import Case

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

IGNORED = -100


class WarmStartSettings(Strict):
    """The demonstrations and the optimiser of the warm start."""

    behaviours: dict[str, float]
    """Share of each scripted behaviour among the demonstrations."""
    twins_per_group: int = Field(60, gt=0)
    steps: int = Field(600, gt=0)
    batch_size: int = Field(64, gt=0)
    matrix_learning_rate: float = Field(0.02, gt=0)
    """Muon, on the hidden matrices."""
    learning_rate: float = Field(3e-3, gt=0)
    """AdamW, on embeddings, norms and the output layer."""
    gradient_clip: float = Field(1.0, gt=0)
    save_every: int = Field(100, gt=0)
    """Steps between the states from which a killed warm start continues."""
    seed: Seed = 0

    @field_validator("behaviours")
    @classmethod
    def _known(cls, shares: dict[str, float]) -> dict[str, float]:
        unknown = set(shares) - set(BEHAVIOURS)
        if unknown:
            raise ValueError(f"unknown behaviours {sorted(unknown)}; known: {list(BEHAVIOURS)}")
        if not math.isclose(sum(shares.values()), 1) or min(shares.values()) < 0:
            raise ValueError(f"shares must be positive and sum to 1, got {shares}")
        return shares


def demonstrate(cases: Sequence[Case], shares: Mapping[str, float], seed: int) -> list[Trajectory]:
    """Play one scripted behaviour, drawn by its share, on every case."""
    drawn = random.Random(f"behaviours/{seed}").choices(list(shares), list(shares.values()), k=len(cases))
    episodes: dict[str, list[Episode]] = {}
    for case, behaviour in zip(cases, drawn, strict=True):
        episodes.setdefault(behaviour, []).append(Episode(case, policy=behaviour, seed=seed))
    return [
        episode.trajectory()
        for behaviour, group in sorted(episodes.items())
        for episode in ScriptedPolicy(behaviour).play(group)
    ]


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
        The checkpoint directory, and one row of ``step, loss, learning_rate_share`` per step.
    """
    import_unwatched("torch", "transformers")
    from transformers.utils import logging as hf_logging

    hf_logging.disable_progress_bar()
    tokenizer = train_tokenizer(_texts(demonstrations, vocabulary))
    model = build_model(model_settings, tokenizer, settings.seed)
    encoded = encode_conversations(tokenizer, [t.messages for t in demonstrations])
    identity = fingerprint([model_settings.model_dump(), settings.model_dump(), encoded], [])
    state = StageScratch.open(scratch / f"source-{identity[:16]}", identity)
    log = _fit(model, encoded, settings, int(tokenizer.pad_token_id), state.trainer / "progress.safetensors")
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


def _fit(
    model: PreTrainedModel,
    encoded: Sequence[tuple[Sequence[int], Sequence[int]]],
    settings: WarmStartSettings,
    pad: int,
    saved: Path,
) -> list[dict[str, float]]:
    """The training loop: next-token loss on the agent's tokens, cosine schedule. Continues from ``saved``."""
    import torch
    from tqdm import tqdm

    from persistence_pipeline.training.progress import Progress

    optimisers = _optimisers(model, settings)
    schedules = [torch.optim.lr_scheduler.CosineAnnealingLR(o, settings.steps, eta_min=0.0) for o in optimisers]
    model.train()
    progress = Progress(saved, model, optimisers, schedules)
    log = progress.restore()
    batches = islice(_batches([len(ids) for ids, _ in encoded], settings), len(log), None)
    bar = tqdm(batches, total=settings.steps, initial=len(log), desc="warm start", mininterval=1)
    for step, indices in enumerate(bar, len(log)):
        ids, labels = _padded([encoded[i] for i in indices], pad)
        loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.gradient_clip)
        for optimiser, schedule in zip(optimisers, schedules, strict=True):
            optimiser.step()
            schedule.step()
            optimiser.zero_grad(set_to_none=True)
        log.append({"step": step, "loss": float(loss.detach())})
        if (step + 1) % settings.save_every == 0:
            progress.save(log)
    model.eval()
    return log


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


def _batches(lengths: Sequence[int], settings: WarmStartSettings) -> Iterator[list[int]]:
    """Batches of similar length in random order, epoch after epoch, ``steps`` in all."""
    rng = np.random.default_rng(settings.seed)
    yielded = 0
    while True:
        order = sorted(rng.permutation(len(lengths)).tolist(), key=lambda i: lengths[i])
        starts = rng.permutation(range(0, len(order), settings.batch_size)).tolist()
        for start in starts:
            if yielded == settings.steps:
                return
            yield order[start : start + settings.batch_size]
            yielded += 1


def _padded(rows: Sequence[tuple[Sequence[int], Sequence[int]]], pad: int) -> tuple[Any, Any]:
    """Right-padded ids and labels; only the agent's tokens are labelled. Causal attention ignores the pads."""
    labels = [[t if own else IGNORED for t, own in zip(tokens, mask, strict=True)] for tokens, mask in rows]
    return pad_right([tokens for tokens, _ in rows], pad), pad_right(labels, IGNORED)
