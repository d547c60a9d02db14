"""Where memory does not suffice, a stage says which settings to lower."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from _stage import stage

from persistence_pipeline.training.dpo import StageError, train_stage
from persistence_pipeline.training.errors import memory_advice
from tiny import make_pairs

CONFIG = stage()


def test_the_allocator_of_the_host_is_understood() -> None:
    import torch

    with pytest.raises(StageError, match=r"allocator said: .*DefaultCPUAllocator"), memory_advice(CONFIG):
        torch.empty(2**60)


def test_a_device_that_is_full_names_the_settings(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from transformers import LlamaModel

    def full(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nMore.")

    monkeypatch.setattr(LlamaModel, "forward", full)
    with pytest.raises(StageError) as fault:
        train_stage(make_pairs(8), tiny_checkpoint, tiny_checkpoint, CONFIG, tmp_path / "stage")
    said = str(fault.value)
    for part in ("batch_size (now 8)", "turn on gradient_checkpointing", "max_length (now 64)", "set launch"):
        assert part in said
    assert said.endswith("Tried to allocate 2.00 GiB.")


def test_other_errors_keep_their_traceback() -> None:
    with pytest.raises(RuntimeError, match="shapes do not fit"), memory_advice(CONFIG):
        raise RuntimeError("shapes do not fit")
