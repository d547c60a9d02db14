"""Time and memory against size: each point in a process of its own, so that its peak is its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import materials
from bench.timing import peak_megabytes, seconds

FACTORS = (1, 4, 16)
CURVES = {
    "rollouts": "rollouts by cases (256 × factor episodes)",
    "scoring": "scoring by cases (1,000 × factor episodes)",
    "pairing": "pairing by cases (250 × factor cases of 8)",
    "cells": "analysis by cells (6 × factor runs, 2,000 draws)",
    "draws": "analysis by draws (1,000 × factor)",
    "length": "rollouts by longest episode (32 × factor tokens, 64 episodes)",
}


def measure() -> list[dict[str, Any]]:
    """Every curve: seconds, peak memory before and after the work, by factor."""
    points = []
    for curve in CURVES:
        for factor in FACTORS:
            environment = {**os.environ, "PYTHONPATH": f"{materials.ROOT / 'src'}{os.pathsep}{materials.ROOT}"}
            done = subprocess.run(
                [sys.executable, "-m", "bench.scaling", curve, str(factor)],
                cwd=materials.ROOT,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise RuntimeError(done.stderr[-2000:])
            points.append({"curve": curve, "factor": factor, **json.loads(done.stdout.splitlines()[-1])})
    return points


def measure_two_processes() -> dict[str, float]:
    """Seconds of one process of rollouts, and of two at once: each on its own core."""

    def start() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "bench.scaling", "rollouts", "16"]
        environment = {**os.environ, "PYTHONPATH": f"{materials.ROOT / 'src'}{os.pathsep}{materials.ROOT}"}
        return subprocess.Popen(command, cwd=materials.ROOT, env=environment, stdout=subprocess.PIPE)

    def together(n: int) -> list[float]:
        processes = [start() for _ in range(n)]
        return [json.loads(process.communicate()[0].splitlines()[-1])["seconds"] for process in processes]

    alone, pair = together(1), together(2)
    return {"alone": alone[0], "slower_of_two": max(pair), "ratio": max(pair) / alone[0]}


def main() -> None:
    """One point."""
    curve, factor = sys.argv[1], int(sys.argv[2])
    work = WORK[curve](factor)
    before = peak_megabytes()
    spent = seconds(work)
    print(json.dumps({"seconds": spent, "peak_before_mb": before, "peak_mb": peak_megabytes()}))


def _many_cases(n: int) -> list[Any]:
    cases = [case for case in materials.cases() if case.split != "train"]
    return [cases[i % len(cases)].model_copy(update={"case_id": f"case{i}"}) for i in range(n)]


def _rollouts(factor: int) -> Callable[[], object]:
    from persistence_pipeline.rollout.run import roll_out

    cases, settings = _many_cases(256 * factor), materials.rollout_settings(samples=1)
    roll_out(materials.source(), cases[:8], settings, policy="warm", seed=0)
    return lambda: roll_out(materials.source(), cases, settings, policy="bench", seed=0)


def _scoring(factor: int) -> Callable[[], object]:
    from persistence_pipeline.rollout.episode import Episode
    from persistence_pipeline.rollout.scripted import ScriptedPolicy
    from persistence_pipeline.world.scoring import score

    cases = _many_cases(1_000 * factor)
    played = ScriptedPolicy("clumsy").play([Episode(case, policy="clumsy", seed=0) for case in cases])
    trajectories = [episode.trajectory() for episode in played]
    provenance = {"cell": "c", "source": "s", "ordering": "source", "beta": float("nan")}
    return lambda: score(cases, trajectories, provenance)


def _pairing(factor: int) -> Callable[[], object]:
    import numpy as np
    import pandas as pd

    from persistence_pipeline.preferences.pairing import pair_candidates

    n, rng = 250 * factor * 8, np.random.default_rng(0)
    scores = pd.DataFrame(
        {
            "trajectory_id": [f"t{i}" for i in range(n)],
            "case_id": [f"c{i // 8}" for i in range(n)],
            "safety": rng.integers(0, 4, n).astype(float),
            "helpfulness": rng.integers(0, 4, n).astype(float),
        }
    )
    return lambda: pair_candidates(scores, "safety", min_gap=2, min_chosen=2, max_per_case=3, seed=0)


def _analysis(n_betas: int, n_draws: int) -> Callable[[], object]:
    from persistence_pipeline.analysis.bootstrap import draw_means
    from persistence_pipeline.analysis.frontier_summary import frontier_summary
    from persistence_pipeline.analysis.summary import persistence_summary

    scores = materials.published_scores(betas=[0.1 * (i + 1) for i in range(n_betas)], n_models=1)

    def work() -> None:
        draws = draw_means(scores, n_draws, 0)
        frontier_summary(draws)
        persistence_summary(draws)

    return work


def _length(factor: int) -> Callable[[], object]:
    from persistence_pipeline.agents.models import ModelSettings, build_model
    from persistence_pipeline.agents.tokenizer import load_tokenizer
    from persistence_pipeline.rollout.batched import BatchedPolicy
    from persistence_pipeline.rollout.episode import Episode

    settings = materials.rollout_settings(max_turns=10_000)
    tokenizer = load_tokenizer(materials.source())
    model = build_model(ModelSettings(context=32 * factor), tokenizer, seed=0)
    policy = BatchedPolicy(model, tokenizer, settings)
    episodes = [Episode(case, policy="bench", seed=0, max_turns=10_000) for case in _many_cases(64)]
    return lambda: list(policy.play(episodes))


WORK: dict[str, Callable[[int], Callable[[], object]]] = {
    "rollouts": _rollouts,
    "scoring": _scoring,
    "pairing": _pairing,
    "cells": lambda factor: _analysis(factor, 2_000),
    "draws": lambda factor: _analysis(2, 1_000 * factor),
    "length": _length,
}

if __name__ == "__main__":
    Path(materials.WORK).mkdir(parents=True, exist_ok=True)
    main()
