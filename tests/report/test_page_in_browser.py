"""The report in a real browser, opened from disk: what it asks for, what its views do, what it never does."""

from __future__ import annotations

import itertools
import random
import re
from pathlib import Path
from typing import Any

import pytest
from tests.browsers import CLIPPED, Open, assert_axe_is_content, counts, go
from tests.report.conftest import CHANGES, HOSTILE, Study

from persistence_pipeline.analysis.paired import paired_comparison

S, H, BOTH = (f"llama_b0p1_s0_{ordering}" for ordering in ("safety", "helpfulness", "both"))
CASE = "s0.test_combination.files.identity.0001.hazard"
ADDRESSES = ("#report", f"#trajectories?case={CASE}", "#pairs", "#taught")
CONTROLS = """() => {
  const all = [...document.querySelectorAll("a[href], button, input, select, summary, [tabindex='0']")];
  const closed = "details:not([open]) > :not(summary)";
  window.missed = new Set(all.filter((e) => e.checkVisibility() && !e.disabled && !e.closest(closed)));
  document.addEventListener("focusin", (event) => missed.delete(event.target));
  return missed.size;
}"""
"""Counts what can be operated, and keeps in ``missed`` what has not had the focus yet."""


def _wait_for_address(page: Any, part: str) -> None:
    expect = pytest.importorskip("playwright.sync_api").expect
    expect(page).to_have_url(re.compile(re.escape(part)))


# -- opening ---------------------------------------------------------------------------------------------


SPIN = """() => {
  const start = performance.now();
  let sum = 0;
  for (let i = 0; i < 2e8; i++) sum += i % 7;
  return sum ? performance.now() - start : 0;
}"""


def test_it_opens_at_once_and_is_small(open_page: Open, scripted_study: Study) -> None:
    """In units of a loop that takes about a quarter of a second: other work on the machine slows both alike."""
    assert scripted_study.page.stat().st_size < 5_000_000
    ratios = []
    for _ in range(5):
        page = open_page()
        page.wait_for_selector("#plot-frontier .main-svg")
        ratios.append(page.evaluate("performance.now()") / page.evaluate(SPIN))
        if ratios[-1] < 8:
            break
    assert min(ratios) < 8, ratios


def test_the_first_screen_holds_answer_frontier_and_persistence(open_page: Open) -> None:
    page = open_page()
    figure = "#plot-frontier .main-svg >> nth=0"
    for selector in (*(f".answer >> nth={n}" for n in range(3)), figure, "table.intervals"):
        box = page.locator(selector).bounding_box()
        assert box and box["y"] + box["height"] <= 800, selector
    assert page.locator(".answer").count() == 3
    assert page.locator(".warning").inner_text().startswith("One seed")
    agents = ".first .scroll:has(table:not(.intervals))"
    narrow = open_page(viewport={"width": 900, "height": 800}).locator(agents)
    assert narrow.evaluate("e => e.scrollHeight - e.clientHeight") == 0, "every agent is seen"
    first = page.locator(agents).inner_text()
    assert "safety" in first and "told apart" in " ".join(first.split()), "care beside safety"


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1024, "dark"), (1400, "light")])
def test_nothing_sticks_out_sideways_and_no_column_is_clipped(open_page: Open, width: int, scheme: str) -> None:
    page = open_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    for address in (*ADDRESSES, f"{ADDRESSES[1]}&beside=twin"):
        go(page, address)
        assert page.evaluate(CLIPPED) == [], address
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address


def test_print_has_every_figure_in_dark_ink(open_page: Open) -> None:
    page = open_page(color_scheme="dark", viewport={"width": 780, "height": 1100})
    page.wait_for_selector("table.stacked.sortable")
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator(".plot").count() == page.locator(".plot:has(.main-svg)").count() == 6
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    fill = page.locator("#plot-frontier .xtick text").first.evaluate("e => getComputedStyle(e).fill")
    assert fill == "rgb(55, 65, 81)"
    assert not page.locator("header.bar").is_visible()
    assert not page.locator("table.stacked.sortable thead").first.is_visible(), "paper does not sort"
    assert page.locator("details:not([open])").count() == 0, "paper has no clicks"
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.locator("details[open]:not(.folded)").count() == 0


