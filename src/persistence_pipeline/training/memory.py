"""The memory of a stage on a CPU, predicted from the checkpoint's configuration before anything is loaded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from persistence_pipeline.agents.footprint import ModelShape, StageSize, stage_memory
from persistence_pipeline.agents.numbers import BYTES, Exact, faster_dtype
from persistence_pipeline.training.encoding import Row
from persistence_pipeline.training.errors import StageError
from persistence_pipeline.training.settings import StageConfig, StageSettings

GIGABYTE = 1e9
LIBRARIES = 0.6 * GIGABYTE
"""Of Python with torch, transformers and TRL, loaded."""


def stage_bytes(shape: ModelShape, settings: StageSettings, dtype: Exact, longest: int, scored: int) -> float:
    """Bytes that a stage on a CPU takes at most.

    Args:
        shape: Of the model; a second one is held beside it where checkpoints are compared.
        settings: Of the stage.
        dtype: What is multiplied.
        longest: Tokens of the longest trajectory.
        scored: Tokens of a batch that the agent wrote.
    """
    size = StageSize(
        rows=2 * settings.batch_size,
        tokens=longest,
        scored=scored,
        rank=settings.lora.r if settings.lora is not None else None,
        checkpointing=settings.gradient_checkpointing,
        weight_bytes=BYTES[dtype if settings.lora is not None else "float32"],
        product_bytes=BYTES[dtype],
        tiled=False,
        # the sides of a pair stand one after the other
        seen=settings.batch_size * (2 * longest) ** 2 if dtype == "bfloat16" else 0,
    )
    parts = stage_memory(shape, size)
    return parts["total"] + parts["weights"] + LIBRARIES


def check_memory(rows: Sequence[Row], checkpoint: Path, config: StageConfig, available: float) -> float | None:
    """Bytes that a stage on a CPU takes at most; None of a model whose shape tells no size.

    Args:
        rows: Of the stage's pairs.
        checkpoint: What the stage starts from.
        config: Its settings.
        available: Bytes that there are.

    Raises:
        StageError: they do not suffice; says what to lower.
    """
    try:
        shape = ModelShape.of(json.loads((checkpoint / "config.json").read_text(encoding="utf-8")))
    except ValueError:
        return None
    scored = sorted((sum(row["chosen_mask"]) + sum(row["rejected_mask"]) for row in rows), reverse=True)
    longest = max(row["length"] for row in rows)
    dtype = faster_dtype(config.dtype, on_gpu=False)
    needed = stage_bytes(shape, config, dtype, longest, sum(scored[: config.batch_size]))
    if needed > available:
        raise StageError(
            f"stage on {config.objective}: it would take {needed / GIGABYTE:.1f} GB of memory, of which "
            f"{available / GIGABYTE:.1f} are free: lower batch_size (now {config.batch_size}) and raise "
            "gradient_accumulation alike, turn on gradient_checkpointing, or take lora"
        )
    return needed
