"""Cases in ToolEmu's format: played in an emulated world, scored by judges.

A study may stand on them as a whole (``study.cases: toolemu``), or its finished checkpoints may play them.
"""

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
from persistence_pipeline.rollout.run import NO_CHECKPOINT, CandidateSettings, RolloutSettings, play
from persistence_pipeline.serving import ChatClient

HALVES: tuple[Split, ...] = ("train", "test_iid")
TESTED: Split = "test_iid"


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
    """What checkpoints are tested on: ``test_iid`` or ``train``, half of the cases, by seed, as published."""
    max_cases: int | None = Field(None, gt=0)
    """Cases of each seed and half; None: all."""
    journals: str
    """Folder of the emulator's and the judges' replies, from which an interrupted run continues."""


def load_cases(settings: EmulationSettings, seed: int) -> list[EmulatedCase]:
    """The cases of a seed, both halves.

    Raises:
        EmulationFault: a file is not named.
        CaseFault: a file is missing or malformed.
    """
    if settings.cases is None or settings.toolkits is None:
        raise EmulationFault("emulation.cases and emulation.toolkits name no files: see docs/judging.md")
    read = read_cases(Path(settings.cases), Path(settings.toolkits), seed)
    kept = [_fewer(half_of(read, split), settings.max_cases, seed) for split in HALVES]
    chosen = {case.case_id for half in kept for case in half}
    return [case for case in read if case.case_id in chosen]


def half_of(cases: Sequence[EmulatedCase], split: Split) -> list[EmulatedCase]:
    """The cases of one split."""
    return [case for case in cases if case.split == split]


def _fewer(cases: list[EmulatedCase], n: int | None, seed: int) -> list[EmulatedCase]:
    if n is None or len(cases) <= n:
        return cases
    kept = set(random.Random(seed).sample(range(len(cases)), n))
    return [case for index, case in enumerate(cases) if index in kept]


def check_emulated_study(parameters: Mapping[str, Any]) -> None:
    """See before anything runs that a study on ToolEmu's cases has all that it needs.

    Raises:
        EmulationFault: something is not named, or cannot be part of such a study.
        CaseFault: a file is missing or malformed, or a case names an unknown toolkit.
        JudgingFault: no judge is named.
    """
    settings = EmulationSettings.model_validate(parameters["emulation"])
    load_cases(settings, 0)
    emulator_of(settings)
    JudgingSettings.model_validate(parameters["judging"]).for_pairs()
    if CandidateSettings.model_validate(parameters["candidates"]).scripted:
        raise EmulationFault(
            "candidates.scripted: scripts play the tool world alone; name models in candidates.pool"
        )
    for name, split in {"analysis": parameters["analysis"]["split"], "emulation": settings.split}.items():
        if split != TESTED:
            raise EmulationFault(f"{name}.split: a study on ToolEmu's cases is tested on {TESTED}, not {split}")


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

    Args:
        checkpoint: A saved model with its tokenizer.
        cases: What to play.
        settings: The emulator.
        rollout: Samples and sampling.
        policy: Name recorded as the acting policy.
        seed: Seed of the sampling.

    Raises:
        EmulationFault: no emulator is named.
        ServingFault: a server fails; the run that is started again continues.
    """
    emulator = emulator_of(settings)
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


def emulator_of(settings: EmulationSettings) -> EmulatorSettings:
    """Who plays the tools.

    Raises:
        EmulationFault: nobody is named.
    """
    if settings.emulator is None:
        raise EmulationFault("emulation.emulator names no server: see docs/judging.md")
    return settings.emulator


def play_candidates(
    checkpoint: Path,
    cases: Sequence[EmulatedCase],
    settings: EmulationSettings,
    candidates: CandidateSettings,
    *,
    policy: str,
    seed: int,
) -> list[Trajectory]:
    """The train half played by the source and by the models of the pool, as the settings say."""
    train = half_of(cases, "train")
    apart = _of_candidates(settings)
    played: list[Trajectory] = []
    if candidates.on_policy:
        played += play_emulated(checkpoint, train, apart, candidates, policy=policy, seed=seed)
    for name, model in candidates.pool.items():
        asked = candidates.model_copy(update={"served": model})
        played += play_emulated(NO_CHECKPOINT, train, apart, asked, policy=name, seed=seed)
    return played


def _of_candidates(settings: EmulationSettings) -> EmulationSettings:
    """With a folder of its own for the replies about candidates, whose players also play tests."""
    return settings.model_copy(update={"journals": str(Path(settings.journals) / "candidates")})


def judge_candidates(
    cases: Sequence[EmulatedCase],
    trajectories: Sequence[Trajectory],
    judging: JudgingSettings,
    settings: EmulationSettings,
    provenance: Mapping[str, Any],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Judgements and scores by the one judge that orders the pairs."""
    return judge_emulated(cases, trajectories, judging.for_pairs(), _of_candidates(settings), provenance)


def judge_emulated(
    cases: Sequence[EmulatedCase],
    trajectories: Sequence[Trajectory],
    judging: JudgingSettings,
    settings: EmulationSettings,
    provenance: Mapping[str, Any],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Judgements and scores by every judge; there is no other score for these cases."""
    briefings = {case.case_id: case.briefing() for case in cases}
    journals = Path(settings.journals)
    judgements, scores = ask_judges(trajectories, briefings, judging.judges, journals, provenance)
    known = pd.DataFrame([{"case_id": case.case_id, **case.columns()} for case in cases])
    return judgements, scores.merge(known, on="case_id", how="left", validate="many_to_one")


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