# -- trajectories ----------------------------------------------------------------------------------------


def test_filters_count_what_the_scores_say(open_page: Open, scripted_study: Study) -> None:
    page, scores = open_page("#trajectories"), scripted_study.scores
    assert counts(page) == (scores["case_id"].nunique(), len(scores))
    wanted = scores
    for name, value, column in (
        ("split", "test_combination", "split"),
        ("domain", "payments", "domain"),
        ("kind", "injection", "kind"),
        ("helpfulness", "3", "helpfulness"),
        ("stop", "finish", "stop_reason"),
    ):
        page.select_option(f"select[name={name}]", value)
        wanted = wanted[wanted[column].astype(str).str.removesuffix(".0") == value]
        assert counts(page) == (wanted["case_id"].nunique(), len(wanted)), name
    page.select_option("select[name=twin]", "conflicting")
    wanted = wanted[wanted["conflicting"]]
    assert counts(page) == (wanted["case_id"].nunique(), len(wanted))
    page.click("button[name=reset]")
    assert counts(page)[1] == len(scores)


def test_cells_are_shown_and_hidden(open_page: Open, scripted_study: Study) -> None:
    page = open_page("#trajectories?safety=0")
    page.click(f"#cell-{S}")
    unsafe = scripted_study.scores.query("safety < 1")
    assert counts(page)[1] == len(unsafe[unsafe["cell"] != S])
    page.locator("#cases .row").first.click()
    assert page.locator("table.columns thead th").count() == 5


def test_text_is_found_in_calls_observations_and_reasons(open_page: Open, scripted_study: Study) -> None:
    page = open_page("#trajectories")
    page.fill("input[name=q]", "beyond the request")
    _wait_for_address(page, "q=beyond")
    told = scripted_study.scores["reasons"].str.contains("beyond the request")
    assert 0 < counts(page)[1] == told.sum()
    page.keyboard.type(" nothing")
    _wait_for_address(page, "nothing")
    assert counts(page) == (0, 0), "the field kept the focus"


def test_scores_that_differ(open_page: Open, scripted_study: Study) -> None:
    page = open_page(f"#trajectories?cells={S},{H}")
    page.check("input[name=differ]")
    compared = scripted_study.scores.query("cell in [@S, @H]")
    means = compared.groupby(["case_id", "cell"])[["safety", "helpfulness"]].mean()
    differ = (means.unstack("cell").T.groupby(level=0).nunique() > 1).any()
    assert counts(page)[0] == differ.sum()


def test_a_case_stands_side_by_side_with_the_first_difference_marked(
    open_page: Open, scripted_study: Study
) -> None:
    """The careful agent looks and mends before it acts; the careless one acts at once."""
    group = [case for case in scripted_study.cases if case.template_group == "files/look"]
    by_id = (case for case in group if case.asked[0][1:].isdigit())
    case = next(case for case in by_id if case.hazard and not case.conflicting)
    page = open_page(f"#trajectories?cells={H},{BOTH}&case={case.case_id}&sample=0")
    assert page.locator("table.columns thead th").count() == 2
    rows = [
        [cell.inner_text().split("\n") for cell in row.locator("td").all()]
        for row in page.locator("table.columns tbody tr").all()
    ]
    assert rows[0][0] == ["–"] and rows[0][1][0] == "first difference"
    assert rows[0][1][1].startswith("1. file_info(") and rows[1][1][0].startswith("2. copy_file(")
    careless, careful = rows[2]
    assert careless[0].startswith("1. delete_file(") and careful[0].startswith("3. delete_file("), "in one line"
    assert careless[2:4] == [f"{case.asked[0]}: there before, gone now", "knowing nothing that matters"]
    assert careful[2:] == [careless[2], f"knowing copy on record of {case.asked[0]} = copied"]
    assert careless[4].startswith("harm, safety 0: irreversible harm"), "at the call that did it"
    assert careless[5].startswith("wanted: file ") and careless[6].endswith("gone now, copy on record is single")
    assert careless[7].startswith("blind, safety 1: made blind")
    assert page.locator(".first-difference").count() == 1
    grades = page.locator("table.columns tfoot td").all_inner_texts()
    assert "irreversible harm" not in grades[0] and "no point lost" in grades[1]
    page.click("text=compare with this")
    assert page.locator("table.columns thead th").nth(1).locator("button").inner_text().startswith("reference")
    first = page.locator("table.columns tbody tr").first.locator("td").first
    assert "first difference" in first.inner_text(), "now the careless one is marked"


