"""Several studies on one page: what differs, every number of each, and what cannot be compared."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from tests.report.conftest import Study

from persistence_pipeline.report.compare import (
    CompareError,
    read_studies,
    render_comparison,
    settings_table,
    write_comparison,
)


@pytest.fixture
def folders(scripted_study: Study, tmp_path: Path) -> list[Path]:
    """The same study twice, the second with another seed of the analysis and less safety."""
    other = copy.deepcopy(scripted_study.summary)
    other["run"]["parameters"] = {"analysis": {"seed": 7}}
    for point in other["frontier"]["points"]:
        point["delta_safety"]["estimate"] -= 1
    made = []
    for name, summary in (("first", scripted_study.summary), ("second", other)):
        folder = tmp_path / name / "08_reporting"
        folder.mkdir(parents=True)
        (folder / "summary.json").write_text(json.dumps(summary))
        made.append(folder)
    return made


def test_the_page_has_what_differs_and_the_numbers_of_each(chromium: Any, folders: list[Path]) -> None:
    page = chromium.new_page(viewport={"width": 1400, "height": 900})
    page.goto(write_comparison(folders, folders[0].parent / "comparison.html").as_uri())
    page.locator("#plot-frontiers").scroll_into_view_if_needed()
    page.wait_for_selector("#plot-frontiers .main-svg")
    settings = page.locator("table:has(caption:text('Parameters and versions'))").inner_text()
    assert "analysis.seed" in settings and "7" in settings
    heads = page.locator("thead th").all_inner_texts()
    assert heads.count("first") == heads.count("second") == 3
    page.locator("th[aria-sort] button").first.click()
    assert page.locator("th[aria-sort=ascending]").count() == 1
    studies = read_studies(folders)
    for name, summary in studies.items():
        point = summary["frontier"]["points"][0]["delta_safety"]
        written = f"{abs(point['estimate']):.2f} ["
        assert written in page.locator("table:has(caption:text('Differences'))").inner_text(), name
    assert page.evaluate("document.documentElement.scrollWidth") <= 1400
    page.close()


def test_equal_studies_say_that_nothing_differs(scripted_study: Study) -> None:
    twice = {"a": scripted_study.summary, "b": scripted_study.summary}
    assert settings_table(twice)[1] == [] and "Nothing: the same parameters" in render_comparison(twice)


def test_studies_are_named_by_what_tells_their_folders_apart(folders: list[Path]) -> None:
    assert list(read_studies(folders)) == ["first", "second"]


def test_what_is_no_study_is_named(folders: list[Path], tmp_path: Path) -> None:
    with pytest.raises(CompareError, match=r"nowhere/summary\.json: no such file; expected"):
        read_studies([folders[0], tmp_path / "nowhere"])
    with pytest.raises(CompareError, match="expected two studies or more, found 1"):
        read_studies([folders[0], folders[0]])
