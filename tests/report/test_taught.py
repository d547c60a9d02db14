"""From an agent to the pairs that taught it, and which of their tokens the loss scored."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.browsers import Open, go, wait_until
from tests.report.conftest import Study
from tests.report.test_reasons import STORED

from persistence_pipeline.preferences.pairing import pair_candidates
from persistence_pipeline.records import Message, PreferencePair, Sampled, ToolCall
from persistence_pipeline.report.browser import ReportSettings, conversation_steps
from persistence_pipeline.report.links import pairs_of
from persistence_pipeline.report.page import render_report
from persistence_pipeline.report.taught import taught_data

AGENT = "llama_b0p1_s0_safety_then_helpfulness"


def test_turns_say_how_many_of_their_tokens_are_scored() -> None:
    call = ToolCall(name="look", arguments={"file": "f1"})
    messages = [
        Message(role="assistant", tool_calls=(call,), sampled=Sampled(ids=(4, 5, 6), tokenizer="t")),
        Message(role="tool", content="f1 red"),
        Message(role="assistant", content="done"),
    ]
    steps = conversation_steps(messages, scored=True)
    assert [step["scored"] for step in steps] == [3, None]
    assert steps[0]["observation"] == "f1 red" and "scored" not in conversation_steps(messages)[0]


def test_all_calls_of_a_turn_are_the_agents() -> None:
    calls = (ToolCall(name="look", arguments={}), ToolCall(name="go", arguments={}))
    turn = Message(role="assistant", tool_calls=calls, sampled=Sampled(ids=(1,) * 9, tokenizer="t"))
    first, second = conversation_steps([turn], scored=True)
    assert (first["scored"], second["same_turn"]) == (9, True) and "scored" not in second


def _study_of(pair: PreferencePair, study: Study, target: Path) -> Path:
    """The study's page, taught with one pair."""
    taught = taught_data({"llama_s0__safety": [pair], "llama_s0__helpfulness": [pair]}, {}, ReportSettings())
    page = target / "taught.html"
    page.write_text(render_report(study.summary, study.scores, study.figures, study.browser, taught), "utf-8")
    return page


def test_the_view_shows_what_was_scored_and_what_is_context(
    open_page: Open, scripted_study: Study, tmp_path: Path
) -> None:
    """The prompt's own turn of an agent, answers of tools and unknown tokens are all told apart."""
    look, go_on = (ToolCall(name=name, arguments={"file": "f1"}) for name in ("look", "go"))
    sampled = Sampled(ids=(1, 2, 3), tokenizer="t")
    pair = PreferencePair(
        pair_id="p", case_id="c", objective="safety", chosen_id="a", rejected_id="b",
        prompt=(
            Message(role="system", content="be good"),
            Message(role="user", content="tidy up"),
            Message(role="assistant", tool_calls=(look,)),
            Message(role="tool", content="f1 red"),
        ),
        chosen=(
            Message(role="assistant", content="first both", tool_calls=(look, go_on), sampled=sampled),
            Message(role="tool", content="answered one"),
            Message(role="tool", content="answered two"),
            Message(role="assistant", content="that is all", sampled=sampled),
        ),
        rejected=(
            Message(role="assistant", content="no idea"),
            Message(role="assistant", content="", sampled=Sampled(ids=(), tokenizer="t")),
        ),
        tools=({"name": "look"}, {"name": "go"}),
    )  # fmt: skip
    page = open_page(f"#taught?agent={AGENT}&stage=1", file=_study_of(pair, scripted_study, tmp_path))
    page.locator("#pair-0").click()
    shown = page.locator("#taught-pair")
    prompt = shown.locator(".prompt")
    for text in ("tools: 2 schemas", "system: be good", "user: tidy up", "agent: look(f1)", "tool: f1 red"):
        assert text in prompt.inner_text()
    assert prompt.locator("mark").count() == 0
    chosen, rejected = (shown.locator(f"tbody td:nth-child({column})") for column in (1, 2))
    assert chosen.locator("mark").all_inner_texts() == ["first both", "look(f1)", "go(f1)", "that is all"]
    assert shown.locator(".observation mark").count() == 0 and "answered two" in shown.inner_text()
    assert rejected.locator("mark").all_inner_texts() == ["no idea"], "an empty turn has nothing that is scored"
    line = "e => getComputedStyle(e).borderBottomStyle"
    assert chosen.locator("mark").first.evaluate(line) == "solid"
    assert rejected.locator("mark").first.evaluate(line) == "dashed", "not what was sampled"
    heads = shown.locator("thead .scored").all_inner_texts()
    assert heads == ["6 tokens scored", "0 tokens scored; 1 of its 2 turns as the template writes them"]


def test_each_pair_has_both_sides_with_their_grades(scripted_study: Study) -> None:
    scores = scripted_study.scores.set_index("trajectory_id")
    taught = scripted_study.taught
    assert [(one["source"], one["objective"]) for one in taught["sets"]] == [
        ("llama_s0", "safety"),
        ("llama_s0", "helpfulness"),
    ]
    for one in taught["sets"]:
        assert len(one["pairs"]) == one["total"] > 50
        for pair in one["pairs"]:
            (case, _, grade), rejected = (taught["sides"][side] for side in pair)
            assert case == rejected[0], "of one case"
            assert dict(zip(("safety", "helpfulness"), grade[:2], strict=True))[one["objective"]] > 0
            known = taught["cases"][case]
            same = scores[(scores["case_id"] == known["case_id"]) & (scores["cell"] == "llama_s0")]
            assert grade[0] in set(same["safety"]) and known["kind"] == same["kind"].iloc[0]
            for _, _, _, reasons, *words in ([0, *taught["sides"][side][2]] for side in pair):
                lines = taught["texts"][reasons].split("\n")
                assert all(len(told) == len(lines) and None not in told for told in words)