def test_alignment_loses_nothing_and_matches_equal_calls(open_page: Open) -> None:
    """In every column all calls in order; the reference's calls beside as many equal ones as can be."""
    page = open_page()
    rng = random.Random(0)
    for _ in range(100):
        columns = [[rng.choice("abcd") for _ in range(rng.randrange(7))] for _ in range(3)]
        lines = page.evaluate("([columns, reference]) => align(columns, reference)", [columns, 1])
        for column, calls in enumerate(columns):
            assert [line[column] for line in lines if line[column] is not None] == list(range(len(calls)))
            pairs = [(line[1], line[column]) for line in lines if None not in (line[1], line[column])]
            equal = sum(columns[1][left] == calls[right] for left, right in pairs)
            assert equal >= _longest_common(columns[1], calls), (columns, lines)
        assert all(any(call is not None for call in line) for line in lines)
        assert len(lines) <= sum(map(len, columns))


def _longest_common(first: list[str], second: list[str]) -> int:
    """Length of a longest common subsequence, by trying all of the first's subsequences."""

    def within(wanted: tuple[str, ...]) -> bool:
        rest = iter(second)
        return all(call in rest for call in wanted)

    sizes = range(len(first), 0, -1)
    return next((n for n in sizes if any(within(w) for w in itertools.combinations(first, n))), 0)


def test_every_view_can_be_linked_to(open_page: Open) -> None:
    page = open_page("#trajectories")
    page.select_option("select[name=domain]", "home")
    page.locator("#cases .row").nth(2).click()
    page.click("text=sample 1")
    other = open_page(page.evaluate("location.hash"))
    assert other.inner_text("#case") == page.inner_text("#case")
    assert other.inner_text("#counts") == page.inner_text("#counts")
    other.locator("#cases .row").nth(3).click()
    other.go_back()
    assert other.inner_text("#case") == page.inner_text("#case"), "back leads to the case before"


def test_a_point_of_the_frontier_leads_to_its_trajectories(open_page: Open) -> None:
    """A real click on the drawn point."""
    page = open_page()
    page.wait_for_selector("#plot-frontier .main-svg")
    place = page.evaluate(
        """() => {
          const { data, _fullLayout: { xaxis, yaxis } } = document.getElementById("plot-frontier");
          const { x, y } = data.find((trace) => trace.name === "safety");
          const box = document.getElementById("plot-frontier").getBoundingClientRect();
          return [box.x + xaxis._offset + xaxis.d2p(x[0]), box.y + yaxis._offset + yaxis.d2p(y[0])];
        }"""
    )
    page.mouse.move(*place)
    page.mouse.click(*place)
    page.wait_for_selector("#view-trajectories:not([hidden])")
    assert f"cells={S}&" in page.evaluate("location.hash")


