"""Where memory does not suffice, a stage says which settings to lower."""

from __future__ import annotations

import json
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


def test_a_stage_without_room_is_refused_before_its_model_is_loaded(tmp_path: Path) -> None:
    """Of the shape of SmolLM2-135M; there are no weights that could be loaded."""
    from persistence_pipeline.training.memory import check_memory

    shape = {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "vocab_size": 49152}
    heads = {"num_attention_heads": 9, "num_key_value_heads": 3, "tie_word_embeddings": True}
    (tmp_path / "config.json").write_text(json.dumps({**shape, **heads}), encoding="utf-8")
    rows: Any = [{"chosen_mask": [1] * 58, "rejected_mask": [1] * 58, "length": 181}] * 8
    lora = {"lora": {"target_modules": "all-linear"}}

    def needed(available: float, **change: Any) -> float:
        found = check_memory(rows, tmp_path, stage(**change), available)
        assert found is not None
        return found

    one = needed(4e9, batch_size=1, **lora)
    assert 1.5e9 < one < 4e9
    assert needed(4e9, batch_size=1, dtype="bfloat16", **lora) < one < needed(9e9, batch_size=8, **lora)
    with pytest.raises(StageError, match=r"would take .* GB of memory, of which 4.0 are free: lower batch_size"):
        needed(4e9, batch_size=8)
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}', encoding="utf-8")
    assert check_memory(rows, tmp_path, stage(), 1) is None
