"""A stage of a real shape: its steps are timed, then it is left; nothing is merged or saved."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.gpu import card
from bench.gpu.models import random_checkpoint, shape_of, tokenizer_for
from bench.gpu.report import Report
from bench.gpu.sizes import StagePoint
from persistence_pipeline.agents.footprint import StageSize, operations_per_token, stage_memory
from persistence_pipeline.records import Message, PreferencePair, ToolCall
from persistence_pipeline.training.encoding import Row, encode_pairs
from persistence_pipeline.training.settings import StageConfig

STEP_PAIRS = 8
AROUND = 100
"""Tokens of a trajectory beside its letters, about."""
HOPED = 0.4
"""Share of the card's matrix rate at which the time is predicted."""


class EnoughError(Exception):
    """All steps have been timed."""


def measure(point: StagePoint, device: str, rate: float, report: Report, work: Path) -> None:
    """Predict, then train for a few steps and report their speed and memory.

    Args:
        point: Shape, tokens, batch.
        device: ``cuda`` or ``cpu``.
        rate: Operations a second of the card's matrix product.
        report: Where the numbers go, step by step.
        work: Folder for the model.

    Raises:
        CardError: the memory that is predicted is not free.
    """
    if report.done(point.name):
        return
    config = stage_config(point, device)
    pairs = [make_pair(number, point.tokens, "w") for number in range((point.steps + 1) * config.effective_batch)]
    rows, _ = encode_pairs(pairs, tokenizer_for(point.shape), config.max_length, config.rendered_turns)
    expected = _predict(point, config, rows, rate)
    report.predict(point.name, **expected)
    card.forget_peak(device)  # an earlier point's memory is given back
    card.require_memory(device, point.name, expected["memory_gib"] * card.GIGABYTE)
    parent = random_checkpoint(point.shape, device, work)
    card.forget_peak(device)
    with card.counted_synchronisations(device) as waits:
        steps = _timed_steps(point, config, pairs, parent, work, report, waits, device)
    report.measure(point.name, **_numbers(point, config, rows, steps, rate, card.peak_gib(device)))


def stage_config(point: StagePoint, device: str) -> StageConfig:
    """The stage of conf/gpu, at the point's batch."""
    return StageConfig.model_validate(
        {
            "objective": "safety",
            "beta": 0.1,
            "learning_rate": 5e-5,
            "batch_size": point.batch,
            "gradient_accumulation": max(1, STEP_PAIRS // point.batch),
            "max_length": 3 * point.tokens,
            "rendered_turns": True,
            "lora": {} if point.lora else None,
            "device": "auto" if device == "cuda" else "cpu",
            "dtype": "bfloat16" if device == "cuda" else "float32",
            "gradient_checkpointing": True,
        }
    )


def _timed_steps(
    point: StagePoint,
    config: StageConfig,
    pairs: list[PreferencePair],
    parent: Path,
    work: Path,
    report: Report,
    waits: card.Synchronisations,
    device: str,
) -> list[dict[str, Any]]:
    """Seconds and synchronisations of each step behind the first, which warms up."""
    from persistence_pipeline.training.dpo import train_stage

    stamps: list[tuple[float, int | None]] = []
    steps: list[dict[str, Any]] = []

    def stamp() -> None:
        seen = waits.count
        card.wait(device)
        stamps.append((time.perf_counter(), seen))
        if len(stamps) > 1:
            (before, had), (now, has) = stamps[-2:]
            steps.append({"seconds": now - before, "synchronisations": None if has is None else has - (had or 0)})
            report.note(point.name, steps=steps)
        if len(steps) == point.steps:
            raise EnoughError

    with _at_every_step(stamp):
        try:
            train_stage(pairs, parent, parent, config, work / f"stage {point.name}")
        except EnoughError:
            return steps
    raise RuntimeError(f"{point.name}: the stage ended before {point.steps} steps")


@contextmanager
def _at_every_step(call: Any) -> Iterator[None]:
    from torch.optim.optimizer import register_optimizer_step_post_hook

    hook = register_optimizer_step_post_hook(lambda *_: call())
    try:
        yield
    finally:
        hook.remove()


def _tokens(rows: list[Row]) -> tuple[float, float]:
    """Tokens of a pair, both sides, and the share of them that is scored."""
    total = sum(2 * len(r["prompt_ids"]) + len(r["chosen_ids"]) + len(r["rejected_ids"]) for r in rows)
    scored = sum(sum(r["chosen_mask"]) + sum(r["rejected_mask"]) for r in rows)
    return total / len(rows), scored / total


def _predict(point: StagePoint, config: StageConfig, rows: list[Row], rate: float) -> dict[str, float]:
    shape = shape_of(point.shape)
    tokens, share = _tokens(rows)
    size = StageSize(
        rows=2 * point.batch,
        tokens=max(row["length"] for row in rows),
        scored=round(share * tokens * point.batch),
        rank=config.lora.r if config.lora else None,
        weight_bytes=2 if config.lora and config.dtype == "bfloat16" else 4,
        product_bytes=2 if config.dtype == "bfloat16" else 4,
    )
    memory = stage_memory(shape, size)
    counted = operations_per_token(shape, point.lora, share) * tokens * config.effective_batch
    return {
        "memory_gib": memory["total"] / card.GIGABYTE,
        "seconds_a_step": counted / (HOPED * rate),
        **{f"{part}_gib": value / card.GIGABYTE for part, value in memory.items() if part != "total"},
    }


def _numbers(
    point: StagePoint,
    config: StageConfig,
    rows: list[Row],
    steps: list[dict[str, Any]],
    rate: float,
    peak: float | None,
) -> dict[str, Any]:
    tokens, share = _tokens(rows)
    seconds = statistics.median(step["seconds"] for step in steps)
    speed = tokens * config.effective_batch / seconds
    times, per_token = 4 if point.lora else 6, operations_per_token(shape_of(point.shape), point.lora, share)
    waits = [step["synchronisations"] for step in steps if step["synchronisations"] is not None]
    return {
        "tokens_a_second": speed,
        "share_of_matrix_rate": per_token * speed / rate,
        "seconds_a_step": seconds,
        "peak_memory_gib": peak,
        "synchronisations_a_step": statistics.median(waits) if waits else None,
        "counted": f"{times}N a token, N = {per_token / times:.4g} parameters of the layers' matrices and, by the "
        "share of tokens that are scored, of the head; not recomputation (2N), attention, or the reference",
        "tokens_of_a_trajectory": tokens / 2,
        "scored_share": share,
        "pairs_a_step": config.effective_batch,
        "dtype": config.dtype,
        "steps": steps,
    }


def make_pair(number: int, tokens: int, side: str) -> PreferencePair:
    """Two trajectories of about that many tokens: random letters are a token each."""
    rng = random.Random(f"{side}{number}")
    text = " ".join(rng.choice("bcdfghk") for _ in range(max(4, (tokens - AROUND) // 2)))
    prompt = (Message(role="user", content=text),)
    sides = [
        (Message(role="assistant", tool_calls=(ToolCall(name=name, arguments={"text": text}),)),)
        for name in ("look", "act")
    ]
    return PreferencePair(
        pair_id=f"p{number}",
        case_id=f"c{number}",
        objective="safety",
        chosen_id=f"p{number}/a",
        rejected_id=f"p{number}/b",
        prompt=prompt,
        chosen=sides[0],
        rejected=sides[1],
    )
