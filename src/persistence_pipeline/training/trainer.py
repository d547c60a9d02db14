"""TRL's DPOTrainer with what staged training of agents needs: assistant-only masks, an explicit reference.

Imported inside functions only: TRL takes seconds to load.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from datasets import Dataset
from tqdm import tqdm
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from trl import DPOTrainer
from trl.trainer.dpo_trainer import DataCollatorForPreference
from trl.trainer.utils import pad


@dataclass
class AgentTokensCollator(DataCollatorForPreference):
    """Pads pairs and takes everything that the agent did not write out of ``completion_mask``."""

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """Batch of 2n rows, chosen first; masks are (2n, longest)."""
        batch: dict[str, Any] = super().torch_call(examples)
        masks = [
            torch.tensor([0] * len(example["prompt_ids"]) + list(example[f"{side}_mask"]))
            for side in ("chosen", "rejected")
            for example in examples
        ]
        batch["completion_mask"] = batch["completion_mask"] * pad(masks, padding_value=0, padding_side="right")
        return batch


class StagedDPOTrainer(DPOTrainer):
    """DPOTrainer on rows that are already encoded, with the reference's log-probabilities in memory.

    TRL caches reference log-probabilities on disk under a key that ignores the collator, so another mask would
    silently reuse stale values; here they are computed anew for each stage.
    """

    def _prepare_dataset(self, dataset: Dataset, *args: Any, **kwargs: Any) -> Dataset:
        return dataset

    def _precompute_ref_logps(self, dataset: Dataset, name: str, batch_size: int) -> Dataset:
        model = self.ref_model or self.model
        model.eval()
        order = sorted(range(len(dataset)), key=lambda index: dataset[index]["length"])
        chosen, rejected = [0.0] * len(dataset), [0.0] * len(dataset)
        for start in range(0, len(order), batch_size):
            indices = order[start : start + batch_size]
            batch = self.data_collator([dataset[index] for index in indices])
            batch = {key: value.to(self.accelerator.device) for key, value in batch.items()}
            sides = self.compute_ref_log_probs(model, batch)
            for index, first, second in zip(indices, *(side.tolist() for side in sides), strict=True):
                chosen[index], rejected[index] = first, second
        dataset = dataset.add_column("ref_chosen_logps", chosen)
        return dataset.add_column("ref_rejected_logps", rejected)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Save the trainer's state without TRL's model card."""
        Trainer._save_checkpoint(self, model, trial)


class ProgressBar(TrainerCallback):
    """One bar for the stage, with the time left."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._bar: tqdm[Any] | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Open the bar where the stage begins or continues."""
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
