"""The state from which a killed warm start continues: one safetensors file, its scalars as JSON in the header.

No pickle: reading it can run no code, and the floats come back bit for bit.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch.optim.lr_scheduler import LRScheduler

Log = list[dict[str, float]]


class Progress:
    """A training loop's model, optimisers and schedules, and where they are saved."""

    def __init__(
        self,
        path: Path,
        model: torch.nn.Module,
        optimisers: Sequence[torch.optim.Optimizer],
        schedules: Sequence[LRScheduler],
    ) -> None:
        self._path = path
        self._model = model
        self._optimisers = optimisers
        self._schedules = schedules

    def save(self, log: Log) -> None:
        """Replace the saved state by the present one; ``log`` has a row for each step done."""
        from safetensors.torch import save_file

        tensors = {f"model/{name}": tensor.detach() for name, tensor in self._trained().items()}
        for number, optimiser in enumerate(self._optimisers):
            for index, state in optimiser.state_dict()["state"].items():
                tensors |= {f"optimiser/{number}/{index}/{key}": tensor for key, tensor in state.items()}
        scalars = {"log": log, "schedules": [schedule.state_dict() for schedule in self._schedules]}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(".tmp")
        save_file(tensors, temporary, {"scalars": json.dumps(scalars)})
        temporary.replace(self._path)

    def restore(self) -> Log:
        """Put the saved state into model, optimisers and schedules; the log so far, empty where none is saved."""
        from safetensors import safe_open

        if not self._path.is_file():
            return []
        with safe_open(self._path, framework="pt") as file:
            scalars = json.loads(file.metadata()["scalars"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        for name, tensor in _below("model/", tensors).items():
            self._trained()[name].data.copy_(tensor)
        for number, (optimiser, schedule) in enumerate(zip(self._optimisers, self._schedules, strict=True)):
            self._restore_optimiser(optimiser, _below(f"optimiser/{number}/", tensors))
            schedule.load_state_dict(scalars["schedules"][number])
            for group, rate in zip(optimiser.param_groups, schedule.get_last_lr(), strict=True):
                group["lr"] = rate
        return list(scalars["log"])

    def _trained(self) -> dict[str, torch.nn.Parameter]:
        return {name: weights for name, weights in self._model.named_parameters() if weights.requires_grad}

    @staticmethod
    def _restore_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
        whole = optimiser.state_dict()
        whole["state"] = {}
        for name, tensor in tensors.items():
            index, key = name.split("/", 1)
            whole["state"].setdefault(int(index), {})[key] = tensor
        optimiser.load_state_dict(whole)


def _below(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
