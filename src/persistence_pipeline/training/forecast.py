"""Seconds and gigabytes of a study's steps on this machine's CPU, before any is run and without weights.

Of pretrained sources, whose steps take minutes. Tokens are counted in episodes that scripts play on the study's
own cases; the machine's rate is measured for a moment, on products of the model's shapes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from persistence_pipeline.agents.chat import TemplateError
from persistence_pipeline.agents.footprint import (
    ModelShape,
    RolloutSize,
    StageSize,
    operations_per_token,
    rollout_memory,
    stage_memory,
)
from persistence_pipeline.agents.numbers import BYTES, Exact, faster_dtype
from persistence_pipeline.planned import Planned
from persistence_pipeline.records import Objective
from persistence_pipeline.rollout.run import RolloutSettings
from persistence_pipeline.training.adapting import AdaptingSettings
from persistence_pipeline.training.cloning import UNITS_AT_ONCE, Tokens, demonstrate, encode_demonstrations
from persistence_pipeline.training.errors import SourceError
from persistence_pipeline.training.memory import GIGABYTE, LIBRARIES, stage_bytes
from persistence_pipeline.training.pretrained import describe_pretrained
from persistence_pipeline.training.settings import StageSettings, TrainingSettings
from persistence_pipeline.training.source import SourceSettings
from persistence_pipeline.world.cases import Case

TOKENS, PRODUCTS = 256, 8
"""Rows of the matrices that are multiplied, and products of which the fastest counts."""
BUSY: Mapping[Exact, Mapping[str, float]] = {
    "float32": {"warm start": 0.65, "stage": 0.5, "scoring": 0.5, "rollout": 0.42},
    "bfloat16": {"warm start": 0.25, "stage": 0.32, "scoring": 0.25, "rollout": 0.22},
}
"""Share of the products' rate that each kind of work reaches; the rest is attention, small operations and Python.
Measured with SmolLM2-135M on processors with AVX-512 and with AMX, which is faster at products alone
(docs/pretrained-settings.md)."""

HOLES = 1.6
"""Bytes that a warm start holds at last over what it needs at once: between tensors of ever other sizes the heap
gets holes. Measured: 1.2 in float32, 1.6 in bfloat16."""


@dataclass(frozen=True)
class Read:
    """Tokens of an episode, on the mean of several, and of the longest."""

    prompt: float
    whole: float
    own: float
    """Written by the agent."""
    longest: int

    @classmethod
    def of(cls, episodes: Sequence[Tokens]) -> Read:
        """Of encoded episodes."""
        prompts, wholes = [mask.index(1) for _, mask in episodes], [len(ids) for ids, _ in episodes]
        own = fmean(sum(mask) for _, mask in episodes)
        return cls(fmean(prompts), fmean(wholes), own, max(wholes))


@dataclass(frozen=True)
class Machine:
    """How fast this machine multiplies matrices of a model's shapes, in either dtype."""

    shape: ModelShape
    rates: Mapping[Exact, float]
    """Operations a second."""

    @classmethod
    def measured(cls, shape: ModelShape) -> Machine:
        """With as many threads as are set."""
        return cls(shape, {dtype: matrix_rate(shape, dtype, TOKENS) for dtype in ("float32", "bfloat16")})

    def forward(self, tokens: float, scored: float) -> float:
        """Operations of reading so many tokens, with logits at those that are scored."""
        return tokens * operations_per_token(self.shape, lora=True, scored_share=scored / tokens) / 2

    def seconds(self, work: str, dtype: Exact, operations: float) -> float:
        """Of so many operations in a kind of work."""
        return operations / self.rates[dtype] / BUSY[dtype][work]


def matrix_rate(shape: ModelShape, dtype: Exact, tokens: int) -> float:
    """Operations a second in the products of a layer with so many tokens, each matrix as often as it comes."""
    import torch

    spent = 0.0
    for inputs, outputs in shape.linears:
        left = torch.randn(tokens, inputs, dtype=getattr(torch, dtype))
        right = torch.randn(outputs, inputs, dtype=getattr(torch, dtype))
        spent += min(_timed(lambda a=left, b=right: a @ b.T) for _ in range(PRODUCTS))  # type: ignore[misc]
    return 2 * tokens * shape.in_layers / shape.layers / spent


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


@dataclass(frozen=True)
class Load:
    """What a study asks of one source."""

    train: Sequence[Case]
    """Cases of one chain."""
    tests: Sequence[Case]
    candidates: RolloutSettings | None
    """None: pairs come from elsewhere."""
    rollout: RolloutSettings
    training: TrainingSettings
    objectives: Sequence[Objective]
    """Of the stages of one chain, one by one."""
    pairs: int
    """Of each stage; assumed."""
    chains: int
    scratch: Path


