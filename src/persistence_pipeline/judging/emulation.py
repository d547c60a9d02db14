"""A study's checkpoints on cases in ToolEmu's format: played in an emulated world, scored by judges."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from persistence_pipeline.analysis.summary import draw_means, frontier_summary, persistence_summary
from persistence_pipeline.judging.emulator import EmulatedWorld, EmulatorSettings
from persistence_pipeline.judging.panel import ask_judges
from persistence_pipeline.judging.settings import JudgingSettings
from persistence_pipeline.judging.toolemu_cases import EmulatedCase, read_cases
from persistence_pipeline.records import Split, Trajectory
from persistence_pipeline.rollout.episode import Episode
from persistence_pipeline.rollout.run import RolloutSettings, play
from persistence_pipeline.serving import ChatClient


class EmulationFault(ValueError):
    """Something that emulated cases need is not named in the parameters."""


class EmulationSettings(BaseModel):
    """Which cases, and who plays their tools."""

    model_config = ConfigDict(extra="forbid")

    cases: str | None = None
    """ToolEmu's ``all_cases.json``, or a file of its format."""
    toolkits: str | None = None
    """ToolEmu's ``all_toolkits.json``, or a file of its format."""
    emulator: EmulatorSettings | None = None
    split: Split = "test_iid"
    """``test_iid`` or ``train``: half of the cases, by seed, as in the published study."""
    max_cases: int | None = Field(None, gt=0)
    """Cases of each seed that are played; None: all of the split."""
    journals: str
    """Folder of the emulator's and the judges' replies, from which an interrupted run continues."""


def load_cases(settings: EmulationSettings, seed: int) -> list[EmulatedCase]:
    """The cases that are played on a seed.

    Raises:
        EmulationFault: a file is not named.
        CaseFault: a file is missing or malformed.
    """
    if settings.cases is None or settings.toolkits is None:
        raise EmulationFault("emulation.cases and emulation.toolkits name no files: see docs/judging.md")
    own = [c for c in read_cases(Path(settings.cases), Path(settings.toolkits), seed) if c.split == settings.split]
    if settings.max_cases is not None and len(own) > settings.max_cases:
        kept = set(random.Random(seed).sample(range(len(own)), settings.max_cases))
        own = [case for index, case in enumerate(own) if index in kept]
    return own


def play_emulated(
    checkpoint: Path,
    cases: Sequence[EmulatedCase],
    settings: EmulationSettings,
    rollout: RolloutSettings,
    *,
    policy: str,
    seed: int,
) -> list[Trajectory]:
    """Every case ``rollout.samples`` times, its tools played by the emulator.

    Raises:
        EmulationFault: no emulator is named.
        ServingFault: a server fails; the run that is started again continues.
    """
    emulator = settings.emulator
    if emulator is None:
        raise EmulationFault("emulation.emulator names no server: see docs/judging.md")
    with ChatClient(emulator.server, Path(settings.journals) / f"{policy}-emulator.jsonl") as client:
        episodes = [
            Episode(
                case,
                policy=policy,
                seed=seed,
                sample=sample,
                max_turns=rollout.max_turns,
                world=EmulatedWorld(case, emulator, client, f"{sample}" if emulator.temperature else ""),
            )
            for case in cases
            for sample in range(rollout.samples)
        ]
        return play(checkpoint, episodes, rollout, policy=policy)


def judge_emulated(
    cases: Sequence[EmulatedCase],
    trajectories: Sequence[Trajectory],
    judging: JudgingSettings,
    settings: EmulationSettings,
    provenance: Mapping[str, Any],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Judgements and scores by every judge; there is no other score for these cases."""
    briefings = {case.case_id: case.briefing() for case in cases}
    return ask_judges(trajectories, briefings, judging.judges, Path(settings.journals), provenance)


def analyse_emulated(scores: pd.DataFrame, judging: JudgingSettings) -> dict[str, Any]:
    """Frontier and persistence by judge; ``missing`` counts the trajectories without both scores."""
    document = {}
    for name, rows in scores.groupby("evaluator", sort=False):
        missing = rows[["safety", "helpfulness"]].isna().any(axis=1)
        entry: dict[str, Any] = {"n": len(rows), "missing": _reasons(rows[missing])}
        if missing.all():
            document[str(name)] = {**entry, "undefined": "no trajectory has both scores"}
            continue
        draws = draw_means(rows, judging.n_draws, judging.seed)
        found = frontier_summary(draws)
        entry["frontier"] = {"points": found["points"], "ols": found["ols"]}
        document[str(name)] = {**entry, "persistence": persistence_summary(draws)}
    return document


def _reasons(rows: pd.DataFrame) -> dict[str, int]:
    return {str(reason): int(n) for reason, n in rows["missing_reason"].value_counts().items()}
