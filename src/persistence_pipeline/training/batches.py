"""Batches of pairs: which make a step, how batches and processes share them out, how they are padded.

Every pair of a step has the same weight in it, however the step is divided: a batch with fewer pairs than the
others, or with none, counts for that much less.
"""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from datasets import Dataset
from torch.utils.data import DataLoader, Sampler
from torch.utils.data import Dataset as TorchDataset
from transformers.trainer_pt_utils import LengthGroupedSampler
from trl.trainer.dpo_trainer import DataCollatorForPreference

from persistence_pipeline.training.encoding import pad_right

SHARES = ("weight", "share")
"""What a batch of a step holds beside TRL's own fields; see ``Place``."""


class Place(NamedTuple):
    """The place of a pair in a step."""

    pair: int
    weight: float
    """What the mean loss of this process's batch is multiplied by; 0: a pair that only keeps the process busy."""
    share: float
    """The same for means over the batches that all processes work on at once."""


def share_out(
    step: Sequence[int], batch_size: int, processes: int, process: int, accumulation: int
) -> Iterator[list[Place]]:
    """One process's batches of a step, as many for each process; the pairs in all of them together are ``step``.

    The trainer averages over batches and processes; the weights make of that the average over pairs.
    """
    together = batch_size * processes
    rounds = -(-len(step) // together)
    if rounds > accumulation:
        raise ValueError(f"{len(step)} pairs are more than {accumulation} rounds of {together}")
    for start in range(0, len(step), together):
        pairs = step[start : start + together]
        mine = pairs[process * batch_size : (process + 1) * batch_size]
        weight = len(mine) * processes * rounds / len(step)
        share = len(pairs) * rounds / len(step)
        yield [Place(pair, weight, share) for pair in mine or pairs[:1]]


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


class StepSampler(Sampler[list[Place]]):
    """One process's batches of an epoch, step after step."""

    def __init__(
        self, order: EpochSampler, batch_size: int, accumulation: int, processes: int = 1, process: int = 0
    ) -> None:
        self._order = order
        self._division = (batch_size, processes, process, accumulation)
        self._step = batch_size * accumulation * processes

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer before each epoch."""
        self._order.set_epoch(epoch)

    def __len__(self) -> int:
        batch_size, processes, *_ = self._division
        return -(-len(self._order) // (batch_size * processes))

    def __iter__(self) -> Iterator[list[Place]]:
        pairs = list(self._order)
        for start in range(0, len(pairs), self._step):
            yield from share_out(pairs[start : start + self._step], *self._division)


class StepLoader(DataLoader[Any]):
    """The loader of such batches; an epoch can be set, as the trainer expects."""

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer before each epoch."""
        self.batch_sampler.set_epoch(epoch)  # type: ignore[union-attr]


class PlacedRows(TorchDataset[Any]):
    """Rows of the training data, each with the weight of its place."""

    def __init__(self, rows: Dataset) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitems__(self, places: Sequence[Place]) -> list[dict[str, Any]]:
        rows = self._rows.__getitems__([place.pair for place in places])
        return [
            {**row, "weight": place.weight, "share": place.share} for row, place in zip(rows, places, strict=True)
        ]


@dataclass
class AgentTokensCollator(DataCollatorForPreference):
    """Pads pairs; what the agent did not write is not in ``completion_mask``."""

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """Batch of 2n rows, chosen first; ids and masks are (2n, longest); weights as floats."""
        sides = [(example, side) for side in ("chosen", "rejected") for example in examples]
        texts = [example["prompt_ids"] + example[f"{side}_ids"] for example, side in sides]
        masks = [[0] * len(example["prompt_ids"]) + example[f"{side}_mask"] for example, side in sides]
        batch = {
            "input_ids": pad_right(texts, self.pad_token_id),
            "attention_mask": pad_right([[1] * len(text) for text in texts], 0),
            "completion_mask": pad_right(masks, 0),
        }
        for name in ("ref_chosen_logps", "ref_rejected_logps"):
            if name in examples[0]:
                batch[name] = torch.tensor([example[name] for example in examples])
        return batch | {name: examples[0][name] for name in SHARES if name in examples[0]}
