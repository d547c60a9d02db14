"""A DPO stage on a model of SmolLM2-135M's shape with random weights, against TRL's way with the same pairs.

Beside it the rate at which this machine multiplies matrices of these shapes, of which a step reaches a share.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import materials
from bench.timing import Row, peak_megabytes, speed_up
from persistence_pipeline.agents.footprint import ModelShape
from persistence_pipeline.training.forecast import matrix_rate
from persistence_pipeline.training.settings import StageConfig

WORDS = 49_152
SHAPE: dict[str, Any] = {
    "model_type": "llama",
    "vocab_size": WORDS,
    "hidden_size": 576,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "intermediate_size": 1536,
    "max_position_embeddings": 8192,
    "tie_word_embeddings": True,
}
PAIRS, PROMPT, COMPLETION, OWN = 8, 84, 97, 58
"""Tokens of a pair's prompt, of each side beside it, and of the agent's among these: means of a study."""
SHARED_TOKENS = PROMPT + 2 * COMPLETION


def measure(repeats: int) -> list[Row]:
    """The row of the steps, reference and final log-probabilities not among them."""
    folder, sides = _checkpoint(), {}

    def prepare() -> None:
        sides["ours"] = _trainer(folder, batch_size=1, accumulation=PAIRS)
        with _heads_of_trl():
            sides["theirs"] = _trainer(folder, batch_size=PAIRS, accumulation=1)

    prepare()
    row = speed_up(
        "pretrained_stage",
        f"a step of {PAIRS} pairs of 2 × {PROMPT + COMPLETION} tokens on a model of SmolLM2-135M's shape, LoRA",
        "TRL's head and both sides whole, all pairs at once",
        lambda: sides["ours"].train(),
        lambda: sides["theirs"].train(),
        target=1.5,
        repeats=repeats,
    )
    row.details.update(_shares(row, ModelShape.of(SHAPE)))
    return [row]


def _shares(row: Row, shape: ModelShape) -> dict[str, Any]:
    """Seconds a pair, and its arithmetic (4 operations a weight and token) against the rate of the products."""
    seconds = sorted(row.ours)[len(row.ours) // 2] / PAIRS
    operations = 4 * (shape.in_layers * SHARED_TOKENS + shape.embedding * 2 * OWN)
    rates = {dtype: matrix_rate(shape, dtype, SHARED_TOKENS) / 1e9 for dtype in ("float32", "bfloat16")}
    return {
        "seconds_a_pair": seconds,
        "gigaflop_a_pair": operations / 1e9,
        "gigaflop_a_second": operations / seconds / 1e9,
        "matrix_rates": rates,
        "share_of_float32": operations / seconds / 1e9 / rates["float32"],
        "peak_gigabytes_of_both": peak_megabytes() / 1024,
    }


def _checkpoint() -> Path:
    """Random weights of the shape, and any tokenizer with a token for padding."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    folder = materials.WORK / "pretrained"
    if not (folder / "model.safetensors").is_file():
        torch.manual_seed(0)
        fields = {**SHAPE, "pad_token_id": 0, "bos_token_id": None, "eos_token_id": 1}
        config = AutoConfig.for_model(fields.pop("model_type"), **fields)
        AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(folder)
    return folder


def _trainer(folder: Path, batch_size: int, accumulation: int) -> Any:
    from persistence_pipeline.agents.tokenizer import train_tokenizer
    from persistence_pipeline.training import dpo
    from persistence_pipeline.training.launch import StageJob
    from persistence_pipeline.training.scratch import StageScratch

    lora = {"r": 16, "alpha": 32, "dropout": 0.05, "target_modules": ["q_proj", "v_proj"]}
    change = {"batch_size": batch_size, "gradient_accumulation": accumulation, "save_every": 0, "lora": lora}
    config: StageConfig = materials.stage_config(**change, max_length=PROMPT + COMPLETION)
    job = StageJob(rows=_rows(), counts={}, parent=folder, source=folder, config=config, seed=0)
    shutil.rmtree(materials.WORK / "stage", ignore_errors=True)
    return dpo._make_trainer(job, train_tokenizer(["a b"]), StageScratch(materials.WORK / "stage"))


def _rows() -> list[dict[str, Any]]:
    rng = random.Random(0)

    def tokens(n: int) -> list[int]:
        return [rng.randrange(2, WORDS) for _ in range(n)]

    mask = [1] * OWN + [0] * (COMPLETION - OWN)
    return [
        {
            "prompt_ids": tokens(PROMPT),
            "chosen_ids": tokens(COMPLETION),
            "rejected_ids": tokens(COMPLETION),
            "chosen_mask": mask,
            "rejected_mask": mask,
            "length": PROMPT + COMPLETION,
        }
        for _ in range(PAIRS)
    ]


@contextmanager
def _heads_of_trl() -> Iterator[None]:
    from persistence_pipeline.training.trainer import StagedDPOTrainer

    ours = StagedDPOTrainer._narrow_heads
    StagedDPOTrainer._narrow_heads = lambda self: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        StagedDPOTrainer._narrow_heads = ours  # type: ignore[method-assign]
