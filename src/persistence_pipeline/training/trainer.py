"""TRL's DPOTrainer with what staged training of agents needs: assistant-only masks, rows encoded elsewhere.

Imported inside functions only: TRL takes seconds to load. What a stage is lives in ``dpo.py``.
"""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
from datasets import Dataset
from torch.utils.data import DataLoader
from tqdm import tqdm
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from trl import DPOTrainer

from persistence_pipeline.training.agent_tokens import narrow_head
from persistence_pipeline.training.batches import (
    SHARES,
    AgentTokensCollator,
    EpochSampler,
    PlacedRows,
    StepLoader,
    StepSampler,
)
from persistence_pipeline.training.heap import give_back
from persistence_pipeline.training.scoring import Logps, Scorer

__all__ = ["AgentTokensCollator", "EpochSampler", "LossWatch", "ProgressBar", "StagedDPOTrainer", "StartWatch"]

OF_PAIRS = (
    "logps/chosen",
    "logps/rejected",
    "rewards/chosen",
    "rewards/rejected",
    "rewards/margins",
    "rewards/accuracies",
)
"""Metrics that TRL averages over the pairs of the batches that all processes work on at once."""


class StagedDPOTrainer(DPOTrainer):
    """DPOTrainer on rows that are already encoded, with the reference's log-probabilities in memory.

    TRL caches reference log-probabilities on disk under a key that ignores the collator, so another mask would
    silently reuse stale values; here they are computed anew for each stage.
    """

    accelerator: Any
    ref_model: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.precompute_ref_logps:
            self._narrow_heads()

    def _narrow_heads(self) -> None:
        for model in (self.model, self.ref_model):
            if model is not None:
                narrow_head(model)

    @cached_property
    def scorer(self) -> Scorer:
        """Scores the stage's pairs."""
        return Scorer(
            self.accelerator, self.train_dataset, self.data_collator, self.args.per_device_train_batch_size
        )

    def policy_logps(self, batches: Sequence[list[int]], training: bool) -> Logps:
        """Log-probabilities under the policy as it is now; ``training``: with the dropout that a step has."""
        with _mode(self.model, training):
            return self.scorer.score(lambda batch: self.scorer.plain(self.model, batch), batches, "policy")

    def reference_logps(self, batches: Sequence[list[int]]) -> Logps:
        """Log-probabilities under the reference that the trainer compares with, as a step computes them."""
        model = self.ref_model or self.model
        return self.scorer.score(
            lambda batch: self.compute_ref_log_probs(model, batch),
            batches,
            "reference",
        )

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """TRL's loss and metrics, each pair of a step with the same weight."""
        weight, share = (inputs.pop(name) for name in SHARES)
        with self._pairs_of_all(len(inputs["input_ids"]) // 2 if weight > 0 else 0):
            loss = super().compute_loss(model, inputs, *args, **kwargs)
        for name in OF_PAIRS:
            self._metrics["train"][name][-1] *= share
        return loss * weight

    @contextmanager
    def _pairs_of_all(self, mine: int) -> Iterator[None]:
        """TRL gathers metrics of pairs, equally many from each process; here, as many as each has."""
        accelerator = self.accelerator
        if accelerator.num_processes > 1:
            self.accelerator = RaggedGather(accelerator, mine)
        try:
            yield
        finally:
            self.accelerator = accelerator

    def _prepare_dataset(self, dataset: Dataset, *args: Any, **kwargs: Any) -> Dataset:
        return dataset

    def _precompute_ref_logps(self, dataset: Dataset, name: str, batch_size: int) -> Dataset:
        self._narrow_heads()
        model = self.ref_model or self.model
        model.to(self.accelerator.device)
        with _mode(model, training=False):
            chosen, rejected = self.reference_logps(self.scorer.batches).tolist()
        self.ref_model = None
        dataset = dataset.add_column("ref_chosen_logps", chosen)
        return dataset.add_column("ref_rejected_logps", rejected)

    def get_train_dataloader(self) -> DataLoader[Any]:
        """This process's share of every step's pairs; accelerate would fill up uneven steps with other pairs."""
        batch_size, accumulation = self.args.train_batch_size, self.args.gradient_accumulation_steps
        processes = self.accelerator.num_processes
        order = EpochSampler(
            batch_size * accumulation * processes, list(self.train_dataset["length"]), self.args.data_seed
        )
        return StepLoader(
            PlacedRows(self.train_dataset),
            batch_sampler=StepSampler(order, batch_size, accumulation, processes, self.accelerator.process_index),
            collate_fn=self.data_collator,
            pin_memory=self.args.dataloader_pin_memory,
        )

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """The schedule; its warm-up leaves the last step alone, so that a single step has a learning rate."""
        warmup = min(self.args.get_warmup_steps(num_training_steps), num_training_steps - 1)
        self.args.warmup_steps = warmup
        return super().create_scheduler(num_training_steps, optimizer)

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """Not counted: nothing reads them, and counting walks through the whole model at every step."""
        return 0

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Save the trainer's state without TRL's model card."""
        Trainer._save_checkpoint(self, model, trial)
        give_back()

    def _send_telemetry(self) -> None:
        """Nothing leaves this machine."""


@contextmanager
def _mode(model: Any, training: bool) -> Iterator[None]:
    before = model.training
    model.train(training)
    try:
        yield
    finally:
        model.train(before)


class RaggedGather:
    """An accelerator that gathers the rows of pairs, however many each process has."""

    def __init__(self, accelerator: Any, mine: int) -> None:
        self._accelerator = accelerator
        self._mine = mine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._accelerator, name)

    def gather(self, rows: torch.Tensor) -> torch.Tensor:
        """Rows (pairs of this process,) of all processes; a pair that only kept a process busy is left out."""
        counts = self._accelerator.gather(torch.tensor([self._mine], device=rows.device)).tolist()
        padded = rows.new_zeros(max(counts))
        padded[: self._mine] = rows[: self._mine].detach()
        parts = self._accelerator.gather(padded).split(max(counts))
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])


class StartWatch(TrainerCallback):
    """Runs ``check`` once the models are ready, before the first step; not where a stage continues."""

    def __init__(self, check: Callable[[], None]) -> None:
        self._check = check

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Check, if nothing is trained yet."""
        if state.global_step == 0:
            self._check()


class LossWatch(TrainerCallback):
    """Hands every step's loss to ``check``, which raises to end the stage at once."""

    def __init__(self, check: Callable[[int, float], None]) -> None:
        self._check = check

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Check the step that has just been logged."""
        if logs is not None and "loss" in logs:
            self._check(state.global_step, float(logs["loss"]))


class ProgressBar(TrainerCallback):
    """One bar for the stage, with the time left."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._bar: tqdm[Any] | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Open the bar where the stage begins or continues."""
        if not state.is_world_process_zero:
            return
        self._bar = tqdm(total=state.max_steps, initial=state.global_step, desc=self._title, mininterval=1)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Advance the bar."""
        if self._bar is not None:
            self._bar.update(1)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()
