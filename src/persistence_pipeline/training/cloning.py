"""Behaviour cloning: demonstrations of scripted behaviours, and the loop that trains a model to write as they do.

Which model that is, and what of it is trained how, lives elsewhere: ``warm_start.py`` starts from random weights,
``adapting.py`` from pretrained ones.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from pydantic import Field, field_validator

from persistence_pipeline.agents.transcript import Transcript
from persistence_pipeline.records import Trajectory
from persistence_pipeline.rollout.episode import Episode
from persistence_pipeline.rollout.scripted import ScriptedPolicy
from persistence_pipeline.strict import Seed, Strict
from persistence_pipeline.training.encoding import pad_right
from persistence_pipeline.training.heap import give_back
from persistence_pipeline.world.behaviours import BEHAVIOURS
from persistence_pipeline.world.cases import Case

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Tokens = tuple[list[int], list[int]]
"""Ids of a demonstration, and a mask: 1 for each token that the agent wrote."""
UNITS_AT_ONCE = 12_000_000
"""Hidden units, of all tokens and layers, that go through a model before their gradients are computed. A layer
keeps about 27 numbers for each of them: 1.3 GB in float32."""


class CloningSettings(Strict):
    """The demonstrations, and what every optimiser of a warm start has."""

    behaviours: dict[str, float]
    """Share of each scripted behaviour among the demonstrations."""
    twins_per_group: int = Field(gt=0)
    """Pairs of a hazard case and its benign twin, of each template group."""
    steps: int = Field(gt=0)
    batch_size: int = Field(gt=0)
    """Demonstrations of a step."""
    learning_rate: float = Field(gt=0)
    warmup_share: float = Field(0.0, ge=0, lt=1)
    """Share of the steps over which the learning rate rises, before it falls along a cosine."""
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

    def for_seed(self, seed: int) -> Self:
        """The same with a seed of its own for each seed of a study (NumPy's ``SeedSequence``)."""
        own = int(np.random.SeedSequence((self.seed, seed)).generate_state(1)[0])
        return self.model_copy(update={"seed": own})


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


def encode_demonstrations(
    tokenizer: PreTrainedTokenizerBase, demonstrations: Sequence[Trajectory]
) -> list[Tokens]:
    """Tokens of each demonstration, with the tools that it was shown.

    Raises:
        TemplateError: the tokenizer's chat template cannot serve for training.
    """
    transcript, by_tools = Transcript(tokenizer), dict[str, list[int]]()
    for index, demonstration in enumerate(demonstrations):
        by_tools.setdefault(json.dumps(demonstration.tools), []).append(index)
    encoded: dict[int, Tokens] = {}
    for tools, indices in by_tools.items():
        of_these = transcript.encode([demonstrations[index].messages for index in indices], json.loads(tools))
        encoded |= {index: (one.ids, one.mask) for index, one in zip(indices, of_these, strict=True)}
    return [encoded[index] for index in range(len(demonstrations))]


def fit(
    model: PreTrainedModel,
    optimisers: Sequence[torch.optim.Optimizer],
    encoded: Sequence[Tokens],
    settings: CloningSettings,
    saved: Path,
    dtype: torch.dtype | None = None,
) -> list[dict[str, float]]:
    """The training loop: next-token loss on the agent's tokens, cosine schedule. Continues from ``saved``.

    Args:
        model: Its parameters are what the optimisers step: kept, and saved, as they are.
        optimisers: Of the parameters that are trained.
        encoded: Demonstrations.
        settings: Steps, batches, schedule.
        saved: File of the state from which a killed loop continues.
        dtype: What the model is computed in; None: in that of its parameters.

    Returns:
        One row of ``step, loss`` (nats a token) per step.
    """
    import torch
    from tqdm import tqdm

    from persistence_pipeline.training.progress import Progress

    schedules = [torch.optim.lr_scheduler.LambdaLR(o, _schedule(settings)) for o in optimisers]
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    model.train()
    progress = Progress(saved, model, optimisers, schedules)
    log = progress.restore()
    batches = islice(batches_of([len(ids) for ids, _ in encoded], settings), len(log), None)
    bar = tqdm(batches, total=settings.steps, initial=len(log), desc="warm start", mininterval=1)
    for step, indices in enumerate(bar, len(log)):
        torch.manual_seed(1_000_003 * settings.seed + step)  # of dropout, where a killed loop continues too
        loss = _backward(model, [encoded[i] for i in indices], dtype)
        torch.nn.utils.clip_grad_norm_(trained, settings.gradient_clip)
        for optimiser, schedule in zip(optimisers, schedules, strict=True):
            optimiser.step()
            schedule.step()
            optimiser.zero_grad(set_to_none=True)
        log.append({"step": step, "loss": loss})
        if (step + 1) % settings.save_every == 0:
            progress.save(log)
            give_back()
    model.eval()
    return log


def _backward(model: PreTrainedModel, rows: Sequence[Tokens], dtype: torch.dtype | None) -> float:
    """Add up the gradients of the mean loss of a batch's agent tokens, part after part; returns that loss."""
    n_own = sum(sum(mask[1:]) for _, mask in rows)
    units = model.config.num_hidden_layers * model.config.hidden_size
    total = 0.0
    for part in _parts(rows, max(1, UNITS_AT_ONCE // units)):
        loss = -own_log_probs(model, part, dtype).sum() / n_own
        loss.backward()  # type: ignore[no-untyped-call]
        total += float(loss.detach())
    return total


def _parts(rows: Sequence[Tokens], most: int) -> Iterator[list[Tokens]]:
    """The rows in turn, together while they are at most so many tokens with their padding."""
    part: list[Tokens] = []
    for row in sorted(rows, key=lambda row: len(row[0])):
        if part and (len(part) + 1) * len(row[0]) > most:
            yield part
            part = []
        part.append(row)
    yield part


def own_log_probs(model: Any, rows: Sequence[Tokens], dtype: torch.dtype | None = None) -> torch.Tensor:
    """Log-probability of each token of the agent, row after row; weights are rounded to ``dtype`` for it.

    Rows are padded at their right, where causal attention does not look.
    """
    from torch.func import functional_call

    from persistence_pipeline.training.agent_tokens import score_tokens

    ids = pad_right([tokens for tokens, _ in rows], 0)
    own = pad_right([mask for _, mask in rows], 0)[:, 1:] == 1
    inputs = {"input_ids": ids, "use_cache": False}
    if dtype is None:
        hidden = model.base_model(**inputs).last_hidden_state
    else:
        rounded = {name: weights.to(dtype) for name, weights in model.base_model.named_parameters()}
        hidden = functional_call(model.base_model, rounded, kwargs=inputs).last_hidden_state
    return score_tokens(hidden[:, :-1][own], model.get_output_embeddings(), ids[:, 1:][own])


def _schedule(settings: CloningSettings) -> Any:
    """The factor of the learning rate after so many steps: linear warm-up, then a cosine to nought."""
    warmup = round(settings.warmup_share * settings.steps)

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (settings.steps - warmup)))

    return factor


def batches_of(lengths: Sequence[int], settings: CloningSettings) -> Iterator[list[int]]:
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
