"""Runs one stage in a process of its own: ``_stage.py <source> <scratch> <step to die at, or 0> <kind>``."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from persistence_pipeline.training.dpo import StageConfig, StageResult, train_stage
from tiny import make_pairs

BASE = {
    "objective": "safety",
    "beta": 0.1,
    "learning_rate": 1e-3,
    "batch_size": 8,
    "max_length": 64,
    "rendered_turns": True,
}


def stage(**change: Any) -> StageConfig:
    """One short stage on safety, with these changes."""
    return StageConfig.model_validate({**BASE, **change})


def config(lora: bool) -> StageConfig:
    """Two epochs of six steps, the trainer's state saved every four."""
    fields = {"lora": {"r": 4, "alpha": 8, "dropout": 0.1}} if lora else {}
    return stage(epochs=2, save_every=4, seed=3, **fields)


def run(source: Path, scratch: Path, lora: bool = False) -> StageResult:
    """The stage that interrupted and whole runs are compared on."""
    return train_stage(make_pairs(48), source, source, config(lora), scratch)


def main() -> None:
    """Train, and die at once after the given step."""
    import torch
    from torch.optim.optimizer import register_optimizer_step_post_hook

    source, scratch, kill_at, lora = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "lora"
    torch.set_num_threads(1)
    steps = 0

    def die(*_: object) -> None:
        nonlocal steps
        steps += 1
        if steps == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    register_optimizer_step_post_hook(die)
    run(source, scratch, lora)


if __name__ == "__main__":
    main()
