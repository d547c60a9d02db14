"""What the page says follows from the numbers, and its tables and figures hold all of them."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from published_clone import N_CASES
from tests.published.conftest import PublishedPage, run_nodes

from persistence_pipeline.pipelines.published import nodes
from persistence_pipeline.published.figures import build_figures, headline_figure
from persistence_pipeline.published.findings import answer, findings
from persistence_pipeline.published.page import render_page
from persistence_pipeline.published.settings import PublishedSettings
from persistence_pipeline.published.tables import build_tables, distinct, width_ratio, with_bounds

Summary = dict[str, Any]


@pytest.fixture(scope="module")
def made(small_page: PublishedPage) -> Summary:
    """The summary of the small clone."""
    return small_page.summary


@pytest.fixture
def summary(made: Summary) -> Summary:
    """A copy that a test may change."""
    return copy.deepcopy(made)


@pytest.fixture
def render(small_page: PublishedPage) -> Callable[..., str]:
    """The page of a summary, with the trajectories of the small clone."""

    def page(summary: Summary, figures: dict[str, Any], quarantine: list[dict[str, Any]]) -> str:
        return render_page(summary, figures, small_page.browser, quarantine)

    return page


Render = Callable[..., str]


def said(summary: Summary, anchor: str) -> str:
    return " ".join(finding.text for finding in findings(summary) if finding.anchor == anchor)


def test_every_finding_has_its_section_with_table_and_figure(summary: Summary, render: Render) -> None:
    figures = build_figures(summary)
    page = render(summary, figures, [])
    for finding in findings(summary):
        assert page.count(f'id="{finding.anchor}"') == 1, finding.anchor
    assert {name for name in figures if f'id="plot-{name}"' not in page} == set()
    assert headline_figure(summary, figures) is figures["frontier_match"]


def test_nothing_on_the_page_names_a_place_on_this_machine(
    summary: Summary, render: Render, tmp_path: Path
) -> None:
    assert str(tmp_path.parent) not in render(summary, build_figures(summary), [])


def test_points_far_from_a_line_are_not_said_to_lie_near_one(summary: Summary) -> None:
    frontier = summary["frontier"]["match"]["all"]
    spread = {"estimate": 0.05, "low": 0.02, "high": 0.08}
    n = frontier["n"]
    frontier["line"] = {"n": n, "verdict": "near", "margin": 0.1, "residual_sd": spread}
    near = f"{n} trained agents lie near one line, within 0.10 (0.05 [0.02, 0.08] points off it)"
    assert near in answer(summary)[0]
    frontier["n"] = 2 * n
    assert f"{n} trained agents, each a mean over its settings, lie near one line" in answer(summary)[0]
    frontier["n"] = n
    frontier["line"]["verdict"] = "off"
    assert "do not lie on one line" in answer(summary)[0]
    frontier["line"]["verdict"] = "open"
    assert "lie near one line cannot be told" in answer(summary)[0]
    frontier |= {"r2": None, "undefined": "too few points"}
    assert "too few points" in answer(summary)[0]


def test_pairs_that_teach_against_safety_are_said_to(summary: Summary) -> None:
    row = next(r for r in summary["audits"]["pairs"] if (r["pool"], r["set"]) == ("every", "helpfulness"))
    row |= {"other_metric_gain": 0.32, "chosen_safety": 1.77, "rejected_safety": 1.45}
    assert "0.32 points safer than the rejected one (1.77 against 1.45)" in said(summary, "pairs")
    row["other_metric_gain"] = -0.5
    assert "0.50 points less safe" in said(summary, "pairs")


@pytest.mark.parametrize(
    ("verdict", "equivalent", "words"),
    [
        ("open", False, "whether the order matters cannot be told"),
        ("none", True, "no effect of the order larger than 0.10"),
        ("above", False, "the first stage leaves more;"),
        ("above", True, "the first stage leaves more, with no effect of the order larger than 0.10"),
        ("below", False, "the last stage leaves more"),
    ],
)
def test_the_order_effect_is_said_as_far_as_its_verdict_bears(
    verdict: str, equivalent: bool, words: str, summary: Summary
) -> None:
    for row in summary["audits"]["rivals"]["match"]:
        row["order"]["safety"] |= {"estimate": 0.2, "low": 0.1, "high": 0.3}
        row["order"]["safety"] |= {"verdict": verdict, "equivalent": equivalent}
    said_of_it = said(summary, "rivals-match")
    assert "0.20 [0.10, 0.30] points of safety" in said_of_it and words in said_of_it


def test_the_schemes_are_compared_by_width(summary: Summary) -> None:
    for entries in summary["persistence"]["match"].values():
        for ratio in entries["average"].values():
            ratio |= {"low": 0.2, "high": 0.6, "defined": True}
            ratio["published_interval"] = {"low": 0.3, "high": 0.4, "n_dropped": 3, "n_partial": 7}
            assert width_ratio(ratio) == pytest.approx(0.25)
    assert "0.25 to 0.25 times as wide" in said(summary, "persistence-match")
    assert "6 draws were dropped as undefined and 14 averaged over fewer" in said(summary, "persistence-match")


def test_intervals_and_what_is_undefined_are_written() -> None:
    assert with_bounds({"estimate": -0.5, "low": -1, "high": 0}) == "−0.500 [−1.000, 0.000]"
    assert with_bounds({"estimate": 2.0, "low": None, "high": None, "defined": False}) == "2.000 (undefined)"
    assert with_bounds({"estimate": None, "low": None}) == "undefined"
    assert with_bounds(None) == "–"


def test_with_one_model_its_average_is_shown_once(summary: Summary) -> None:
    lines = summary["frontier"]["match"]
    assert list(distinct(lines)) == ["all", "gpt5m", "q32"]
    header, rows = build_tables(summary, [])["persistence_match"]
    assert [row[1] for row in rows if row[2] == "safety"] == [
        "average",
        "gpt5m",
        "q32",
        "published data, three models",
    ]
    assert header[3] == "persistence"


def test_set_aside_is_listed_and_what_is_not_shown_is_counted(summary: Summary, render: Render) -> None:
    fault = {"kind": "json", "file": "a.jsonl", "line": 3, "detail": "not valid JSON", "n_trajectories": 1}
    page = render(summary, {}, [fault] * 201)
    assert page.count("<td>a.jsonl</td><td>3</td><td>not valid JSON</td>") == 200
    assert "1 more in the quarantine table" in page


def test_incomplete_runs_are_listed(summary: Summary, render: Render) -> None:
    run = {"set": "match", "source": "Phi-4", "ordering": "both", "beta": 0.1, "seed": 1, "evaluator": "q32"}
    summary["run"]["incomplete_runs"] = [{**run, "n_cases": 70}]
    told = re.sub("<[^>]+>", " ", render(summary, {}, []))
    assert re.search(r"Phi-4 +both +0\.1 +1 +q32 +70 ", told)


def test_without_draws_estimates_are_shown_and_intervals_are_not(
    made: Summary, render: Render, clone: Path, tmp_path: Path
) -> None:
    settings = PublishedSettings(
        root=str(clone), n_cases=N_CASES, cache=str(tmp_path / "cache"), n_draws=0, sensitivity_draws=0
    )
    summary = run_nodes(settings).summary
    told = summary["persistence"]["match"]["0.1"]["average"]["safety"]
    assert told["estimate"] == pytest.approx(made["persistence"]["match"]["0.1"]["average"]["safety"]["estimate"])
    assert told["low"] is None
    assert render(summary, build_figures(summary), []).startswith("<!doctype html>")


def test_quarantine_rows_become_plain(summary: Summary, small_page: PublishedPage) -> None:
    table = pd.DataFrame({"kind": ["name"], "file": ["x"], "line": pd.array([pd.NA], "Int64"), "detail": ["y"]})
    page = nodes.write_report(summary, {}, small_page.browser, table.assign(n_trajectories=2))
    assert "<td>x</td><td>–</td><td>y</td><td>2</td>" in page
