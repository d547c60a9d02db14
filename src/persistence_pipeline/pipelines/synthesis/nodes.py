"""Nodes that make cases, source policies, candidates and preference pairs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from persistence_pipeline.preferences.audit import audit_pairs
from persistence_pipeline.preferences.export import to_trl
from persistence_pipeline.preferences.pairing import pair_candidates, texts_of
from persistence_pipeline.preferences.settings import PairingRule
from persistence_pipeline.records import PreferencePair, Trajectory
from persistence_pipeline.rollout.played import Played
from persistence_pipeline.rollout.run import CandidateSettings, play_pool, play_scripts, roll_out
from persistence_pipeline.study import Arm, CaseSet
from persistence_pipeline.training.source import SourceSettings, make_source
from persistence_pipeline.training.warm_start import WarmStartSettings
from persistence_pipeline.world.cases import Case
from persistence_pipeline.world.scoring import case_table, score, trajectory_table
from persistence_pipeline.world.splits import WorldSettings, generate_cases


def make_cases(world: WorldSettings, case_set: CaseSet) -> tuple[list[Case], pd.DataFrame]:
    """Generate the cases of one seed, and their table."""
    if case_set.conflict_share is not None:
        world = world.model_copy(update={"conflict_share": case_set.conflict_share})
    cases = generate_cases(world, case_set.seed)
    return cases, case_table(cases)


def warm_start_source(
    world: WorldSettings, source: SourceSettings, warm_start: WarmStartSettings, scratch: str
) -> tuple[Path, pd.DataFrame]:
    """Train a source policy from scratch on scripted behaviours, or fetch a pretrained one."""
    return make_source(world, source, warm_start, Path(scratch))


def roll_out_candidates(
    checkpoint: Path, cases: Sequence[Case], settings: CandidateSettings, arm: Arm
) -> tuple[list[Trajectory], pd.DataFrame]:
    """Let the source, or a pool of models, act several times on every train case, and scripts once where asked."""
    train = [case for case in cases if case.split == "train"]
    trajectories = Played()
    if settings.on_policy:
        trajectories += roll_out(checkpoint, train, settings, policy=arm.name, seed=arm.seed)
    trajectories += play_pool(train, settings, seed=arm.seed)
    trajectories += play_scripts(train, settings, seed=arm.seed)
    return trajectories, trajectory_table(trajectories)


def score_candidates(cases: Sequence[Case], trajectories: Sequence[Trajectory], arm: Arm) -> pd.DataFrame:
    """Grade the candidates."""
    return score(cases, trajectories, arm.provenance())


def make_pairs(
    scores: pd.DataFrame, trajectories: Sequence[Trajectory], rule: PairingRule, arm: Arm
) -> tuple[pd.DataFrame, list[PreferencePair], pd.DataFrame]:
    """Pair the candidates of each case by one objective, and count what was rejected and why."""
    texts = texts_of(trajectories)
    pairs, rejections = pair_candidates(scores, seed=arm.seed, texts=texts, **rule.model_dump())
    counted = pd.DataFrame([{"objective": rule.objective, **rejections}])
    return pairs, to_trl(pairs, trajectories), counted


def audit(scores: pd.DataFrame, trajectories: Sequence[Trajectory], *pair_tables: pd.DataFrame) -> pd.DataFrame:
    """Best-of-both share, conflict share, lengths and turns of the pool and of each objective's pairs."""
    return audit_pairs(scores, pair_tables, trajectories)
