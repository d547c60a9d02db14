"""Settings of a DPO stage. Knows nothing of TRL, so that a config is checked before anything heavy is loaded."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from persistence_pipeline.agents.numbers import Dtype
from persistence_pipeline.records import Objective
from persistence_pipeline.strict import Seed, Strict
from persistence_pipeline.study import Policy

LOSSES = (
    "sigmoid",
    "hinge",
    "ipo",
    "exo_pair",
    "nca_pair",
    "robust",
    "bco_pair",
    "sppo_hard",
    "aot",
    "aot_unpaired",
    "apo_zero",
    "apo_down",
    "discopop",
    "sigmoid_norm",
)
"""Losses of TRL 1.16's DPOTrainer, but for ``sft``: it reads neither beta nor the reference."""
SMOOTHED = ("exo_pair", "robust", "aot", "aot_unpaired")
"""Losses that read ``label_smoothing``."""
SORTED = ("aot", "aot_unpaired")
"""Losses that sort the pairs of a batch: what is learnt depends on how a step is divided into batches."""
SCHEDULERS = (
    "linear",
    "cosine",
    "polynomial",
    "constant",
    "constant_with_warmup",
    "inverse_sqrt",
)
"""Learning-rate schedules that need nothing but a warm-up; ``cosine_with_restarts`` would restart once: cosine."""
LAST_POLYNOMIAL = 1e-7
"""Learning rate at which transformers' polynomial schedule ends."""


class LoraSettings(Strict):
    """Low-rank adapters; they are merged in float32 when the stage ends."""

    r: int = Field(16, gt=0)
    alpha: int = Field(32, gt=0)
    dropout: float = Field(0.05, ge=0, lt=1)
    target_modules: Annotated[str, Field(min_length=1)] | Annotated[list[str], Field(min_length=1)] = "all-linear"
    """Names of modules, each of which must be in the model; or one regular expression for their whole names."""

    @field_validator("target_modules")
    @classmethod
    def _expression(cls, targets: str | list[str]) -> str | list[str]:
        try:
            re.compile(targets if isinstance(targets, str) else "")
        except re.error as error:
            raise ValueError(f"{targets!r} is no regular expression: {error}") from None
        return targets


class StageSettings(Strict):
    """Settings of the stages on one objective; a policy of the study says the rest."""

    label_smoothing: float = Field(0, ge=0, lt=0.5)
    """Assumed share of flipped labels, of the losses that know one: ``SMOOTHED``."""
    learning_rate: float = Field(gt=0)
    epochs: float = Field(1, gt=0)
    batch_size: int = Field(16, gt=0)
    gradient_accumulation: int = Field(1, gt=0)
    """Batches whose gradients make one step, so that a step sees ``effective_batch`` pairs."""
    launch: str | None = None
    """Path of an accelerate configuration (DDP, FSDP) under which several processes train, each its share of every
    step's pairs; null: this process alone. What is learnt stays the same."""
    warmup_share: float = Field(0.1, ge=0, lt=1)
    """Share of the steps over which the learning rate rises; the last step is never one of them."""
    scheduler: str = "cosine"
    max_length: int = Field(gt=1)
    """Tokens after which a trajectory is cut at its end; what is cut is counted."""
    lora: LoraSettings | None = None
    save_every: int = Field(0, ge=0)
    """Steps between the trainer's own checkpoints, from which a killed stage continues; 0: none."""
    precompute_reference: bool = True
    """Compute the reference's log-probabilities once, before the first step, and then let the reference go."""
    gradient_checkpointing: bool = False
    device: Literal["cpu", "cuda", "auto"] = "cpu"
    """``auto``: a GPU where there is one."""
    dtype: Dtype = "float32"
    """What is multiplied and saved; ``auto``: bfloat16 where that is faster. What is trained, all weights or
    adapters, is always kept in float32."""
    rendered_turns: bool = False
    """Whether to train on turns whose sampled tokens are not known, as the chat template renders them."""
    allow_unchanged: bool = False
    """Whether a stage may end with the weights it started from, or have pairs that say nothing."""

    @property
    def effective_batch(self) -> int:
        """Pairs that one step sees."""
        return self.batch_size * self.gradient_accumulation

    @field_validator("scheduler")
    @classmethod
    def _known_scheduler(cls, scheduler: str) -> str:
        return _known("scheduler", scheduler, SCHEDULERS)

    @model_validator(mode="after")
    def _schedule_that_is_followed(self) -> Self:
        if self.scheduler == "constant" and self.warmup_share > 0:
            raise ValueError(
                f"scheduler constant has no warm-up, but warmup_share is {self.warmup_share}: "
                "set it to 0, or take constant_with_warmup"
            )
        if self.scheduler == "polynomial" and self.learning_rate <= LAST_POLYNOMIAL:
            raise ValueError(
                f"scheduler polynomial ends at {LAST_POLYNOMIAL}: learning_rate must be above it, not "
                f"{self.learning_rate}"
            )
        return self


class TrainingSettings(Strict):
    """Stages by the objective that they train on."""

    safety: StageSettings
    helpfulness: StageSettings
    both: StageSettings


class StageConfig(StageSettings):
    """One DPO stage: settings, and what the study says of the policy that it makes."""

    objective: Objective
    beta: float = Field(gt=0)
    loss: str = "sigmoid"
    reference: Literal["previous", "source"] = "previous"
    """What log-probabilities are compared with: the checkpoint the stage starts from, or the source."""
    seed: Seed = 0

    @field_validator("loss")
    @classmethod
    def _known_loss(cls, loss: str) -> str:
        return _known("loss", loss, LOSSES)

    @model_validator(mode="after")
    def _settings_that_the_loss_reads(self) -> Self:
        if self.loss == "exo_pair" and self.label_smoothing == 0:
            raise ValueError("loss exo_pair needs label_smoothing above 0 (its authors take 1e-3)")
        if self.loss == "robust" and self.label_smoothing == 0:
            raise ValueError("loss robust without label_smoothing is sigmoid: set it above 0, or take sigmoid")
        if self.label_smoothing > 0 and self.loss not in SMOOTHED:
            raise ValueError(
                f"loss {self.loss} knows no label_smoothing: set it to 0, or take one of {', '.join(SMOOTHED)}"
            )
        if self.loss in SORTED and self.batch_size == 1:
            raise ValueError(f"loss {self.loss} sorts the pairs of a batch, but batch_size is 1")
        return self


FACTORS = set(StageConfig.model_fields) - set(StageSettings.model_fields)
"""What the study says of every stage."""


def with_factors(settings: StageSettings, policy: Policy) -> dict[str, Any]:
    """The fields of a ``StageConfig``: the parameters of a stage, and what the study says of a policy's stages."""
    fields = settings.model_dump()
    for (*groups, last), level in policy.levels().items():
        within = fields
        for group in groups:
            within[group] = within.get(group) or {}
            within = within[group]
        within[last] = level
    return {**fields, "objective": policy.objective, "seed": policy.seed}


def _known(field: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise ValueError(f"unknown {field} {value!r}; known: {', '.join(known)}")
    return value
