"""The node that takes the pairs of a seed from the published ones."""

from __future__ import annotations

from typing import Any

import pandas as pd

from persistence_pipeline.preferences.audit import audit_pairs
from persistence_pipeline.preferences.export import to_trl
from persistence_pipeline.published import training
from persistence_pipeline.published.pairs import conversations_of
from persistence_pipeline.published.settings import PublishedSettings
from persistence_pipeline.published.training import PublishedTraining
from persistence_pipeline.records import OBJECTIVES, PreferencePair
from persistence_pipeline.study import Policy


def take_pairs(
    pair_table: pd.DataFrame,
    pool_scores: pd.DataFrame,
    conversations: pd.DataFrame,
    toolkits: dict[str, Any],
    published: PublishedSettings,
    settings: PublishedTraining,
    policy: Policy,
) -> tuple[list[PreferencePair] | dict[str, Any] | pd.DataFrame, ...]:
    """Pairs by objective, in the order of ``OBJECTIVES``; then their audit and the validation report."""
    pool = training.pool_of(pool_scores, settings, policy.seed, published.n_cases)
    tables = [training.pairs_of(pair_table, pool, settings, objective) for objective in OBJECTIVES]
    report = training.check_published(pool, tables, policy.seed, published.n_cases)
    trajectories = conversations_of(tables, conversations, toolkits)
    pairs = [to_trl(table, trajectories) for table in tables]
    return *pairs, audit_pairs(pool, tables), report
