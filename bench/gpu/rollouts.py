"""Rollouts in process: in lockstep, as padded batches with ``generate``, and one at a time; all of equal length.

The weights are random, so hardly a turn ends before its limit of tokens; speeds are in tokens that were written.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from bench import dialects
from bench.gpu import card
from bench.gpu.models import random_model, shape_of, tokenizer_for
from bench.gpu.report import Report
from bench.gpu.sizes import RolloutPoint
from persistence_pipeline.agents.footprint import ModelShape, RolloutSize, rollout_memory
from persistence_pipeline.rollout.batched import BatchedPolicy, SamplingSettings
from persistence_pipeline.rollout.dialect import Dialect, dialect_of
from persistence_pipeline.rollout.engine.prefill import share_prefixes
from persistence_pipeline.rollout.episode import Episode

HEARD = 40
"""Tokens of an observation with what is around it, about."""


def measure(point: RolloutPoint, device: str, rate: float, copied: float, report: Report) -> None:
    """All sizes of a batch, against padded batches of that size and against one episode at a time.

    Args:
        point: Shape, batches, turns.
        device: ``cuda`` or ``cpu``.
        rate: Operations a second of the card's matrix product.
        copied: Bytes a second of a copy on the card.
        report: Where the numbers go, size by size.

    Raises:
        CardError: the memory that is predicted is not free.
    """
    if all(report.done(_name(point, batch)) for batch in point.batches):
        return
    tokenizer = tokenizer_for(point.shape)
    for batch in point.batches:
        if not report.done(_name(point, batch)):
            prompts = prompts_of(episodes(point, batch), tokenizer)
            expected = _predict(shape_of(point.shape), point, prompts, rate, copied)
            report.predict(_name(point, batch), **expected)
            card.require_memory(device, _name(point, batch), expected["memory_gib"] * card.GIGABYTE)
    model = random_model(point.shape, device)
    alone = _alone(point, model, tokenizer, device, report)
    for batch in point.batches:
        if not report.done(_name(point, batch)):
            _measure_batch(point, batch, model, tokenizer, device, alone, report)


def _name(point: RolloutPoint, batch: int) -> str:
    return f"{point.shape}, batch {batch}"


def episodes(point: RolloutPoint, n: int, turns: int | None = None) -> list[Episode]:
    """The first n episodes: the cases in turn, then further samples of them."""
    cases = dialects._cases()
    return [
        Episode(
            cases[k % len(cases)], policy="bench", seed=0, sample=k // len(cases), max_turns=turns or point.turns
        )
        for k in range(n)
    ]


def prompts_of(batch: Sequence[Episode], tokenizer: Any) -> list[list[int]]:
    """What each episode's agent reads first."""
    transcript = dialect_of(tokenizer).transcript
    return [transcript.prompt(episode.messages, episode.tools) for episode in batch]


def _predict(
    shape: ModelShape, point: RolloutPoint, prompts: list[list[int]], rate: float, copied: float
) -> dict[str, float]:
    """Memory, and the least time: weights and cache are read for every token, beginnings are computed once."""
    prefixes, _ = share_prefixes(prompts)
    longest = max(map(len, prompts)) + point.turns * (point.turn_tokens + HEARD)
    shared = min(map(len, prefixes))
    memory = rollout_memory(shape, RolloutSize(len(prompts), longest, shared, len(prefixes)))
    read = len(prefixes) * shared + len(prompts) * (longest - shared)
    each = point.turns * point.turn_tokens * (memory["weights"] + memory["cache"] / 2) / copied
    return {
        "memory_gib": memory["total"] / card.GIGABYTE,
        "least_seconds": each + 2 * shape.in_layers * read / rate,
        **{f"{part}_gib": value / card.GIGABYTE for part, value in memory.items() if part != "total"},
    }


def _alone(point: RolloutPoint, model: Any, tokenizer: Any, device: str, report: Report) -> float:
    """Tokens a second of one episode at a time, each turn read anew."""
    name = f"{point.shape}, one at a time"
    if report.done(name):
        return float(report.content["points"][name]["measured"]["tokens_a_second"])

    def play(n: int) -> list[Episode]:
        return [play_padded([episode], model, tokenizer, point, kept=False)[0] for episode in episodes(point, n)]

    play(1)
    speed = _speed(lambda: play(point.alone), device)
    report.measure(name, tokens_a_second=speed, episodes=point.alone)
    return speed


