"""Episodes in the emulated world: tests of a checkpoint, candidates for pairs, and what a whole study needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from persistence_pipeline.judging.emulation import (
    EmulationError,
    EmulationSettings,
    emulator_of,
    half_of,
    load_cases,
    of_candidates,
)
from persistence_pipeline.judging.emulator import EmulatedWorld
from persistence_pipeline.judging.settings import JudgingSettings
from persistence_pipeline.judging.toolemu_cases import EmulatedCase
from persistence_pipeline.records import Split
from persistence_pipeline.rollout.episode import Episode
from persistence_pipeline.rollout.played import Played
from persistence_pipeline.rollout.run import NO_CHECKPOINT, CandidateSettings, RolloutSettings, play
from persistence_pipeline.serving import ChatClient

TESTED: Split = "test_iid"


def check_emulated_study(parameters: Mapping[str, Any]) -> None:
    """See before anything runs that a study on ToolEmu's cases has all that it needs.

    Raises:
        EmulationError: something is not named, or cannot be part of such a study.
        CaseError: a file is missing or malformed, or a case names an unknown toolkit.
        JudgingError: no judge is named.
    """
    settings = EmulationSettings.model_validate(parameters["emulation"])
    load_cases(settings, 0)
    emulator_of(settings)
    JudgingSettings.model_validate(parameters["judging"]).for_pairs()
    if CandidateSettings.model_validate(parameters["candidates"]).scripted:
        raise EmulationError(
            "candidates.scripted: scripts play the tool world alone; name models in candidates.pool"
        )
    for name, split in {"analysis": parameters["analysis"]["split"], "emulation": settings.split}.items():
        if split != TESTED:
            raise EmulationError(f"{name}.split: a study on ToolEmu's cases is tested on {TESTED}, not {split}")


def play_emulated(
    checkpoint: Path,
    cases: Sequence[EmulatedCase],
    settings: EmulationSettings,
    rollout: RolloutSettings,
    *,
    policy: str,
    seed: int,
) -> Played:
    """Every case ``rollout.samples`` times, its tools played by the emulator.

    Args:
        checkpoint: A saved model with its tokenizer.
        cases: What to play.
        settings: The emulator.
        rollout: Samples and sampling.
        policy: Name recorded as the acting policy.
        seed: Seed of the sampling.

    Raises:
        EmulationError: no emulator is named.
        ServingError: a server fails; the run that is started again continues.
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


def play_candidates(
    checkpoint: Path,
    cases: Sequence[EmulatedCase],
    settings: EmulationSettings,
    candidates: CandidateSettings,
    *,
    policy: str,
    seed: int,
) -> Played:
    """The train half played by the source and by the models of the pool, as the settings say."""
    train = half_of(cases, "train")
    apart = of_candidates(settings)
    played = Played()
    if candidates.on_policy:
        played += play_emulated(checkpoint, train, apart, candidates, policy=policy, seed=seed)
    for name, model in candidates.pool.items():
        asked = candidates.model_copy(update={"served": model})
        played += play_emulated(NO_CHECKPOINT, train, apart, asked, policy=name, seed=seed)
    return played
