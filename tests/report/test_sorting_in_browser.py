"""Tables sort by their headers, by mouse, keyboard and finger; lists have room for names on a telephone."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from tests.browsers import Open, go, wait_until

CELLS = "table:has(caption:text('Every cell on'))"
CUT = """place => {
  const parts = document.querySelectorAll(`${place} .row > span, ${place} .list-head > *`);
  const shown = [...parts].filter((e) => e.clientWidth && !e.matches(":last-child"));
  const whole = (e) => e.scrollWidth <= e.clientWidth + 1 && e.scrollHeight <= e.clientHeight + 1;
  return shown.filter((e) => !whole(e)).map((e) => e.textContent);
}"""
"""What is not wholly seen of a list's rows and heads; the last column, the request, may end in dots."""


def _column(page: Any, name: str, table: str = CELLS) -> list[str]:
    heads = [head.strip() for head in page.locator(f"{table} thead th").all_inner_texts()]
    return page.locator(f"{table} tbody td:nth-child({heads.index(name) + 1})").all_inner_texts()


def _head(page: Any, name: str, table: str = CELLS) -> Any:
    return page.locator(f"{table} thead th").filter(has=page.locator(f"button:text-is('{name}')"))


def _estimate(text: str) -> float:
    return float(text.split(" ")[0].replace("−", "-").rstrip("%"))


def test_a_column_of_intervals_sorts_by_the_estimate_with_nothing_last(open_page: Open) -> None:
    page = open_page("#cells")
    before = _column(page, "Δ safety")
    estimates = sorted(_estimate(text) for text in before if text != "–")
    assert "–" in before and estimates[0] < 0 and "[" in max(before), "negative ones, intervals, and one missing"
    head = _head(page, "Δ safety")
    for order, expected in (("ascending", estimates), ("descending", estimates[::-1])):
        head.locator("button").click()
        *values, last = _column(page, "Δ safety")
        assert head.get_attribute("aria-sort") == order
        assert last == "–" and [_estimate(text) for text in values] == expected
    head.locator("button").click()
    assert _column(page, "Δ safety") == before and head.get_attribute("aria-sort") == "none"


def test_the_keyboard_sorts_and_one_column_counts_at_a_time(open_page: Open) -> None:
    page = open_page("#cells")
    first, second = _head(page, "3 and 3"), _head(page, "ordering")
    first.locator("button").focus()
    page.keyboard.press("Enter")
    shares = [_estimate(text) for text in _column(page, "3 and 3")]
    assert shares == sorted(shares) and len(set(shares)) > 2, "100% after 9%"
    second.locator("button").focus()
    page.keyboard.press("Space")
    names = _column(page, "ordering")
    assert names == sorted(names, key=str.lower)
    assert [head.get_attribute("aria-sort") for head in (first, second)] == ["none", "ascending"]


def test_tables_that_scripts_make_sort_too_and_stories_do_not(open_page: Open) -> None:
    page = open_page("#pairs")
    wait_until(page, "document.querySelector('#pair-result table') !== null")
    table = "table:has(caption:text('Won: cases'))"
    _head(page, "metric", table).locator("button").click()
    assert page.locator(f"{table} tbody th").all_inner_texts() == ["helpfulness", "safety"]
    go(page, "#trajectories")
    page.locator("#row-0").click()
    assert not page.locator("table.columns .sort").count()


WRITTEN: list[tuple[list[str], list[float | str | None]]] = [
    (["1,234", "−0.5 [−1, 0]", "–"], [1234, -0.5, None]),
    (["12.5%", "9%", ""], [12.5, 9, None]),
    (["< 0.001", "0.02"], [0.001, 0.02]),
    (["1.2e-05", "0.3", "undefined"], [1.2e-05, 0.3, None]),
    (["0.69 → 0.61", "2.50 / 1.20"], [0.69, 2.5]),
    (["3 (12.0%)", "10"], [3, 10]),
    (["1.2.10", "1.2.9"], ["1.2.10", "1.2.9"]),
    (["0.1, 0.2", "0.3"], ["0.1, 0.2", "0.3"]),
    (["safety", "3"], ["safety", "3"]),
]
"""How cells are written, and what they are sorted by."""


def test_numbers_are_sorted_as_numbers(open_page: Open) -> None:
    page = open_page()
    assert page.evaluate("all => all.map(sortKeys)", [written for written, _ in WRITTEN]) == [
        k for _, k in WRITTEN
    ]


def test_where_rows_are_blocks_a_finger_sorts(open_page: Open) -> None:
    page = open_page("#cells", viewport={"width": 390, "height": 800}, has_touch=True)
    table = page.locator(CELLS)
    assert "stacked" in table.get_attribute("class")
    button = _head(page, "safety").locator("button")
    button.tap()
    values = [float(text) for text in _column(page, "safety")]
    assert values == sorted(values)


@pytest.mark.parametrize("name", ["trajectories", "taught"])
def test_names_and_scores_of_a_list_are_whole_on_a_telephone(open_page: Open, name: str) -> None:
    page, place = open_page(f"#{name}", viewport={"width": 390, "height": 800}), f"#view-{name}"
    wait_until(page, f"document.querySelectorAll('{place} .row').length > 5")
    assert page.evaluate(CUT, place) == []
    boxes = [head.bounding_box() for head in page.locator(f"{place} .list-head > *").all()]
    assert len(boxes) == 4 and all(a["x"] + a["width"] <= b["x"] + 1 for a, b in itertools.pairwise(boxes))
