"""Simulated studies: run means whose truth is known, with noise of cases and of training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from persistence_pipeline.analysis.bootstrap import Draws
from persistence_pipeline.analysis.runs import Floats, Runs, gather
from persistence_pipeline.orderings import SOURCE
from persistence_pipeline.records import METRICS

ARMS = (SOURCE, "safety", "helpfulness", "safety>helpfulness", "helpfulness>safety", "both")
HELPFULNESS = (1.5, 0.9, 2.1, 1.7, 1.2, 1.6)
SLOPE = -0.8
OFF_LINE = (0.0, 0.1, 0.1, -0.2, 0.15, 0.2)
"""Safety of the arms above the line, where they do not lie on one."""
SHARED = 0.4
"""Share of the variance of a score that is the case's, and so common to all arms."""
HIGHEST = 3.0
CHUNK = 250
"""Studies drawn at a time: bounds memory."""

Levels = dict[str, tuple[float, float]]
"""By arm: true mean safety and helpfulness."""


def levels(on_line: bool = True) -> Levels:
    """Arms of a study with a clear gain in both objectives, on one line or off it."""
    offsets = (0.0,) * len(ARMS) if on_line else OFF_LINE
    rows = zip(ARMS, HELPFULNESS, offsets, strict=True)
    return {arm: (1.5 + SLOPE * (helpful - 1.5) + off, helpful) for arm, helpful, off in rows}


@dataclass(frozen=True)
class Noise:
    """How much training runs differ, in standard deviations of a run's true mean."""

    size: float
    kind: str = "normal"
    """``normal``; ``heavy``: t, 3 degrees of freedom; ``unequal``: H>S by ``size``, others by a quarter."""

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
        """Deviations of runs; the arms are the last axis but one."""
        if self.kind == "heavy":
            return np.asarray(self.size * rng.standard_t(3, shape) / np.sqrt(3))
        scale = np.full(len(ARMS), self.size)
        if self.kind == "unequal":
            scale[[arm != "helpfulness>safety" for arm in ARMS]] /= 4
        return np.asarray(rng.normal(size=shape) * scale[:, None])


def template(n_seeds: int, n_cases: int) -> Runs:
    """Runs of a study of this size; each seed has cases of its own."""
    rows = [
        {
            "source": "m",
            "ordering": arm,
            "beta": np.nan if arm == SOURCE else 0.1,
            "seed": seed,
            "evaluator": "state",
        }
        | {"case_id": f"s{seed}.c{case}", "safety": 1.0, "helpfulness": 1.0}
        for seed in range(n_seeds)
        for arm in ARMS
        for case in range(n_cases)
    ]
    return gather(pd.DataFrame(rows))


def studies(
    truth: Mapping[str, tuple[float, float]], runs: Runs, noise: Noise, n_cases: int, n: int, seed: int
) -> Iterator[Draws]:
    """``n`` studies. A score is 3 or 0, the roughest there is, with the exact mean; arms share the cases."""
    rng = np.random.default_rng(seed)
    seeds = runs.table["seed"].nunique()
    mean = np.array([truth[arm] for arm in ARMS])
    arms = runs.table["ordering"].map(ARMS.index).to_numpy()
    rows = runs.table["seed"].to_numpy()
    for start in range(0, n, CHUNK):
        size = min(CHUNK, n - start)
        means = _scores(rng, mean + noise.draw(rng, (size, seeds, len(ARMS), 2)), n_cases)
        for study in means:
            point = study[rows, arms]
            yield Draws(runs, {metric: np.tile(point[:, i], (3, 1)) for i, metric in enumerate(METRICS)})


def _scores(rng: np.random.Generator, level: Floats, n_cases: int) -> Floats:
    """Mean scores over cases of runs with these true means: (studies, seeds, arms, 2)."""
    from scipy.special import ndtri

    bound = ndtri(np.clip(level / HIGHEST, 0.02, 0.98)).astype(np.float32)
    shape = (*level.shape[:2], 1, 2, n_cases)
    case = np.float32(SHARED**0.5) * rng.standard_normal(shape, dtype=np.float32)
    means = np.empty(level.shape)
    for arm in range(level.shape[2]):
        own = np.float32((1 - SHARED) ** 0.5) * rng.standard_normal(
            (*level.shape[:2], 2, n_cases), dtype=np.float32
        )
        means[:, :, arm] = HIGHEST * (case[:, :, 0] + own < bound[:, :, arm, :, None]).mean(-1)
    return means
