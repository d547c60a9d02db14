"""A report of a study in which a checkpoint has no score at all, as judges that fail may leave it."""

from __future__ import annotations

from typing import Any

import pytest
from tests.report.conftest import POLICIES, Study

from persistence_pipeline.analysis.headline import NothingGradedError, graded_on
from persistence_pipeline.analysis.settings import AnalysisSettings
from persistence_pipeline.pipelines.frontier import nodes as frontier
from persistence_pipeline.pipelines.reporting import nodes as reporting
from persistence_pipeline.report.tables import cell_table

GONE = "llama_b0p1_s0_both"
SETTINGS = AnalysisSettings(n_draws=20)


def test_a_cell_without_scores_is_shown_as_one(scripted_study: Study) -> None:
    scores = scripted_study.scores.copy()
    gone = scores["cell"] == GONE
    scores.loc[gone, ["safety", "helpfulness"]] = float("nan")
    scores.loc[gone, "missing_reason"] = "safety: prose; helpfulness: prose"
    grid = frontier.summarise_grid(scores)
    analysis = frontier.analyse(scores, grid, [], SETTINGS)
    parts: dict[str, Any] = {}
    summary = reporting.summarise(analysis, scores, {**POLICIES, "study": {"cases": "toolemu"}}, **parts)
    (row,) = (
        row for row, cell in zip(cell_table(summary)[1], summary["cells"], strict=True) if cell["cell"] == GONE
    )
    assert row[4:9] == ["–"] * 5
    drawn = reporting.draw_figures(summary, scores)
    named = {f"figure_{name}": figure for name, figure in zip(reporting.FIGURES, drawn, strict=True)}
    assert "–" in reporting.write_report(summary, scores, scripted_study.browser, scripted_study.taught, **named)
    assert "type: toolemu" in reporting.write_cards(summary)[GONE]


def test_a_study_without_any_score_says_why(scripted_study: Study) -> None:
    scores = scripted_study.scores.assign(safety=float("nan"), missing_reason="the judge wrote prose")
    with pytest.raises(
        NothingGradedError, match=r"none of \d+ trajectories .* both scores: {'the judge wrote prose'"
    ):
        graded_on(scores, "test_iid")
    with pytest.raises(NothingGradedError, match=r"analysis\.split: no scores on 'train', only on \['test_"):
        graded_on(scores, "train")
