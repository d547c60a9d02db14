"""Judges' scores of episodes in the emulated world; there are no others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from persistence_pipeline.judging.briefing import emulated_briefing
from persistence_pipeline.judging.panel import ask_judges
from persistence_pipeline.judging.settings import JudgingSettings
from persistence_pipeline.records import Trajectory
from persistence_pipeline.toolemu.cases import EmulatedCase
from persistence_pipeline.toolemu.settings import EmulationSettings


def judge_emulated(
    cases: Sequence[EmulatedCase],
    trajectories: Sequence[Trajectory],
    judging: JudgingSettings,
    settings: EmulationSettings,
    provenance: Mapping[str, Any],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Judgements and scores by every judge; there is no other score for these cases."""
    briefings = {case.case_id: emulated_briefing(case) for case in cases}
    journals = Path(settings.journals)
    judgements, scores = ask_judges(trajectories, briefings, judging.judges, journals, provenance)
    known = pd.DataFrame([{"case_id": case.case_id, **case.columns()} for case in cases])
    return judgements, scores.merge(known, on="case_id", how="left", validate="many_to_one")
