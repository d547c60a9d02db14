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
from persistence_pipeline.agents.numbers import BYTES, faster_dtype
from persistence_pipeline.training import attention, dpo, scoring
from persistence_pipeline.training.forecast import matrix_rate
from persistence_pipeline.training.launch import StageJob
from persistence_pipeline.training.scratch import StageScratch
from persistence_pipeline.training.settings import StageConfig
from persistence_pipeline.training.trainer import StagedDPOTrainer

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
PAIRS, PROMPT, COMPLETION, OWN = 48, 84, 97, 58
"""Pairs of a stage; tokens of a pair's prompt, of each side beside it, and of the agent's among these."""
SHARED_TOKENS = PROMPT + 2 * COMPLETION
AS_OURS = {"batch_size": 1, "gradient_accumulation": 4}
AS_TRL = {"batch_size": 4, "gradient_accumulation": 1}


def measure(repeats: int) -> list[Row]:
    """The rows of a stage's steps, and of the whole stage: reference, steps, saving, final log-probabilities."""
    folder, sides = _checkpoint(), {}

    def prepare() -> None:
        sides["ours"] = _trainer(folder, AS_OURS)
        with _ways_of_trl():
            sides["theirs"] = _trainer(folder, AS_TRL)

    def whole(change: dict[str, int]) -> None:
        job, state = _job(folder, change)
        dpo.run_stage(job, state)

    def whole_of_trl() -> None:
        with _ways_of_trl():
            whole(AS_TRL)

    prepare()
    pairs = f"{PAIRS} pairs of 2 × {PROMPT + COMPLETION} tokens on a model of SmolLM2-135M's shape"
    steps = speed_up(
        "pretrained_steps",
        f"the steps of {pairs}",
        "TRL's head, both sides whole, pairs together, fused attention",
        lambda: sides["ours"].train(),
        lambda: sides["theirs"].train(),
        target=1.3,
        repeats=repeats,
    )
    stage = speed_up(
        "pretrained_stage",
        f"a whole stage of {pairs}",
        "the same in TRL's way",
        lambda: whole(AS_OURS),
        whole_of_trl,
        target=1.3,
        repeats=repeats,
    )
    shape = ModelShape.of(SHAPE)
    steps.details.update(_shares(steps, shape, passes=2))
    stage.details.update(_shares(stage, shape, passes=3))  # the reference and the end are read forward only
    return [steps, stage]


def _shares(row: Row, shape: ModelShape, passes: int) -> dict[str, Any]:
    """Seconds a pair, and its arithmetic (2 operations a weight, token and pass) against the products' rate."""
    seconds = sorted(row.ours)[len(row.ours) // 2] / PAIRS
    operations = 2 * passes * (shape.in_layers * SHARED_TOKENS + shape.embedding * 2 * OWN)
    rates = {dtype: matrix_rate(shape, dtype, SHARED_TOKENS) / 1e9 for dtype in BYTES}
    dtype = faster_dtype("auto", on_gpu=False)
    return {
        "dtype": dtype,
        "seconds_a_pair": seconds,
        "gigaflop_a_pair": operations / 1e9,
        "gigaflop_a_second": operations / seconds / 1e9,
        "matrix_rates": rates,
        "share_of_its_rate": operations / seconds / 1e9 / rates[dtype],
        "peak_gigabytes_of_both": peak_megabytes() / 1024,
    }


def _checkpoint() -> Path:
    """Random weights of the shape, and any tokenizer with a token for padding."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from persistence_pipeline.agents.tokenizer import train_tokenizer

    folder = materials.WORK / "pretrained"
    if not (folder / "tokenizer.json").is_file():  # what is written last
        torch.manual_seed(0)
        fields = {**SHAPE, "pad_token_id": 0, "bos_token_id": None, "eos_token_id": 1}
        config = AutoConfig.for_model(fields.pop("model_type"), **fields)
        AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(folder)
        train_tokenizer(["a b"]).save_pretrained(folder)
    return folder


def _job(folder: Path, change: dict[str, int]) -> tuple[StageJob, StageScratch]:
    lora = {"r": 16, "alpha": 32, "dropout": 0.0, "target_modules": "all-linear"}
    dtype = faster_dtype("auto", on_gpu=False)
    config: StageConfig = materials.stage_config(
        **change, save_every=0, lora=lora, dtype=dtype, max_length=PROMPT + COMPLETION
    )
    shutil.rmtree(materials.WORK / "stage", ignore_errors=True)
    job = StageJob(rows=_rows(), counts={}, parent=folder, source=folder, config=config, seed=0)
    return job, StageScratch(materials.WORK / "stage")


def _trainer(folder: Path, change: dict[str, int]) -> Any:
    job, state = _job(folder, change)
    return dpo._make_trainer(job, dpo._load_tokenizer(folder), state)


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
def _ways_of_trl() -> Iterator[None]:
    """Without our head, which reads the beginning of both sides once, and without attention by products."""
    ours = StagedDPOTrainer._narrow_heads, scoring.narrow_head, scoring.use_products, attention.use_products
    StagedDPOTrainer._narrow_heads = lambda self: None  # type: ignore[method-assign]
    scoring.narrow_head = scoring.use_products = attention.use_products = lambda model: None
    try:
        yield
    finally:
        (StagedDPOTrainer._narrow_heads, scoring.narrow_head, scoring.use_products, attention.use_products) = ours  # type: ignore[method-assign]
