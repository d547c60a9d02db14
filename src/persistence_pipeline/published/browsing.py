"""The published trajectories as the report's view of trajectories shows them.

A cell is a run with the set that it is evaluated in and the evaluator that judged it; its test half is the run's
seed's. Each row names its file and line, so that what is not on the page is found in the clone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import pandas as pd

from persistence_pipeline.orderings import place
from persistence_pipeline.published.study import TEST
from persistence_pipeline.records import Trajectory
from persistence_pipeline.report.browser import MEGABYTE, ReportSettings, browser_data, characters, impartial
from persistence_pipeline.report.told import Told

JUDGED = "as judged"
"""The one evaluator of the view: each cell has its own, which is part of its name."""
WHOLE = 1e6
"""Room for whatever was chosen before."""
NOT_HELD = (
    "This page has no room for what the agents wrote on this case (parameter report.browser_megabytes). The files "
    "named under each trajectory hold it."
)


@dataclass(frozen=True)
class Shown:
    """A case as far as the files of trajectories tell."""

    case_id: str
    instruction: str
    domain: str
    held: bool
    """Whether the page has room for what agents wrote on it."""
    split: str = ""
    """None: a half is one of a seed."""

    @property
    def twin_id(self) -> str:
        """Itself: these cases have no benign twins."""
        return self.case_id

    def described(self) -> dict[str, Any]:
        """What a reader may know of it."""
        known = {name: getattr(self, name) for name in ("case_id", "twin_id", "split", "instruction", "domain")}
        return known if self.held else {**known, "note": NOT_HELD}


def view_data(
    episodes: pd.DataFrame,
    pool: pd.DataFrame,
    scores: pd.DataFrame,
    conversations: pd.DataFrame,
    settings: ReportSettings,
) -> dict[str, Any]:
    """The document of the view, as ``report.browser.browser_data`` makes it.

    Every row of the pool and of the evaluation sets is in it. What agents wrote is there for whole cases, in an
    order that favours nothing, until the room is used.

    Args:
        episodes: All imported rows.
        pool: Scores of the source trajectories.
        scores: Scores of the evaluation sets on the test halves.
        conversations: What agents wrote, by trajectory.
        settings: How much is shown.
    """
    rows = _rows(episodes, pool, scores)
    records = dict(zip(conversations["trajectory_id"], conversations["record"], strict=True))
    bare = characters(_document(rows, records, set()))
    held = _held(rows, records, settings.browser_megabytes * MEGABYTE - bare)
    return _document(rows, records, held)


def _document(rows: pd.DataFrame, records: Mapping[str, str], held: Collection[str]) -> dict[str, Any]:
    """The document of all rows, with what agents wrote on the cases that are held."""
    cases = [
        Shown(str(row.case_id), _request(records[str(row.episode)]), str(row.domain), row.case_id in held)
        for row in rows.drop_duplicates("case_id").sort_values("case_id").itertuples()
    ]
    played: dict[str, list[Trajectory]] = {}
    for row in rows.itertuples():
        written = records[str(row.episode)] if row.case_id in held else None
        played.setdefault(str(row.cell), []).append(_trajectory(row, written))
    return browser_data(cases, played, rows, ReportSettings(browser_megabytes=WHOLE), Told(Shown.described))


def _rows(episodes: pd.DataFrame, pool: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """Rows of the pool and of the sets: a run is a ``cell``, and ``reasons`` is the place in the files."""
    own = pool.assign(set=pool["part"], seed=None)
    rows = pd.concat([own, scores[scores["split"] == TEST]], ignore_index=True)
    texts = rows[["part", "evaluator", "configuration", "case_index"]].astype(str)
    rows["episode"] = texts.agg("/".join, axis=1)
    seeds = ["" if seed is None else f"/s{seed}" for seed in rows["seed"]]
    runs = rows[["set", "evaluator", "configuration"]].agg("/".join, axis=1) + seeds
    files = episodes.set_index("trajectory_id")
    lines = files.loc[rows["episode"], ["file", "line"]]
    places = [f"{PurePath(str(row.file)).name}, line {row.line}" for row in lines.itertuples()]
    judged = rows.groupby(["set", "configuration", "seed", "case_index", "content_hash"], dropna=False)
    rows = rows.assign(
        cell=runs.str.replace(",", ";"),
        evaluator=JUDGED,
        factor_set=rows["set"],
        factor_evaluator=rows["evaluator"],
        reasons=places,
        again=judged.cumcount().gt(0),
        twice=judged["evaluator"].transform("nunique").gt(1),
        rank=rows["ordering"].map(place),
    )
    return rows.sort_values(["part", "source", "rank", "beta", "factor_evaluator", "cell", "case_index"])


def _held(rows: pd.DataFrame, records: Mapping[str, str], room: float) -> set[str]:
    """The cases of which there is room for what agents wrote."""
    told = rows.drop_duplicates("episode")
    by_case = told["episode"].map(records).str.len().groupby(told["case_id"]).sum()
    held: set[str] = set()
    for case in sorted(map(str, by_case.index), key=impartial):
        room -= by_case[case]
        if room < 0:
            break
        held.add(case)
    return held


def _request(record: str) -> str:
    """What the user asked for."""
    return Trajectory.model_validate_json(record).messages[0].content


def _trajectory(row: Any, written: str | None) -> Trajectory:
    """The trajectory of a row, without messages where the page does not hold them."""
    shown = {"trajectory_id": row.trajectory_id, "sample": 0}
    if written is not None:
        return Trajectory.model_validate_json(written).model_copy(update=shown)
    return Trajectory(
        **shown,
        case_id=row.case_id,
        template_group=row.template_group,
        split="train",
        policy=row.configuration,
        seed=0,
        messages=(),
        effects=(),
        final_state_hash="",
        stop_reason=row.stop_reason,
    )