def _measure_batch(
    point: RolloutPoint, batch: int, model: Any, tokenizer: Any, device: str, alone: float, report: Report
) -> None:
    settings = SamplingSettings(
        max_turn_tokens=point.turn_tokens, max_turns=point.turns, batch_size=batch, max_length=None
    )

    def ours(turns: int | None = None) -> list[Episode]:
        return list(BatchedPolicy(model, tokenizer, settings).play(episodes(point, batch, turns)))

    def padded() -> list[Episode]:
        return play_padded(episodes(point, batch), model, tokenizer, point, kept=True)

    before = model.config._attn_implementation
    name = _name(point, batch)
    ours(1)
    card.forget_peak(device)
    speeds = [_speed(ours, device) for _ in range(point.repeats)]
    peak = card.peak_gib(device)
    report.note(name, tokens_a_second=speeds)
    spent = card.clocked(device, lambda: ours(1))
    computing = card.computing_seconds(device, lambda: ours(1))
    with card.counted_synchronisations(device) as waits:
        ours(1)
    model.set_attn_implementation(before)  # the lockstep attention takes the model for itself
    padded_speeds = [_speed(padded, device) for _ in range(point.repeats)]
    speed, other = statistics.median(speeds), statistics.median(padded_speeds)
    report.measure(
        name,
        tokens_a_second=speed,
        times_padded=speed / other,
        times_alone=speed / alone,
        share_of_time_outside_the_device=max(0.0, 1 - computing / spent),
        synchronisations_a_token=None if waits.count is None else waits.count / point.turn_tokens,
        peak_memory_gib=peak,
        all_tokens_a_second=speeds,
        padded_tokens_a_second=padded_speeds,
    )


def _speed(play: Callable[[], list[Episode]], device: str) -> float:
    """Tokens that the agents wrote, by second."""
    played: list[Episode] = []
    seconds = card.clocked(device, lambda: played.extend(play()))
    return sum(int(episode.trajectory().flags["new_tokens"]) for episode in played) / seconds


def play_padded(
    batch: list[Episode], model: Any, tokenizer: Any, point: RolloutPoint, *, kept: bool
) -> list[Episode]:
    """A batch turn by turn with ``generate``: padded on the left, and its cache kept from turn to turn or not.

    Where a turn ends early, what is written behind its end is masked. Episodes that have ended stay in the batch.
    """
    import torch
    from transformers import DynamicCache

    dialect = dialect_of(tokenizer)
    ids, mask = _left(prompts_of(batch, tokenizer), tokenizer.pad_token_id, model.device)
    cache = DynamicCache(config=model.config) if kept else None
    while not all(episode.done for episode in batch):
        with torch.inference_mode():
            out = model.generate(
                ids,
                attention_mask=mask,
                past_key_values=cache,
                max_new_tokens=point.turn_tokens,
                do_sample=True,
                top_k=0,
                pad_token_id=tokenizer.pad_token_id,
                eos_token_id=sorted(dialect.transcript.ends),
            )
        turns = out[:, ids.shape[1] :].tolist()
        told = [_take(episode, turn, dialect) for episode, turn in zip(batch, turns, strict=True)]
        width = out.shape[1] - ids.shape[1]
        written = torch.tensor([[1] * n + [0] * (width - n) for n, _ in told], device=model.device)
        heard, heard_mask = _left([tokens for _, tokens in told], tokenizer.pad_token_id, model.device)
        ids, mask = torch.cat([out, heard], 1), torch.cat([mask, written, heard_mask], 1)
    return batch


def _take(episode: Episode, turn: list[int], dialect: Dialect) -> tuple[int, list[int]]:
    """Hand a turn over; how many of its tokens count, and what the agent reads next."""
    if episode.done:
        return 0, dialect.transcript.closing
    ends = [place for place, token in enumerate(turn) if token in dialect.transcript.ends]
    written = turn[: ends[0] + 1] if ends else turn
    message = episode.take(dialect.parse_turn(written, episode.environment.tools, ended=bool(ends)))
    heard = dialect.transcript.observation(message) if message else []
    return len(written), [*dialect.transcript.appended(written), *heard] or dialect.transcript.closing


def _left(rows: list[list[int]], pad: int, device: Any) -> tuple[Any, Any]:
    import torch

    width = max(map(len, rows))
    ids = torch.tensor([[pad] * (width - len(row)) + row for row in rows], device=device)
    return ids, torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=device)
