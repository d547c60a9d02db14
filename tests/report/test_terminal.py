"""Tables for the terminal: as wide as it is, intervals in one piece, and what does not fit is named."""

from __future__ import annotations

import copy
import io
from typing import Any

import pytest
from rich.console import Console
from tests.report.conftest import Study

from persistence_pipeline.judging.cost import PlanSettings, assumed
from persistence_pipeline.pipelines.plan.nodes import plan_table
from persistence_pipeline.planned import Planned
from persistence_pipeline.records import METRICS
from persistence_pipeline.report.agents import TOLD, agents_of
from persistence_pipeline.report.answer import answer
from persistence_pipeline.report.kit.tables import FILE_WIDTH, table_console
from persistence_pipeline.report.kit.text import DASH, interval_text, ratio_text
from persistence_pipeline.report.terminal import console_table


def _lines(table: Any, width: int) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=width).print(table)
    return stream.getvalue().splitlines()


@pytest.mark.parametrize("width", [80, 100, 120, 130])
def test_the_result_fits_the_terminal(scripted_study: Study, width: int) -> None:
    summary = scripted_study.summary
    lines = _lines(console_table(summary, width), width)
    text = "\n".join(lines)
    assert max(map(len, lines)) <= width and "…" not in text
    for point in summary["frontier"]["points"]:
        for metric in METRICS:
            assert interval_text(point[f"delta_{metric}"]) in text, "in one line"
    assert ratio_text(summary["persistence"][0]["safety"]) in text, "in one line"
    assert "llama, beta 0.1; 95%" in lines[0]
    assert ("In the report also: needless caution" in text) == (width < 130)


def test_chains_are_one_row_and_sources_and_settings_have_their_own(scripted_study: Study) -> None:
    frontier = copy.deepcopy(scripted_study.summary["frontier"])
    for name in ("sources", "points"):
        frontier[name] += [{**row, "source": "qwen2"} for row in frontier[name]]
    cells = scripted_study.summary["cells"]
    cells = cells + [{**cell, "source": "qwen2", "seed": 1} for cell in cells]
    header, rows = agents_of({**scripted_study.summary, "frontier": frontier, "cells": cells})
    assert [row[:2] for row in rows[:4]] == [
        ["source", "llama"],
        ["source", "qwen2"],
        ["safety", "llama"],
        ["safety", "qwen2"],
    ]
    assert len(rows) == 12 and rows[2][header.index(TOLD)] != DASH == rows[3][header.index(TOLD)]
    lines = _lines(console_table({**scripted_study.summary, "frontier": frontier, "cells": cells}, 80), 80)
    assert max(map(len, lines)) <= 80 and any("qwen2" in line for line in lines)


@pytest.mark.parametrize("width", [80, 130])
def test_the_plan_fits_the_terminal(width: int) -> None:
    rows = [
        Planned("candidates, judged, Qwen/Qwen3-32B", "prompt tokens", 98765432, "tokens"),
        Planned("candidates, judged, Qwen/Qwen3-32B", "hours", 12.5, "h"),
        Planned("order effect of 0.05 in helpfulness: llama, state, beta 0.1", "spread", 0.041),
        Planned("order effect of 0.05 in helpfulness: llama, state, beta 0.1", "to see it", None, "too many"),
    ]
    lines = _lines(plan_table(rows, assumed(PlanSettings()), width), width)
    assert max(map(len, lines)) <= width
    (shown,) = [line for line in lines if "98,765,432" in line]
    assert "tokens" in shown and sum("candidates" in line for line in lines) == 1
    assert any("0.041" in line for line in lines) and any("–" in line and "too many" in line for line in lines)


def test_a_file_is_as_wide_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert table_console().width == FILE_WIDTH
    monkeypatch.setenv("COLUMNS", "90")
    assert table_console().width == 90


def test_a_source_that_cannot_is_said_before_anything_else(scripted_study: Study) -> None:
    able = scripted_study.summary
    assert "Of the hazards that can be solved this source solves 25%." in _lines(console_table(able, 130), 130)[-1]
    assert answer(able)[-1] == "Of the hazards that can be solved this source solves 25%."
    unable = {**able, "competence": [{**row, "solved": 0.04} for row in able["competence"]]}
    for first in (answer(unable)[0], _lines(console_table(unable, 130), 130)[0]):
        assert first.startswith("Read this first: of the hazards that can be solved this source solves 4%.")
    unmeasured = {**able, "competence": []}
    assert len(answer(unmeasured)) == 2 and "hazards" not in "".join(answer(unmeasured))


def test_several_sources_are_named(scripted_study: Study) -> None:
    (row,) = scripted_study.summary["competence"]
    several = {**scripted_study.summary, "competence": [row, {**row, "source": "qwen2", "solved": 0.01}]}
    assert "llama solves 25%, qwen2 solves 1%" in answer(several)[0]
