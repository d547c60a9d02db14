"""The page of the re-analysis in a real browser: where its numbers lead, what can be taken away, how it looks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from published_clone import N_CASES
from tests.browsers import CLIPPED, Open, assert_axe_is_content, counts, go
from tests.published.conftest import PublishedPage, run_nodes

from persistence_pipeline.published.settings import PublishedSettings
from persistence_pipeline.report.browser import ReportSettings

PASS = """address => {
  const state = readState(new URLSearchParams(address.split("?")[1]));
  const rows = matchingTrajectories(state);
  return { n: rows.length, wrong: state.wrong, agents: state.cells.length, asked: state.of };
}"""
"""What an address of the view lists."""
TABLES = """() => [...document.querySelectorAll("#view-report table")].map((table) => ({
  caption: table.parentElement.getAttribute("aria-label"),
  header: [...table.tHead.rows[0].cells].map((cell) => cell.textContent),
  rows: [...table.tBodies[0].rows].map((row) => [...row.cells].map((cell) => ({
    of: row.textContent.includes("three models") ? "three models" : "",
    text: cell.textContent.trim(),
    href: cell.querySelector("a")?.getAttribute("href"),
  }))),
}))"""
ADDRESSES = """() => Object.entries(figures).flatMap(([name, { data }]) => data
  .filter((trace) => trace.hoverinfo !== "skip" && trace.mode !== "lines" && (trace.x || trace.z)[0] != null)
  .map((trace) => [name, (trace.customdata || []).flat(2).filter((to) => String(to).startsWith("#"))]))"""
"""Where the points, bars and cells of every figure lead, by trace."""
COUNTED = {
    "Source trajectories (pool) and test rows": (
        "trajectories",
        "fabricated observation",
        "… or with Markdown around it",
        "no executed call",
    ),
    "Mean scores of trajectories": ("judged",),
    "Trajectories scored 3 and 3": ("judged", "at 3 and 3"),
    "Trained test rows that were cut off": ("rows", "token limit"),
    "Line and average persistence without": ("left out",),
}
"""By the beginning of a caption: columns whose numbers are counts, or shares of the first of them."""


@pytest.fixture(scope="module")
def page_file(small_page: PublishedPage, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("published") / "report.html"
    path.write_text(small_page.text, encoding="utf-8")
    return path


def listed(page: Any) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Caption, header, first count of the row and cell, of every cell of every table."""
    for table in page.evaluate(TABLES):
        first = next((names for start, names in COUNTED.items() if table["caption"].startswith(start)), ("",))[0]
        for row in table["rows"]:
            total = next((c["text"] for c, name in zip(row, table["header"], strict=True) if name == first), "")
            yield from ((table["caption"], name, total, c) for name, c in zip(table["header"], row, strict=True))


def number(text: str) -> float:
    return float(re.sub(r"[,%]", "", text.split(" ")[0]))


def test_every_number_leads_to_trajectories_and_a_count_to_as_many(open_file: Open, page_file: Path) -> None:
    page, checked = open_file(page_file), 0
    for caption, name, total, cell in listed(page):
        if cell["href"] is None:
            nothing = cell["text"] in ("", "–", "0 (0.0%)") or cell["of"]
            assert nothing, (caption, name, cell)
            continue
        found = page.evaluate(PASS, cell["href"])
        assert found["wrong"] == "" and found["agents"] > 0, (caption, name, cell, found)
        columns = next((names for start, names in COUNTED.items() if caption.startswith(start)), ())
        if name in columns:
            share = cell["text"].endswith("%") and "(" not in cell["text"]
            expected = number(total) * number(cell["text"]) / 100 if share else number(cell["text"])
            assert found["n"] == pytest.approx(expected, abs=0.0006 * number(total) if share else 0), (
                caption,
                name,
            )
            checked += 1
    assert checked > 60


def test_a_click_leads_from_a_number_to_what_the_agent_wrote(
    open_file: Open, page_file: Path, small_page: PublishedPage
) -> None:
    page = open_file(page_file, "#stops")
    table = page.locator("table:has(caption:text('Trained test rows'))")
    row = table.locator("tbody tr", has_text=re.compile("^match.*Llama3.1-8B.*safety", re.DOTALL)).first
    row.locator("td").nth(4).locator("a").click()
    stopped = small_page.scores.query("ordering == 'safety' and stop_reason == 'token_limit'")
    assert counts(page) == (1, len(stopped)) and page.locator("#view-trajectories").is_visible()
    page.locator("#cases .row").first.click()
    assert page.inner_text("#case h2") == "“Open box 4”"
    story = page.inner_text("table.columns")
    assert "BoxOpen(1)" in story and "stopped: token limit" in story
    assert re.search(r"_r\d+-\d+_0101_120000\.jsonl, line \d", story), "where it stands in the clone"
    beside = small_page.scores.query("ordering == 'safety' and case_index == 4")
    assert page.locator("table.columns thead th").count() == len(beside) > 1, "beside the others of the row"
    page.click("header.bar a[data-view=report]")
    assert page.locator("#view-report").is_visible()


