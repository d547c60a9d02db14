"""Nodes that make sources and preference pairs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from persistence_pipeline.preferences.audit import audit_pairs
from persistence_pipeline.preferences.export import to_trl
from persistence_pipeline.preferences.pairing import pair_candidates, texts_of
from persistence_pipeline.preferences.settings import PairingRule
from persistence_pipeline.records import PreferencePair, Trajectory
from persistence_pipeline.study import Policy
from persistence_pipeline.training.source import SourceSettings, make_source
from persistence_pipeline.training.warm_start import WarmStartSettings
from persistence_pipeline.world.splits import WorldSettings


def warm_start_source(
    world: WorldSettings, source: SourceSettings, warm_start: WarmStartSettings, seed: int, scratch: str
) -> tuple[Path, pd.DataFrame]:
    """Train a source policy from scratch on scripted behaviours, or fetch a pretrained one."""
    return make_source(world, source, warm_start, seed, Path(scratch))


def make_pairs(
    scores: pd.DataFrame, trajectories: Sequence[Trajectory], rule: PairingRule, policy: Policy
) -> tuple[pd.DataFrame, list[PreferencePair], pd.DataFrame]:
    """Pair the candidates of each case by one objective, and count what was rejected and why."""
    texts = texts_of(trajectories)
    pairs, rejections = pair_candidates(scores, seed=policy.seed, texts=texts, **rule.model_dump())
    counted = pd.DataFrame([{"objective": rule.objective, **rejections}])
    return pairs, to_trl(pairs, trajectories), counted


def audit(scores: pd.DataFrame, trajectories: Sequence[Trajectory], *pair_tables: pd.DataFrame) -> pd.DataFrame:
    """Best-of-both share, conflict share, lengths and turns of the pool and of each objective's pairs."""
    return audit_pairs(scores, pair_tables, trajectories)