def _pairs(study: Study) -> list[PreferencePair]:
    table, _ = pair_candidates(
        study.scores[study.scores["cell"] == "llama_s0"], "safety", min_gap=1, min_chosen=1, max_per_case=2, seed=0
    )
    prompt, side = (Message(role="user", content="do it"),), (Message(role="assistant", content="done"),)
    names = ("pair_id", "case_id", "objective", "chosen_id", "rejected_id")
    rows = table[list(names)].to_dict("records")
    return [PreferencePair(prompt=prompt, chosen=side, rejected=side, **row) for row in rows]


@pytest.mark.parametrize("megabytes", [0.004, 2])
def test_what_does_not_fit_is_left_out_by_whole_cases(scripted_study: Study, megabytes: float) -> None:
    pairs = _pairs(scripted_study)
    settings = ReportSettings(pair_megabytes=megabytes)
    one, same = taught_data({"llama_s0__safety": pairs, "llama_s0__helpfulness": pairs}, {}, settings)["sets"]
    assert one["total"] == len(pairs) and (len(one["pairs"]) == len(pairs)) == (megabytes == 2)
    assert one["pairs"], "at least those of one case"
    assert len(one["pairs"]) - len(same["pairs"]) in (0, 1, 2), "no set takes the room of another"
    named = {name for name, _ in one["left"]}
    assert len(named) == one["total"] - len(one["pairs"]) and named <= {pair.pair_id for pair in pairs}


def test_a_training_number_leads_to_the_pairs_with_their_scored_tokens(open_page: Open) -> None:
    page = open_page("#training")
    page.locator(f"#view-report a[href='{pairs_of(AGENT)}']").first.click()
    wait_until(page, "lessons.rows.length > 0")
    assert page.locator("#taught-choice select[name=stage]").input_value() == "1"
    n = page.evaluate("lessons.rows.length")
    page.locator("#pair-2").click()
    wait_until(page, "document.querySelector('#pair-2').getAttribute('aria-selected') === 'true'")
    assert "pair=" in page.evaluate("location.hash")
    told = page.locator("#taught-pair .scored").all_inner_texts()
    assert {"3 tokens scored"} <= set(told)
    assert page.locator("#taught-pair thead th").all_inner_texts()[0].startswith("chosen")
    page.locator("#taught-choice select[name=stage]").select_option("0")
    wait_until(page, f"lessons.rows.length !== {n}")
    page.locator("#taught-list").press("End")
    last = page.evaluate("lessons.rows.length")
    wait_until(page, f"document.querySelector('#pair-{last - 1}')?.getAttribute('aria-selected') === 'true'")


def test_reasons_of_pairs_stand_in_words_and_open_to_what_is_stored(open_page: Open) -> None:
    """As those of the list's trajectories."""
    page = open_page(f"#taught?agent={AGENT}&stage=0&kind=look")
    wait_until(page, "lessons.rows.length > 0")
    found = "lessons.rows.findIndex(({ rejected }) => texts[rejected.grade[2]].includes('irreversible'))"
    at = page.evaluate(found)
    page.evaluate("at => { lessons.place.scrollTop = at * document.querySelector('#pair-0').offsetHeight; }", at)
    page.locator(f"#pair-{at}").click()
    told = page.locator("#taught-pair table.columns")
    harm = told.locator(".cost.harm").first
    assert "wanted: " in harm.inner_text() and "came: " in harm.inner_text()
    assert not STORED.search(told.inner_text())
    stored = harm.locator("code")
    assert not stored.is_visible()
    harm.locator("summary").click()
    assert stored.is_visible() and STORED.search(stored.inner_text())


def test_a_trajectory_leads_to_the_pairs_of_its_kind(open_page: Open) -> None:
    page = open_page(f"#trajectories?cells={AGENT}&kind=look")
    page.locator("#row-0").click()
    page.locator("#case .made-by a").first.click()
    wait_until(page, "lessons.rows.length > 0")
    assert page.evaluate("new Set(lessons.rows.map((pair) => pair.item.kind)).size") == 1
    assert page.locator("#taught-choice select[name=kind]").input_value() == "look"
    go(page, "#taught")
    assert page.locator("#view-taught").is_visible()


def test_a_click_on_a_training_curve_leads_to_the_pairs(open_page: Open, scripted_study: Study) -> None:
    curves = [trace for trace in scripted_study.figures["training"].data if trace.mode == "lines"]
    assert curves and all(trace.customdata[0][0].startswith("#taught?agent=") for trace in curves)
    page = open_page()
    page.locator("#training").scroll_into_view_if_needed()
    wait_until(page, "document.querySelector('#plot-training .main-svg') !== null")
    place = page.evaluate("""() => {
      const plot = document.getElementById("plot-training");
      const { xaxis, yaxis } = plot._fullLayout;
      const curve = plot.data.find((trace) => trace.mode === "lines");
      const { x, y } = plot.getBoundingClientRect();
      const at = 20;
      return [x + xaxis._offset + xaxis.d2p(curve.x[at]), y + yaxis._offset + yaxis.d2p(curve.y[at])];
    }""")
    page.mouse.move(*place)
    page.wait_for_timeout(100)
    page.mouse.click(*place)
    wait_until(page, "location.hash.startsWith('#taught?agent=')")
