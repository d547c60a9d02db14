"""Log-probabilities of a stage's pairs: under the policy, under its reference, and under checkpoints as saved.

A checkpoint is scored with the batches, the arithmetic and the code of its counterpart in the trainer, so that the
two may be compared: other shapes alone move a log-probability, in bfloat16 by more than a stage may.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from accelerate import DistributedType
from datasets import Dataset
from tqdm import tqdm
from transformers import AutoModelForCausalLM
from trl.models.utils import prepare_fsdp
from trl.trainer.utils import add_fused_lm_head

from persistence_pipeline.training.agent_tokens import narrow_head
from persistence_pipeline.training.attention import use_products

Logps = npt.NDArray[np.float64]
"""(2, pairs): summed log-probability of the agent's tokens of each chosen and each rejected completion, in nats;
nan for pairs that were not scored."""
Score = Callable[[dict[str, Any]], tuple[torch.Tensor, ...]]
BATCHES_OF_A_STEP = 4
"""Scoring needs less memory than a step, so that so many of a step's batches go at once."""
MANY_BATCHES = 8
"""From so many on, models are compared on a second one."""


class Scorer:
    """Scores the pairs of one stage, shared out among its processes."""

    def __init__(
        self, accelerator: Any, dataset: Dataset, collate: Callable[[Any], dict[str, Any]], batch_size: int
    ) -> None:
        self._accelerator = accelerator
        self._dataset = dataset
        self._collate = collate
        lengths = list(dataset["length"])
        order = sorted(range(len(lengths)), key=lengths.__getitem__)
        size = BATCHES_OF_A_STEP * batch_size
        self.batches = [order[start : start + size] for start in range(0, len(order), size)]

    @property
    def probes(self) -> list[list[int]]:
        """The batches on which models are compared: that of the longest pairs, and of many the shortest too."""
        return [self.batches[-1], *self.batches[: len(self.batches) >= MANY_BATCHES]]

    @property
    def probed(self) -> list[int]:
        """The pairs of those batches."""
        return [pair for batch in self.probes for pair in batch]

    def score(self, score: Score, batches: Sequence[list[int]], title: str) -> Logps:
        """Log-probabilities of the pairs of some batches."""
        sides = np.zeros((2, len(self._dataset)))
        device = self._accelerator.device
        for mine, indices in tqdm(
            list(self._shared_out(batches)), desc=title, mininterval=1, delay=5, leave=False
        ):
            batch = self._collate([self._dataset[index] for index in indices])
            with torch.no_grad():
                scored = score({key: value.to(device) for key, value in batch.items()})
            for side, logps in zip(sides, scored, strict=True):
                side[indices] = np.array(logps.tolist()) * mine
        if self._accelerator.num_processes > 1:
            both = torch.tensor(sides, dtype=torch.float64, device=device)
            sides = self._accelerator.reduce(both).cpu().numpy()
        sides[:, sorted(set(range(len(self._dataset))) - {i for batch in batches for i in batch})] = np.nan
        return sides

    def checkpoint(self, path: Path, dtype: str, batches: Sequence[list[int]], title: str) -> Logps:
        """Log-probabilities under a checkpoint as it lies on disk, loaded in ``dtype`` for that alone."""
        model = AutoModelForCausalLM.from_pretrained(path, dtype=getattr(torch, dtype), local_files_only=True)
        add_fused_lm_head(model)
        narrow_head(model)
        if self._accelerator.device.type == "cpu" and self._accelerator.mixed_precision == "bf16":
            use_products(model)
        if self._accelerator.distributed_type == DistributedType.FSDP:
            model = prepare_fsdp(model, self._accelerator)
        else:
            model.to(self._accelerator.device)
        model.eval()
        return self.score(lambda batch: self.plain(model, batch), batches, title)

    def plain(self, model: Any, batch: dict[str, Any]) -> tuple[torch.Tensor, ...]:
        """Log-probabilities of a batch, (pairs,) for the chosen and for the rejected, under a model as it is."""
        labels = batch["input_ids"].masked_fill(batch["completion_mask"] == 0, -100)
        with self._accelerator.autocast():
            scored = model(
                input_ids=batch["input_ids"],
                attention_mask=batch["attention_mask"],
                use_cache=False,
                labels=labels,
                fused_lm_head=True,
            )
        halves: tuple[torch.Tensor, ...] = scored.log_probs.sum(dim=1).chunk(2, dim=0)
        return halves

    @contextmanager
    def room(self, policy: Any) -> Iterator[None]:
        """Keeps the policy on the host meanwhile, so that a device need not hold two models."""
        device = self._accelerator.device
        moves = device.type != "cpu" and self._accelerator.distributed_type != DistributedType.FSDP
        if moves:
            policy.to("cpu")
        try:
            yield
        finally:
            if moves:
                policy.to(device)

    def _shared_out(self, batches: Sequence[list[int]]) -> Iterator[tuple[bool, list[int]]]:
        """This process's batches, and whether each counts: FSDP needs equally many, so some are done twice."""
        first, step = self._accelerator.process_index, self._accelerator.num_processes
        for start in range(0, len(batches), step):
            mine = start + first < len(batches)
            yield mine, batches[start + first if mine else start]
