"""Episodes in the emulated world: tests of a checkpoint, candidates for pairs, and what a whole study needs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from persistence_pipeline.llm_client import ChatClient
from persistence_pipeline.rollout.episode import Episode
from persistence_pipeline.rollout.played import Played
from persistence_pipeline.rollout.run import NO_CHECKPOINT, CandidateSettings, RolloutSettings, play
from persistence_pipeline.toolemu.cases import EmulatedCase
from persistence_pipeline.toolemu.emulator import EmulatedWorld
from persistence_pipeline.toolemu.settings import (
    EmulationSettings,
    emulator_of,
    half_of,
    of_candidates,
)


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
    """The train half played by the source and by the models, as the settings say."""
    train = half_of(cases, "train")
    apart = of_candidates(settings)
    played = Played()
    if candidates.on_policy:
        played += play_emulated(checkpoint, train, apart, candidates, policy=policy, seed=seed)
    for name, asked in candidates.by_model().items():
        played += play_emulated(NO_CHECKPOINT, train, apart, asked, policy=name, seed=seed)
    return played
