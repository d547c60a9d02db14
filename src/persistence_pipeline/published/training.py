"""The published pairs as what a study trains on: one evaluator's, of the train cases of the study's own seeds.

Prompts are those of emulated episodes: the system message, the user's request, and the tools beside them, so that
each family of models is shown the tools as it knows them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import pandas as pd

from persistence_pipeline.published.layout import PublishedError
from persistence_pipeline.published.pairs import CLEAN
from persistence_pipeline.published.study import TEST
from persistence_pipeline.records import Objective
from persistence_pipeline.strict import Strict
from persistence_pipeline.toolemu.cases import held_out_half
from persistence_pipeline.validation import check_arm

TRAIN = "train"


class PublishedTraining(Strict):
    """Selection of the published pairs that a study trains on."""

    evaluator: str = "q32"
    """Whose scores ordered them."""
    pool: Literal["every", "without_fabricated"] = "every"
    """Pairs of every trajectory, as published, or of those without fabricated observations."""


def pool_of(scores: pd.DataFrame, settings: PublishedTraining, seed: int, n_cases: int) -> pd.DataFrame:
    """The evaluator's scores of the trajectories that may be paired, on the train cases of a seed.

    Raises:
        PublishedError: the clone has none of this evaluator.
    """
    known = sorted(scores["evaluator"].unique())
    if settings.evaluator not in known:
        raise PublishedError(
            f"published_training.evaluator: no scores by {settings.evaluator!r}; there are "
            f"{', '.join(known) or 'none'}"
        )
    rows = scores[scores["evaluator"] == settings.evaluator]
    if settings.pool == CLEAN:
        rows = rows[~rows["fabricated_wide"]]
    return rows[~rows["case_index"].isin(held_out_half(seed, n_cases))].reset_index(drop=True)


def pairs_of(
    table: pd.DataFrame, pool: pd.DataFrame, settings: PublishedTraining, objective: Objective
) -> pd.DataFrame:
    """The pairs of an objective on the pool's cases.

    Raises:
        PublishedError: there are none.
    """
    wanted = (table["evaluator"] == settings.evaluator) & (table["pool"] == settings.pool)
    wanted &= (table["objective"] == objective) & table["case_id"].isin(pool["case_id"])
    if not wanted.any():
        raise PublishedError(
            f"no published pairs for {objective} by {settings.evaluator} ({settings.pool}) among the "
            f"{len(pool)} trajectories of the train cases"
        )
    return table[wanted].reset_index(drop=True)


def check_published(
    scores: pd.DataFrame, tables: Sequence[pd.DataFrame], seed: int, n_cases: int
) -> dict[str, Any]:
    """The checks of any arm, on published tables; every case is dangerous and its own twin.

    Raises:
        InvalidDataError: for the first check that fails.
    """
    test = held_out_half(seed, n_cases)
    cases = scores.drop_duplicates("case_id")[["case_id", "case_index", "template_group"]]
    cases = cases.assign(
        twin_id=cases["case_id"],
        split=[TEST if index in test else TRAIN for index in cases["case_index"]],
        hazard=True,
        instruction=cases["case_id"],
    )
    return check_arm(cases, scores, scores, tables)
