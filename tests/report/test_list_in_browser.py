"""The list of trajectories in a real browser: where numbers lead, filters, typed expressions, sorting, columns."""

from __future__ import annotations

import random
from typing import Any
from urllib.parse import unquote

import pandas as pd
import pytest
from tests.browsers import Open, counts, go, wait_until
from tests.report.conftest import Study

S, H, BOTH = (f"llama_b0p1_s0_{ordering}" for ordering in ("safety", "helpfulness", "both"))
SH = "llama_b0p1_s0_safety_then_helpfulness"


def _rows(page: Any, *columns: str) -> list[list[str]]:
    """What the drawn rows say in some columns, without what is only read out."""
    return page.evaluate(
        """(columns) => [...document.querySelectorAll("#cases .row")].map((row) => columns.map((name) => {
          const cell = row.querySelector(".col-" + name).cloneNode(true);
          for (const hidden of cell.querySelectorAll(".hidden")) hidden.remove();
          return cell.textContent.trim();
        }))""",
        list(columns),
    )


def _shown(page: Any) -> list[str]:
    """The names of all trajectories of the list, in its order."""
    return page.evaluate("list.rows.map(idOf)")


def _type(page: Any, name: str, text: str) -> None:
    """Types into a field of the form, as a person does, and waits until it counts."""
    page.click(f"input[name={name}]")
    page.keyboard.press("Control+a")
    page.keyboard.type(text)
    wait_until(page, "([name, text]) => state[name] === text", [name, text])


def test_every_listed_case_shows_a_trajectory_that_passes(open_page: Open) -> None:
    """Not the first sample of the case, whatever the filter."""
    page = open_page("#trajectories?safety=0")
    n = page.evaluate("list.rows.length")
    for at in random.Random(0).sample(range(n), 12):
        page.evaluate("at => { list.place.scrollTop = at * document.querySelector('.row').offsetHeight; }", at)
        page.locator(f"#row-{at}").click()
        assert page.locator("#case th.chosen .badge").first.inner_text() == "safety 0", at
        assert page.locator("#cases .row[aria-selected=true]").get_attribute("aria-posinset") == str(at + 1)


def test_the_first_screen_leads_to_the_worst_of_s_then_h_beside_s(open_page: Open, scripted_study: Study) -> None:
    page = open_page()
    page.click("text=the worst that S > H did")
    wait_until(page, "list.rows.length > 0")
    first, second = "llama_b0p1_s0_safety_then_helpfulness", "llama_b0p1_s0_safety"
    asked = scripted_study.scores.query("cell == @first and split == 'test_combination'")
    assert sorted(page.evaluate("list.rows.map(idOf)")) == sorted(asked["trajectory_id"])
    worst = page.evaluate("list.rows.map((t) => gradeOf(t, 0).safety)")
    assert worst == sorted(worst) and worst[0] == asked["safety"].min()
    page.locator("#row-0").click()
    heads = page.locator("#case thead .cell-name").all_inner_texts()
    assert [head.strip() for head in heads] == ["safety", "safety > helpfulness"], "on the same case"
    names = page.evaluate("state.cells.map((cell) => cell.name)")
    assert sorted(names) == sorted([first, second])


def test_an_address_with_a_filter_alone_shows_a_sample_that_passes(open_page: Open, scripted_study: Study) -> None:
    unsafe = scripted_study.scores.query("safety == 0")
    first = unsafe.groupby(["cell", "case_id"])["sample"].min().reset_index().query("sample == 1").iloc[0]
    page = open_page(f"#trajectories?cells={first['cell']}&safety=0&case={first['case_id']}")
    assert page.locator("#case th .badge").first.inner_text() == "safety 0"


def test_a_typed_expression_counts_what_the_scores_say(open_page: Open, scripted_study: Study) -> None:
    page, scores = open_page("#trajectories"), scripted_study.scores
    wanted = {
        "safety < 1 and calls > 3": (scores["safety"] < 1) & (scores["n_calls"] > 3),
        "kind = injection or not told": (scores["kind"] == "injection") | ~scores["told"].astype(bool),
        "(harms >= 2 or blind) and hazard": ((scores["n_harms"] >= 2) | (scores["n_blind"] > 0))
        & scores["hazard"],
        'split ~ "held-out comb" and stop != finish': (scores["split"] == "test_combination")
        & (scores["stop_reason"] != "finish"),
    }
    for text, marked in wanted.items():
        _type(page, "where", text)
        assert counts(page)[1] == marked.sum(), text
        assert not page.locator(".wrong").is_visible()
    shared = page.evaluate("location.hash")
    assert counts(open_page(shared)) == counts(page), "the address holds it"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("safty < 1 and told", "expected"),
        ("safety <", "expected a name, a number or a text at the end"),
        ("safety < 1 told", "expected “and” or “or” at “told”"),
        ("(told", "expected “)” at the end"),
        ("nonsense", "expected one of agent, safety"),
        ("!told", "expected a name"),
    ],
)
def test_a_wrong_expression_says_what_was_expected(
    open_page: Open, scripted_study: Study, text: str, said: str
) -> None:
    page = open_page("#trajectories")
    _type(page, "where", text)
    if text.startswith("safty"):  # an unknown word beside an operator is a text, and no text is below a number
        assert counts(page)[1] == 0
        return
    assert said in page.locator(".wrong").inner_text()
    assert counts(page)[1] == len(scripted_study.scores), "not applied"


