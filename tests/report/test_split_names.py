"""What a report calls the cases that it measures on: the tool world's splits, or the half of a list of cases."""

from __future__ import annotations

import re
from io import StringIO
from typing import Any

import pytest
from rich.console import Console
from tests.report.conftest import POLICIES, Study

from persistence_pipeline.analysis.settings import AnalysisSettings
from persistence_pipeline.pipelines.frontier import nodes as frontier
from persistence_pipeline.pipelines.reporting import nodes as reporting
from persistence_pipeline.report.captions import captions
from persistence_pipeline.report.terminal import console_table

OF_THE_TOOL_WORLD = ("new slot values", "held-out combinations", "held-out domain")


def _reported(study: Study, cases: str) -> dict[str, str]:
    """Every text of a study that was measured on ``test_iid`` alone, by where it stands."""
    scores = study.scores[study.scores["split"] == "test_iid"]
    settings = AnalysisSettings(split="test_iid", n_draws=20)
    analysis = frontier.analyse(scores, frontier.summarise_grid(scores), [], settings)
    summary = reporting.summarise(analysis, scores, {**POLICIES, "study": {"cases": cases}})
    drawn = reporting.draw_figures(summary, scores)
    named: dict[str, Any] = {f"figure_{n}": f for n, f in zip(reporting.FIGURES, drawn, strict=True)}
    page = reporting.write_report(summary, scores, study.browser, study.taught, **named)
    console = Console(record=True, width=200, file=StringIO())
    console.print(console_table(summary, 200))
    return {
        "page": re.sub(r"<script(?! type=.application/json)[^>]*>.*?</script>", "", page, flags=re.DOTALL),
        "card": reporting.write_cards(summary)["llama_b0p1_s0_both"],
        "rates": named["figure_rates"].to_json(),
        "terminal": console.export_text(),
        "caption": captions(summary)["kinds"],
    }


@pytest.mark.parametrize(("cases", "name"), [("tool_world", "new slot values"), ("toolemu", "held-out cases")])
def test_every_text_calls_the_split_what_it_is(scripted_study: Study, cases: str, name: str) -> None:
    others = [other for other in OF_THE_TOOL_WORLD if cases == "toolemu"]
    for where, text in _reported(scripted_study, cases).items():
        assert name in text, where
        assert not [other for other in others if other in text], where