def forecast(
    name: str,
    source: SourceSettings,
    behaviours: Mapping[str, float],
    load: Load,
    rates: Mapping[Exact, float] | None = None,
) -> list[Planned]:
    """Rows of the plan for one source; one that says why, where nothing can be told.

    Args:
        name: Of the source.
        source: Its settings.
        behaviours: Scripts that play the agent's part, and how often.
        load: The rest of the study.
        rates: Of the machine, operations a second; none: measured here.
    """
    if source.pretrained is None:
        return []
    if load.rollout.device != "cpu" or any(getattr(load.training, o).device != "cpu" for o in load.objectives):
        return [Planned(name, "time", None, "not predicted where a GPU may do the work")]
    try:
        tokenizer, config = describe_pretrained(source.pretrained, load.scratch)
        shape = ModelShape.of(config)
        machine = Machine.measured(shape) if rates is None else Machine(shape, rates)
        train, tests = (Read.of(encode_demonstrations(tokenizer, demonstrate(cases, behaviours, 0)))
                        for cases in (load.train, load.tests))  # fmt: skip
    except (SourceError, TemplateError, ValueError) as unknown:
        return [Planned(name, "time", None, str(unknown))]
    measured = [
        Planned(f"{name}: products on this machine", dtype, rate / 1e9, "GFLOP/s")
        for dtype, rate in machine.rates.items()
    ]
    return measured + _rows(name, source, machine, load, train, tests)


def _rows(
    name: str, source: SourceSettings, machine: Machine, load: Load, train: Read, tests: Read
) -> list[Planned]:
    started = _adapted(machine, source.warm_start, train)
    played = _played(machine, load.candidates, train, len(load.train))
    tested = _played(machine, load.rollout, tests, len(load.tests))
    stages = {o: _stage(machine, getattr(load.training, o), train, load.pairs) for o in set(load.objectives)}
    chain = played[0] + tested[0] * (1 + len(load.objectives)) + sum(stages[o][0] for o in load.objectives)
    all_chains = chain * load.chains + started[0] * (load.chains if source.per_seed else 1)
    parts = {
        "warm start": started,
        "candidates of a chain": played,
        **{f"a stage on {o}, {load.pairs} pairs": stages[o] for o in sorted(stages)},
        "rollouts of a policy": tested,
    }
    rows = [
        row
        for what, (seconds, memory) in parts.items()
        if seconds
        for row in (
            Planned(f"{name}: {what}", "time", seconds, "s"),
            Planned(f"{name}: {what}", "memory", memory / GIGABYTE, "GB"),
        )
    ]
    most = max(memory for _, memory in parts.values())
    return [
        *rows,
        Planned(f"{name}: a chain of {len(load.objectives)} stages", "time", chain / 3600, "h"),
        Planned(f"{name}: all {load.chains} chains", "time", all_chains / 3600, "h"),
        Planned(f"{name}: all {load.chains} chains", "memory", most / GIGABYTE, "GB"),
    ]


def _adapted(machine: Machine, settings: AdaptingSettings | None, read: Read) -> tuple[float, float]:
    """Seconds and bytes of a warm start; none without one."""
    if settings is None:
        return 0.0, 0.0
    dtype = faster_dtype(settings.dtype, on_gpu=False)
    each = operations_per_token(machine.shape, settings.lora is not None, read.own / read.whole)
    operations = settings.steps * settings.batch_size * read.whole * each
    memory = adapting_bytes(machine.shape, settings, dtype, read.longest, read.own / read.whole)
    return machine.seconds("warm start", dtype, operations), memory


def _played(machine: Machine, settings: RolloutSettings | None, read: Read, cases: int) -> tuple[float, float]:
    """Seconds and bytes of rollouts in process: of every case, its prompt once, and what is said by sample."""
    if settings is None or settings.served is not None or not cases:
        return 0.0, 0.0
    dtype = faster_dtype(settings.dtype, on_gpu=False)
    episodes = cases * settings.samples
    tokens = cases * read.prompt + episodes * (read.whole - read.prompt)
    size = RolloutSize(rows=min(settings.batch_size, episodes), longest=read.longest, dtype_bytes=BYTES[dtype])
    memory = rollout_memory(machine.shape, size)["total"] + LIBRARIES
    return machine.seconds("rollout", dtype, machine.forward(tokens, episodes * read.own)), memory


def _stage(machine: Machine, settings: StageSettings, read: Read, pairs: int) -> tuple[float, float]:
    """Seconds and bytes of a stage: its steps, and the log-probabilities under its reference and at its end."""
    dtype = faster_dtype(settings.dtype, on_gpu=False)
    tokens, scored = 2 * read.whole - read.prompt, 2 * read.own  # a pair's prompt is read once
    each = operations_per_token(machine.shape, settings.lora is not None, scored / tokens)
    steps = machine.seconds("stage", dtype, settings.epochs * pairs * tokens * each)
    scoring = machine.seconds("scoring", dtype, 2 * pairs * machine.forward(tokens, scored))
    memory = stage_bytes(machine.shape, settings, dtype, read.longest, round(scored * settings.batch_size))
    return steps + scoring, memory


def adapting_bytes(
    shape: ModelShape, settings: AdaptingSettings, dtype: Exact, longest: int, own_share: float
) -> float:
    """Bytes that the warm start of a pretrained source takes at most; demonstrations go through it part by part.

    Args:
        shape: Of the model, whose weights, and their rounded copy, are held.
        settings: Of the warm start.
        dtype: What is multiplied.
        longest: Tokens of the longest demonstration.
        own_share: Of the tokens that the agent wrote.
    """
    tokens = max(longest, UNITS_AT_ONCE // (shape.layers * shape.hidden))
    size = StageSize(
        rows=1,
        tokens=tokens,
        scored=round(tokens * own_share),
        rank=settings.lora.r if settings.lora is not None else None,
        checkpointing=False,
        weight_bytes=4,
        product_bytes=BYTES[dtype],
        tiled=False,
        seen=tokens * longest if dtype == "bfloat16" else 0,
    )
    return HOLES * stage_memory(shape, size)["total"] + LIBRARIES