def test_the_list_sorts_with_the_worst_in_front(open_page: Open, scripted_study: Study) -> None:
    page = open_page(f"#trajectories?cells={SH},{S}&split=test_combination&twin=hazard")
    page.click("#sort-safety")
    values = [float(row[0]) for row in _rows(page, "safety")]
    assert values == sorted(values) and values[0] == 0
    assert _rows(page, "severity")[0] == ["severe"], "ties by severity"
    page.click("#sort-safety")
    assert float(_rows(page, "safety")[0][0]) == 3
    page.click("#sort-calls")
    longest = scripted_study.scores.query("cell in [@S, @SH] and split == 'test_combination' and hazard")
    assert int(_rows(page, "calls")[0][0]) == longest["n_calls"].max()


def test_ties_of_safety_and_severity_begin_with_what_was_lost_most(open_page: Open) -> None:
    page = open_page(f"#trajectories?cells={SH},{S}&sort=safety")
    keys = "gradeOf(t, state.evaluator).safety, COLUMNS.severity.rank(t), gapTest(state, 'safety')(t)"
    worst = page.evaluate(f"list.rows.map((t) => [{keys}])")
    assert worst == sorted(worst)
    assert len({tuple(row) for row in worst}) > len({tuple(tied) for *tied, _ in worst}), "there are such ties"


def test_differences_between_two_agents_sort_the_list(open_page: Open, scripted_study: Study) -> None:
    page = open_page(f"#trajectories?cells={SH},{S}&minus=safety>helpfulness,safety&sort=gap_safety")
    means = scripted_study.scores.groupby(["cell", "case_id"])["safety"].mean()
    gaps = (means[SH] - means[S]).sort_values()
    listed = list(dict.fromkeys(name.split("/")[1] for name in _shown(page)))
    assert [gaps[case] for case in listed] == sorted(gaps)
    assert _rows(page, "gap_safety")[0][0].replace("−", "-") == f"{gaps.iloc[0]:+.2f}"
    page.select_option("select[name=minus-first]", "safety")
    page.select_option("select[name=minus-second]", "safety>helpfulness")
    assert float(_rows(page, "gap_safety")[0][0].replace("−", "-")) == pytest.approx(-gaps.iloc[-1], abs=0.01)


def test_columns_are_chosen_and_kept_in_the_address(open_page: Open) -> None:
    page = open_page("#trajectories")
    page.click("summary:text('Columns')")
    page.check("#column-stop")
    page.uncheck("#column-request")
    other = open_page(page.evaluate("location.hash"))
    heads = other.locator("#list-head button").all_inner_texts()
    assert "stopped" in heads and "request" not in heads


def _follow(page: Any, link: Any) -> dict[str, str]:
    """Clicks a link of the report, and returns what the address asks for."""
    link.click()
    page.wait_for_selector("#view-trajectories:not([hidden])")
    query = unquote(page.evaluate("location.hash")).partition("?")[2]
    return dict(part.split("=", 1) for part in query.split("&"))


def test_names_of_agents_are_whole_where_there_is_room(open_page: Open) -> None:
    page = open_page("#trajectories", viewport={"width": 1400, "height": 900})
    page.evaluate("for (const cell of cells) cell.label += ', llama, helpfulness learning rate 0.0003, seed 0'")
    page.evaluate("setState({})")
    page.wait_for_timeout(200)
    cut = "[...document.querySelectorAll('.col-agent')].filter((e) => e.scrollWidth > e.clientWidth).length"
    assert page.locator(".col-agent").count() > 5 and page.evaluate(cut) == 0


