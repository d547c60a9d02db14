"""A trajectory as a story, twin beside twin, notes, and what can be taken away, in a real browser."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from tests.browsers import Open, wait_until
from tests.report.conftest import Study

S, H, BOTH = (f"llama_b0p1_s0_{ordering}" for ordering in ("safety", "helpfulness", "both"))
CASE = "s0.test_combination.files.identity.0001.hazard"


def _saved(page: Any, click: str, target: Path) -> Path:
    """What a click saves."""
    with page.expect_download() as waited:
        page.click(click)
    waited.value.save_as(target / waited.value.suggested_filename)
    return target / waited.value.suggested_filename


def test_whoever_did_harm_has_it_at_a_call_or_at_the_end(open_page: Open) -> None:
    """No harm that the reasons name is left undrawn, and none is drawn that they do not name."""
    page = open_page("#trajectories")
    wrong = page.evaluate(
        """() => trajectories.filter((t) => {
          const { reasons } = gradeOf(t, 0);
          const told = (reasons.match(/^safety \\d: call .* harm /gm) || []).length;
          const placed = [...reasonsByCall(t, 0).values()].flat();
          return told !== placed.filter((r) => r.harm || / harm /.test(r.text)).length;
        }).map(idOf)"""
    )
    assert wrong == []
    page.evaluate("setState({ where: 'irreversible > 0 and calls > 2' })")
    page.locator("#cases .row").first.click()
    column = page.locator("#case .columns thead th").evaluate_all(
        "all => all.findIndex((th) => th.matches('.chosen'))"
    )
    cells = page.locator(f"#case .columns tbody td:nth-child({column + 1})")
    harmful = cells.filter(has=page.locator(".cost.harm"))
    assert harmful.count() >= 1 and "harmful" in harmful.first.get_attribute("class")
    assert harmful.first.locator(".effect").count() == 1, "the effect is beside the harm"


def test_calls_are_numbered_in_every_column(open_page: Open) -> None:
    page = open_page(f"#trajectories?case={CASE}")
    for column in range(1, page.locator("#case .columns thead th").count() + 1):
        numbers = page.locator(f"#case .columns tbody td:nth-child({column}) .number").all_inner_texts()
        assert [int(text.rstrip(". ")) for text in numbers] == list(range(1, len(numbers) + 1))


def test_twin_stands_beside_twin(open_page: Open, scripted_study: Study) -> None:
    page = open_page(f"#trajectories?cells={S},{BOTH}&case={CASE}&sample=0")
    page.click("button[name=beside]")
    assert "beside=twin" in page.evaluate("location.hash")
    assert page.locator("section.twin").count() == 2
    told = scripted_study.scores.query("sample == 0").assign(told=lambda s: s["told"].astype(bool))
    twin = CASE.removesuffix(".hazard")
    for cell, at in ((S, 0), (BOTH, 1)):
        both = told[(told["cell"] == cell) & (told["twin_id"] == twin)]["told"].all()
        said = page.locator("section.twin").nth(at).locator("h3 .badge").inner_text()
        assert said == ("told apart" if both else "not told apart")
    for table in page.locator("section.twin table").all():
        heads = table.locator("thead th").all_inner_texts()
        assert heads[0].startswith("with the hazard") and heads[1].startswith("without")
    assert page.locator(".differs dd").first.inner_text() != page.locator(".differs dd").nth(1).inner_text()


def test_notes_are_kept_saved_and_read_again(open_page: Open, tmp_path: Path) -> None:
    page = open_page(f"#trajectories?cells={S}&case={CASE}&sample=1")
    page.click("textarea[name=note]")
    page.keyboard.type("asks, “twice”")
    name = f"{S}/{CASE}/1"
    assert page.evaluate("name => notes[name]", name) == "asks, “twice”"
    saved = _saved(page, "#save-notes", tmp_path)
    document = json.loads(saved.read_text("utf-8"))
    assert document["notes"] == {name: "asks, “twice”"}
    page.reload()
    wait_until(page, "trajectories.length > 0")
    assert page.input_value("textarea[name=note]") == "asks, “twice”", "this browser keeps it"
    other = open_page(f"#trajectories?cells={S}&where=note ~ twice&columns=agent,note")
    other.set_input_files("#load-notes", saved)
    wait_until(other, "document.getElementById('notes-told').textContent.includes('1 note read')")
    assert other.locator("#cases .row").count() == 1 and "asks" in other.inner_text("#cases .row")
    other.set_input_files("#load-notes", {"name": "bad.json", "mimeType": "application/json", "buffer": b"[1]"})
    wait_until(other, "document.getElementById('notes-told').textContent.includes('bad.json: not read')")


def test_the_list_is_taken_away_as_it_is_filtered(open_page: Open, scripted_study: Study, tmp_path: Path) -> None:
    page = open_page("#trajectories?safety=0&sort=helpfulness")
    saved = _saved(page, "#save-list", tmp_path)
    rows = list(csv.DictReader(io.StringIO(saved.read_text("utf-8"))))
    unsafe = scripted_study.scores.query("safety == 0").set_index("trajectory_id")
    assert {row["trajectory"] for row in rows} == set(unsafe.index)
    for row in rows[:50]:
        own = unsafe.loc[row["trajectory"]]
        assert float(row["helpfulness"]) == own["helpfulness"] and int(row["harms"]) == own["n_harms"]
        assert row["reasons"].lstrip("'") == own["reasons"]
    values = [float(row["helpfulness"]) for row in rows]
    assert values == sorted(values)


def test_tables_cases_and_figures_are_taken_away(open_page: Open, scripted_study: Study, tmp_path: Path) -> None:
    page = open_page()
    saved = _saved(page, "table:has(caption:text('Every cell on')) .take button", tmp_path)
    rows = list(csv.reader(io.StringIO(saved.read_text("utf-8"))))
    assert len(rows) == 1 + len(scripted_study.summary["cells"]) and rows[0][0] == "ordering"
    assert "−" not in saved.read_text("utf-8")
    page.wait_for_selector("#plot-frontier .main-svg")
    svg = _saved(page, "#plot-frontier + .take button >> nth=0", tmp_path)
    assert svg.suffix == ".svg" and "Δ safety" in svg.read_text("utf-8")
    png = _saved(page, "#plot-frontier + .take button >> nth=1", tmp_path)
    assert png.read_bytes().startswith(b"\x89PNG")
    other = open_page(f"#trajectories?case={CASE}")
    document = json.loads(_saved(other, "button[name=save-case]", tmp_path).read_text("utf-8"))
    own = scripted_study.scores[scripted_study.scores["case_id"] == CASE]
    assert document["case"]["case_id"] == CASE
    assert {t["trajectory"] for t in document["trajectories"]} == set(own["trajectory_id"])


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "@sum", 'a "b", c', "-0.5", "line\nline"])
def test_csv_is_read_back_and_no_formula(open_page: Open, text: str) -> None:
    page = open_page()
    (row,) = csv.reader(io.StringIO(page.evaluate("text => csvOf([[text, 1]])", text)))
    assert row[1] == "1" and row[0].removeprefix("'") == text
    assert row[0][0] not in "=+@"
