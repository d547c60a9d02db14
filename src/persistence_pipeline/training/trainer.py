"""TRL's DPOTrainer with what staged training of agents needs: assistant-only masks, rows encoded elsewhere.

Imported inside functions only: TRL takes seconds to load. What a stage is lives in ``dpo.py``.
"""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import DistributedType
from datasets import Dataset
from tqdm import tqdm
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_pt_utils import LengthGroupedSampler
from trl import DPOTrainer
from trl.trainer.dpo_trainer import DataCollatorForPreference

from persistence_pipeline.training.narrow_head import LOG_PROBS, OF_A_STEP, fit_tiles

Logps = tuple[list[float], list[float]]
"""Summed log-probabilities of the agent's tokens in every chosen and every rejected completion, in nats."""


@dataclass
class AgentTokensCollator(DataCollatorForPreference):
    """Pads pairs; what the agent did not write is not in ``completion_mask``."""

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """Batch of 2n rows, chosen first; ids and masks are (2n, longest)."""
        sides = [(example, side) for side in ("chosen", "rejected") for example in examples]
        texts = [example["prompt_ids"] + example[f"{side}_ids"] for example, side in sides]
        masks = [[0] * len(example["prompt_ids"]) + example[f"{side}_mask"] for example, side in sides]
        batch = {
            "input_ids": _padded(texts, self.pad_token_id),
            "attention_mask": _padded([[1] * len(text) for text in texts], 0),
            "completion_mask": _padded(masks, 0),
        }
        for name in ("ref_chosen_logps", "ref_rejected_logps"):
            if name in examples[0]:
                batch[name] = torch.tensor([example[name] for example in examples])
        return batch


def _padded(rows: list[list[int]], value: int) -> torch.Tensor:
    width = max(map(len, rows))
    return torch.tensor([row + [value] * (width - len(row)) for row in rows])


class EpochSampler(LengthGroupedSampler):
    """Batches of similar length, in an order that depends on seed and epoch alone: a resumed epoch repeats it."""

    def __init__(self, batch_size: int, lengths: list[int], seed: int) -> None:
        super().__init__(batch_size, lengths=lengths)
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer before each epoch."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[int]:
        self.generator = torch.Generator().manual_seed(1_000_003 * self._seed + self._epoch)
        return iter(super().__iter__())


class StagedDPOTrainer(DPOTrainer):
    """DPOTrainer on rows that are already encoded, with the reference's log-probabilities in memory.

    TRL caches reference log-probabilities on disk under a key that ignores the collator, so another mask would
    silently reuse stale values; here they are computed anew for each stage.
    """

    def completion_logps(self, dataset: Dataset, title: str, reference: bool) -> Logps:
        """Log-probabilities of every pair under the reference, or under the policy as it is now."""
        model = (self.ref_model or self.model) if reference else self.model
        model.to(self.accelerator.device)
        training = model.training
        model.eval()
        score = self.compute_ref_log_probs if reference else self._policy_logps
        sides: Logps = ([0.0] * len(dataset), [0.0] * len(dataset))
        lengths = list(dataset["length"])
        order = sorted(range(len(dataset)), key=lengths.__getitem__)
        size = 4 * self.args.per_device_train_batch_size
        batches = [order[start : start + size] for start in range(0, len(order), size)]
        shares = list(self._shared_out(batches))
        for mine, indices in tqdm(shares, desc=title, mininterval=1, delay=5, leave=False):
            batch = self.data_collator([dataset[index] for index in indices])
            batch = {key: value.to(self.accelerator.device) for key, value in batch.items()}
            scored = score(self._scorer(model, LOG_PROBS), batch)
            for side, logps in zip(sides, scored, strict=True):
                for index, logp in zip(indices, logps.tolist(), strict=True):
                    side[index] = logp * mine
        if self.accelerator.num_processes > 1:
            both = torch.tensor(sides, dtype=torch.float64, device=self.accelerator.device)
            chosen, rejected = self.accelerator.reduce(both).tolist()
            sides = (chosen, rejected)
        model.train(training)
        return sides

    def _shared_out(self, batches: Sequence[list[int]]) -> Iterator[tuple[bool, list[int]]]:
        """This process's batches, and whether each counts: FSDP needs equally many, so some are done twice."""
        first, step = self.accelerator.process_index, self.accelerator.num_processes
        for start in range(0, len(batches), step):
            mine = start + first < len(batches)
            yield mine, batches[start + first if mine else start]

    @torch.no_grad()
    def _policy_logps(self, model: Any, batch: dict[str, Any]) -> tuple[torch.Tensor, ...]:
        labels = batch["input_ids"].masked_fill(batch["completion_mask"] == 0, -100)
        with self.accelerator.autocast():
            scored = model(
                input_ids=batch["input_ids"],
                attention_mask=batch["attention_mask"],
                use_cache=False,
                labels=labels,
                fused_lm_head=True,
            )
        halves: tuple[torch.Tensor, ...] = scored.log_probs.sum(dim=1).chunk(2, dim=0)
        return halves

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """TRL's loss and metrics."""
        return super().compute_loss(self._scorer(model, OF_A_STEP), inputs, *args, **kwargs)

    def _scorer(self, model: Any, outputs: tuple[str, ...]) -> Any:
        """The model, with a head that fits its vocabulary where nothing is wrapped around the model."""
        bare = self.accelerator.distributed_type is DistributedType.NO and self.accelerator.mixed_precision == "no"
        return fit_tiles(model, outputs) if bare else model

    def _prepare_dataset(self, dataset: Dataset, *args: Any, **kwargs: Any) -> Dataset:
        return dataset

    def _precompute_ref_logps(self, dataset: Dataset, name: str, batch_size: int) -> Dataset:
        chosen, rejected = self.completion_logps(dataset, "reference", reference=True)
        self.ref_model = None
        dataset = dataset.add_column("ref_chosen_logps", chosen)
        return dataset.add_column("ref_rejected_logps", rejected)

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> EpochSampler:
        dataset = self.train_dataset if train_dataset is None else train_dataset
        batch = self.args.train_batch_size * self.args.gradient_accumulation_steps
        batch *= self.accelerator.num_processes
        return EpochSampler(batch, list(dataset["length"]), self.args.seed)

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """Not counted: nothing reads them, and counting walks through the whole model at every step."""
        return 0

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Save the trainer's state without TRL's model card."""
        Trainer._save_checkpoint(self, model, trial)

    def _send_telemetry(self) -> None:
        """Nothing leaves this machine."""


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