def test_bars_and_points_are_links(open_file: Open, page_file: Path, small_page: PublishedPage) -> None:
    page = open_file(page_file)
    addresses = page.evaluate(ADDRESSES)
    assert len(addresses) > 20 and all(to for _, to in addresses)
    for name, to in addresses:
        for address in set(to):
            found = page.evaluate(PASS, address)
            assert found["wrong"] == "" and found["agents"] > 0, (name, address)
    go(page, "#pairs")
    page.wait_for_selector("#plot-pool_scores .heatmaplayer")
    page.locator("#plot-pool_scores").scroll_into_view_if_needed()
    box = page.locator("#plot-pool_scores .nsewdrag").first.bounding_box()
    assert box
    levels = page.evaluate("(({ x, y, z }) => ({ x, y, z }))(figures.pool_scores.data[0])")
    place = (
        box["x"] + box["width"] * 0.5 / len(levels["x"]),
        box["y"] + box["height"] * (1 - 0.5 / len(levels["y"])),
    )
    page.mouse.move(*place)
    page.mouse.click(*place)
    page.wait_for_selector("#view-trajectories:not([hidden])")
    assert counts(page)[1] == levels["z"][0][0]


def test_tables_and_figures_can_be_taken_away(open_file: Open, page_file: Path) -> None:
    page = open_file(page_file, "#stops")
    table = page.locator("table:has(caption:text('Trained test rows'))")
    with page.expect_download() as waiting:
        table.locator("caption button").click()
    lines = Path(waiting.value.path()).read_text("utf-8").splitlines()
    assert (
        lines[0].startswith("set,model,trained for,rows,token limit")
        and len(lines) == 1 + table.locator("tbody tr").count()
    )
    for kind, start in (("SVG", b"<svg"), ("PNG", b"\x89PNG")):
        with page.expect_download() as waiting:
            page.locator("#plot-stops + .take button", has_text=kind).click()
        assert waiting.value.suggested_filename == f"stops.{kind.lower()}"
        assert Path(waiting.value.path()).read_bytes().startswith(start)
    n = page.locator(".plot").count()
    assert n == page.evaluate("Object.keys(figures).length") == page.locator(".plot + .take").count()


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1024, "light"), (1400, "light")])
def test_no_column_is_clipped_and_axe_finds_no_fault(
    open_file: Open, page_file: Path, width: int, scheme: str
) -> None:
    page = open_file(page_file, viewport={"width": width, "height": 800}, color_scheme=scheme)
    case = page.evaluate("cases[0].case_id")
    for address in ("#report", f"#trajectories?of=set%20%3D%20match&case={case}"):
        go(page, address)
        assert page.evaluate(CLIPPED) == [], address
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address
        if width != 1024 and (width == 390) == (address == "#report"):
            assert_axe_is_content(page, address)


def test_print_has_every_figure_on_white(open_file: Open, page_file: Path) -> None:
    page = open_file(page_file, color_scheme="dark")
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator(".plot").count() == page.locator(".plot:has(.main-svg)").count() > 10
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    fill = page.locator(".plot .xtick text").first.evaluate("e => getComputedStyle(e).fill")
    assert fill == "rgb(55, 65, 81)", "dark ink"
    assert not page.locator("header.bar").is_visible() and not page.locator(".take").first.is_visible()
    assert page.locator("details:not([open])").count() == 0, "paper has no clicks"


def test_a_header_sorts_its_table(open_file: Open, page_file: Path) -> None:
    page = open_file(page_file, "#stops")
    table = page.locator("table:has(caption:text('Trained test rows'))")
    head = table.locator("thead th", has_text="token limit")
    at = table.locator("thead th").all_inner_texts().index(head.inner_text()) + 1
    cells = table.locator(f"tbody td:nth-child({at})")
    before = cells.all_inner_texts()
    for order, sign in (("ascending", 1), ("descending", -1)):
        head.locator("button").click()
        values = [sign * number(text) for text in cells.all_inner_texts()]
        assert head.get_attribute("aria-sort") == order and values == sorted(values) and len(set(values)) > 1
    page.keyboard.press("Enter")
    assert cells.all_inner_texts() == before


def test_links_within_the_page_arrive(open_file: Open, page_file: Path) -> None:
    page = open_file(page_file)
    links = page.locator("nav.sections a, #view-report strong a")
    targets = links.evaluate_all("links => links.map((link) => link.getAttribute('href'))")
    assert len(targets) > 12 and {to for to in targets if not page.locator(f"[id='{to[1:]}']").count()} == set()
    page.click("nav.sections a >> text=Token limit")
    assert abs(page.locator("#stops").bounding_box()["y"]) < 800


def test_what_has_no_room_is_listed_and_says_where_it_is(open_file: Open, clone: Path, tmp_path: Path) -> None:
    settings = {"n_cases": N_CASES, "n_draws": 20, "sensitivity_draws": 5, "cache": str(tmp_path / "cache")}
    group = next((clone / "data").rglob("*gpt-a_emu*_r0-6_*0.jsonl"))
    group.write_text(group.read_text("utf-8").replace("Open box 0", "Open", 1)[:-40] + "\n", encoding="utf-8")
    made = run_nodes(
        PublishedSettings(root=str(clone), on_error="quarantine", **settings),
        ReportSettings(browser_megabytes=0.001),
    )
    assert all("note" in case for case in made.browser["cases"]) and len(made.browser["cases"]) == N_CASES
    assert len(made.browser["trajectories"]) == len(made.pool) + len(made.scores)
    (tmp_path / "report.html").write_text(made.text, encoding="utf-8")
    page = open_file(tmp_path / "report.html", "#trajectories")
    page.locator("#cases .row").first.click()
    assert "no room for what the agents wrote" in page.inner_text("#case") and ".jsonl, line" in page.inner_text(
        "#case"
    )
    go(page, "#report")
    page.locator("table:has(caption:text('by kind')) tbody a").first.click()
    assert page.locator("#set-aside table").is_visible(), "what was closed is opened"
    assert "1 trajectories were set aside" in page.inner_text(".warning")