def test_a_point_of_safety_is_as_long_as_one_of_helpfulness(open_page: Open) -> None:
    page = open_page()
    page.wait_for_selector("#plot-frontier .main-svg")
    axes = "(({ xaxis, yaxis }) => [xaxis, yaxis].map((a) => a._length / Math.abs(a.range[1] - a.range[0])))"
    x, y = page.evaluate(f"{axes}(document.getElementById('plot-frontier')._fullLayout)")
    assert x == pytest.approx(y, rel=1e-3)
    assert "better" in page.locator("#plot-frontier").text_content()


def test_figure_and_table_of_training_agree_in_sign(open_page: Open) -> None:
    page = open_page("#training")
    page.evaluate("draw('training')")
    drawn = page.evaluate("document.getElementById('plot-training').data.map((t) => [t.name, t.mode, t.y.at(-1)])")
    for side, change in CHANGES.items():
        ends = [y for name, mode, y in drawn if name == side]
        assert len(ends) == 10 and all(y * change > 0 for y in ends), "five curves and their ends"
    row = page.locator("table:has(caption:text('Stages')) tbody tr").first.inner_text()
    assert "−2.00 → −1.70" in row and "−2.00 → −4.00" in row
    assert page.locator("#plot-training .xtitle").first.text_content() == "optimizer step"


def test_thousands_of_trajectories_stay_fluent(open_page: Open, scripted_study: Study) -> None:
    page = open_page("#trajectories")
    page.focus("#cases")
    taken = page.evaluate(
        """() => {
          const list = document.getElementById("cases");
          const rounds = [0, 1, 2, 3].map(() => {
            const start = performance.now();
            for (let i = 0; i < 5; i += 1) list.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowDown" }));
            document.body.offsetHeight;
            return (performance.now() - start) / 5;
          });
          return Math.min(...rounds);  // other work on the machine makes single rounds longer
        }"""
    )
    assert taken < 200, f"{taken:.0f} ms from one case to the next"
    page.keyboard.press("End")
    assert page.locator("#cases .row").count() < 60
    n = len(scripted_study.scores)
    chosen = page.locator("#cases .row[aria-selected=true]")
    assert chosen.get_attribute("aria-posinset") == chosen.get_attribute("aria-setsize") == str(n)


# -- judges ----------------------------------------------------------------------------------------------


def test_judges_have_a_section_where_they_were_asked(
    open_page: Open, judged_page: Path, calibration: dict[str, Any]
) -> None:
    page = open_page("#judges", file=judged_page)
    page.evaluate("for (const name in figures) draw(name)")
    for name in ("confusion", "bias", "frontier"):
        assert page.locator(f"#plot-judges_{name} .main-svg").count(), name
    counts = page.locator("#plot-judges_confusion .heatmap-label tspan:nth-child(2)").all_text_contents()
    assert sum(map(int, counts)) == 2 * 1728 - 1, "one has no verdict"
    found = calibration["lenient"]
    agreed = page.locator("table:has(caption:text('Agreement')) tbody tr").first.locator("td").all_inner_texts()
    kappa = found["agreement"]["safety"]["kappa"]
    assert agreed[:3] == ["lenient", "safety", "1727"] and agreed[3].startswith(f"{kappa['estimate']:.2f} [")
    lines = page.locator("table:has(caption:text('Fitted line')) tbody tr").all()
    shown = [line.locator("td").all_inner_texts() for line in lines]
    assert [line[1] for line in shown] == ["state graders", "judge", "corrected"]
    for line, basis in zip(shown, ("state", "judge", "corrected"), strict=True):
        assert line[2] == f"{found['frontier'][basis]['ols']['r2']:.2f}"
        assert line[5].startswith(f"{found['persistence'][basis][0]['safety']['estimate']:.2f}".replace("-", "−"))


def test_without_judges_nothing_of_them_is_said(open_page: Open) -> None:
    page = open_page()
    assert not page.locator("#judges, [href='#judges'], .plot[id*=judges]").count()
    assert "graders" not in page.inner_text("#view-report")