def test_on_a_telephone_the_list_comes_before_its_filters(open_page: Open) -> None:
    telephone = {"width": 390, "height": 844}
    page = open_page("#trajectories", viewport=telephone)
    assert page.locator("#cases .row").first.bounding_box()["y"] < 844 / 2
    page.click(".folded > summary")
    page.select_option("select[name=safety]", "0")
    assert page.locator("#filters").is_visible() and "safety=0" in page.evaluate("location.hash")
    wrong = open_page("#trajectories?where=safety <", viewport=telephone)
    assert wrong.locator(".wrong").is_visible(), "a fault is not folded away"
    wide = open_page("#trajectories")
    assert wide.locator("#filters").is_visible() and not wide.locator(".folded > summary").is_visible()


def test_every_number_of_the_scores_leads_to_what_it_counts(open_page: Open, scripted_study: Study) -> None:
    headline = scripted_study.scores.query("split == 'test_combination'")
    own = headline[headline["cell"] == SH]
    told = (own["safety"] == 3) & (own["helpfulness"] == 3)
    wanted = {
        "safety": len(own),
        "3 and 3": told.sum(),
        "told apart": (~own["told"].astype(bool)).sum(),
        "did nothing": own["refused"].sum(),
        "invalid calls": (own["n_invalid"] > 0).sum(),
        "Δ safety": len(own) + len(headline[headline["cell"] == "llama_s0"]),
    }
    page = open_page()
    table = page.locator("table:has(caption:text('Every cell on'))")
    heads = [head.strip() for head in table.locator("thead th").all_inner_texts()]
    for name, n in wanted.items():
        row = table.locator("tbody tr").filter(has_text="safety > helpfulness").first
        _follow(page, row.locator("td").nth(heads.index(name)).locator("a"))
        assert counts(page)[1] == n, name
        go(page, "#cells")


def test_all_cells_of_all_tables_lead_somewhere(open_page: Open) -> None:
    """To trajectories or to a comparison; packages and published numbers have no trajectories behind them."""
    page = open_page()
    page.evaluate("for (const element of document.querySelectorAll('details')) element.open = true")
    unlinked = page.evaluate(
        """() => [...document.querySelectorAll("#view-report table")].flatMap((table) => {
          const caption = table.caption.textContent;
          if (/Packages|arXiv/.test(caption)) return [];
          return [...table.tBodies[0].rows].flatMap((row) => [...row.cells].slice(1)
            .filter((cell) => !cell.querySelector("a") && cell.textContent.trim() !== "–")
            .map((cell) => `${caption}: ${cell.textContent}`));
        })"""
    )
    assert unlinked == []
    addresses = page.evaluate("[...new Set([...document.querySelectorAll('td a')].map((a) => a.hash))]")
    for address in random.Random(0).sample(addresses, 25):
        if address.startswith("#trajectories"):
            go(page, address)
            assert page.evaluate("state.cells.length") > 0 and not page.locator(".wrong").is_visible(), address


def test_every_point_of_every_figure_leads_to_trajectories(open_page: Open) -> None:
    page = open_page()
    page.evaluate("for (const name in figures) draw(name)")
    missing = page.evaluate(
        """() => Object.keys(figures).flatMap((name) =>
          document.getElementById("plot-" + name).data
            .filter(({ mode, hoverinfo }) => /markers/.test(mode) && hoverinfo !== "skip")
            .filter((trace) => !/published/.test(trace.name))
            .filter((trace) => trace.x.some((_, at) => !String(trace.customdata?.[at]?.[0]).startsWith("#")))
            .map((trace) => `${name}: ${trace.name}`))"""
    )
    assert missing == []


def test_ten_thousand_trajectories_stay_fluent(open_page: Open) -> None:
    """Filter, sort and open: each is timed with the other work of this machine beside it."""
    page = open_page("#trajectories")
    taken = page.evaluate(
        """() => {
          const own = byCase.map((list) => [...list]);
          for (let n = trajectories.length; n < 10000; n += trajectories.length) {
            own.forEach((list, at) => byCase[at].push(...list.map((t) => ({ ...t, sample: t.sample + n }))));
          }
          const timed = (changes) => {
            const start = performance.now();
            setState(changes);
            document.body.offsetHeight;
            return performance.now() - start;
          };
          const filters = [{ safety: "0" }, { safety: "" }, { where: "not told" }, { where: "" }];
          const asked = [...filters, { sort: "gap_safety" }];
          return [...asked.map(timed), list.rows.length];
        }"""
    )
    *times, n = taken
    assert n >= 10_000 and sorted(times)[2] < 400, taken


def test_scores_know_every_column_that_the_filter_names(scripted_study: Study) -> None:
    facts = scripted_study.browser["facts"]
    row = pd.Series(scripted_study.browser["trajectories"][0])
    assert len(facts["names"]) == len(facts["values"][row[6]]) == 15
