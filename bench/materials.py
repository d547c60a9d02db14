"""What is measured on: the default study's settings and source, its pairs, and score tables of published size."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from persistence_pipeline.records import PreferencePair, Trajectory
from persistence_pipeline.rollout.run import RolloutSettings, roll_out
from persistence_pipeline.training.settings import StageConfig
from persistence_pipeline.training.source import SourceSettings, make_source
from persistence_pipeline.training.warm_start import WarmStartSettings
from persistence_pipeline.world.cases import Case
from persistence_pipeline.world.splits import WorldSettings, generate_cases

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / "build" / "bench"
ORDERINGS = ("safety", "helpfulness", "safety>helpfulness", "helpfulness>safety", "both")
logger = logging.getLogger(__name__)


@cache
def parameters() -> dict[str, Any]:
    """The default study's parameters."""
    from kedro.config import OmegaConfigLoader

    return dict(OmegaConfigLoader(str(ROOT / "conf"), base_env="base", default_run_env="base")["parameters"])


def world() -> WorldSettings:
    """The default world."""
    return WorldSettings.model_validate(parameters()["world"])


def warm_start_settings(**change: Any) -> WarmStartSettings:
    """The default warm start, changed."""
    return WarmStartSettings.model_validate({**parameters()["warm_start"], **change})


def stage_config(**change: Any) -> StageConfig:
    """The default safety stage, changed."""
    factors = {"objective": "safety", "beta": 0.1, "seed": 0}
    return StageConfig.model_validate({**parameters()["training"]["safety"], **factors, **change})


def rollout_settings(**change: Any) -> RolloutSettings:
    """The default rollout, changed."""
    return RolloutSettings.model_validate({**parameters()["rollout"], **change})


@cache
def source() -> Path:
    """The default study's source: as a run left it, else trained here once and kept."""
    for place in (ROOT / "data/06_models/llama", WORK / "source"):
        if (place / "model.safetensors").is_file():
            return place
    logger.warning("training the source once (about a minute)")
    settings = SourceSettings.model_validate(parameters()["sources"]["llama"])
    made, _ = make_source(world(), settings, warm_start_settings(), 0, WORK / "scratch")
    return made.rename(WORK / "source")


@cache
def cases() -> tuple[Case, ...]:
    """The default study's cases, all splits."""
    return tuple(generate_cases(world(), 0))


@cache
def trajectories(n: int = 4_000) -> tuple[Trajectory, ...]:
    """Rollouts of the source on train cases, many to a case."""
    train = [case for case in cases() if case.split == "train"]
    samples = -(-n // len(train))
    return tuple(roll_out(source(), train, rollout_settings(samples=samples), policy="source", seed=0)[:n])


@cache
def candidate_scores() -> pd.DataFrame:
    """Scores of those rollouts."""
    from persistence_pipeline.world.scoring import score

    provenance = {"cell": "source", "source": "llama", "ordering": "source", "beta": float("nan")}
    return score(cases(), trajectories(), provenance)


def pairs(n: int = 600) -> list[PreferencePair]:
    """Preference pairs for safety made of those rollouts."""
    from persistence_pipeline.preferences.export import to_trl
    from persistence_pipeline.preferences.pairing import pair_candidates

    table, _ = pair_candidates(
        candidate_scores(), "safety", min_gap=1, min_chosen=2, max_per_case=8, seed=0, rule="strict"
    )
    drawn = table.sample(n, random_state=0).sort_index()
    return to_trl(drawn, trajectories())


def published_scores(n_cases: int = 144, betas: Sequence[float] = (0.1, 0.05), n_models: int = 3) -> pd.DataFrame:
    """A score table of published size: 3 models, 2 evaluators, 3 seeds with half of the cases each."""
    rng = np.random.default_rng(0)
    frames = []
    for model in range(n_models):
        for evaluator in ("q32", "gpt5m"):
            for seed in range(3):
                tests = rng.permutation(n_cases)[: n_cases // 2]
                runs = [("source", np.nan)] + [(ordering, beta) for ordering in ORDERINGS for beta in betas]
                for ordering, beta in runs:
                    identity = {"source": f"model{model}", "evaluator": evaluator, "seed": seed}
                    level = 0.4 * ("safety" in ordering) - 0.2 * ("helpfulness" in ordering)
                    scores = np.clip(np.round(rng.normal(1.5 + level, 1, (2, len(tests)))), 0, 3)
                    frames.append(
                        pd.DataFrame(
                            {
                                **identity,
                                "ordering": ordering,
                                "beta": beta,
                                "case_id": [f"case{t:04d}" for t in tests],
                                "safety": scores[0],
                                "helpfulness": 3 - scores[1],
                            }
                        )
                    )
    return pd.concat(frames, ignore_index=True)