# -- two cells -------------------------------------------------------------------------------------------


def test_two_cells_are_compared_as_the_analysis_does(open_page: Open, scripted_study: Study) -> None:
    headline = scripted_study.scores.query("split == 'test_combination'")
    first, second = (headline[headline["cell"] == name] for name in (H, S))
    page = open_page(f"#pairs?first={H}&second={S}")
    table = page.locator("table.pairs >> nth=0")
    shown = [row.locator("td").all_inner_texts() for row in table.locator("tbody tr").all()]
    for cells, metric in zip(shown, ("safety", "helpfulness"), strict=True):
        found = paired_comparison(first, second, metric)
        expected = [found[key] for key in ("n_cases", "wins", "losses", "ties")]
        assert cells[:4] == list(map(str, expected))
        assert cells[4].replace("−", "-") == f"{found['difference']['estimate']:+.2f}"
    won = table.locator("tbody tr >> nth=1").locator("a").first
    n = int(won.inner_text())
    won.click()
    assert counts(page)[0] == n, "the count leads to the cases"
    page.click("button[name=pair]")
    assert counts(page)[0] == headline["case_id"].nunique()


# -- safety of the page, accessibility -------------------------------------------------------------------


def test_what_models_wrote_stays_text(open_page: Open, scripted_study: Study) -> None:
    page = open_page()
    for number, text in enumerate(HOSTILE):
        case = scripted_study.cases[number // 2].case_id
        go(page, f"#trajectories?case={case}&sample={number % 2}")
        shown = page.locator("#case").evaluate("element => element.textContent")
        assert shown.count(text) >= 4, f"text, call, observation and reason show {text!r} as it is"
        assert page.evaluate("window.hacked") is None
        inside = "#view-trajectories"
        assert page.locator(f"{inside} script, {inside} img, {inside} style, {inside} [onload]").count() == 0
    go(page, f"#trajectories?case={scripted_study.cases[0].case_id}")
    assert HOSTILE[0] in page.inner_text("#case h2") and HOSTILE[0] in page.inner_text("#cases")


def test_an_address_cannot_smuggle_markup_in(open_page: Open) -> None:
    bad = "%3Cimg%20src=x%20onerror=window.hacked=1%3E"
    page = open_page()
    trajectories = f"#trajectories?q={bad}&case={bad}&pair={bad},b,c,won"
    for address in (trajectories, f"#pairs?first={bad}&second={bad}", f"#{bad}"):
        go(page, address)
        assert page.evaluate("window.hacked") is None and page.locator("img").count() == 0


def test_the_keyboard_reaches_everything(open_page: Open) -> None:
    page = open_page()
    for address in ADDRESSES:
        go(page, address)
        page.evaluate("document.activeElement.blur()")
        wanted = page.evaluate(CONTROLS)
        for _ in range(wanted + 5):
            page.keyboard.press("Tab")
        assert wanted > 5 and page.evaluate("[...missed].map((e) => e.outerHTML.slice(0, 200))") == [], address


def test_arrow_keys_walk_through_the_cases(open_page: Open) -> None:
    page = open_page("#trajectories")
    page.focus("#cases")
    for key, position in (("ArrowDown", "1"), ("ArrowDown", "2"), ("ArrowUp", "1")):
        page.keyboard.press(key)
        chosen = page.locator("#cases .row[aria-selected=true]")
        assert chosen.get_attribute("aria-posinset") == position
        assert page.get_attribute("#cases", "aria-activedescendant") == chosen.get_attribute("id")
    assert page.locator("table.columns").count() == 1


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (390, "dark")])
def test_axe_finds_no_fault(open_page: Open, judged_page: Path, width: int, scheme: str) -> None:
    """None that is moderate or worse."""
    page = open_page(file=judged_page, viewport={"width": width, "height": 800}, color_scheme=scheme)
    for address in ADDRESSES:
        go(page, address)
        assert_axe_is_content(page, address)
