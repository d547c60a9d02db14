"""Which sides of pairs a stage cut, and which pairs and cases a page has no room for: as links and by name."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from tests.browsers import Open, wait_until
from tests.report.conftest import Study

from persistence_pipeline.agents.tokenizer import tokenizer_identity, train_tokenizer
from persistence_pipeline.records import Message, PreferencePair, Sampled
from persistence_pipeline.report.browser import ReportSettings
from persistence_pipeline.report.cut import CutSides, Stage, count_tokens, find_cut, stages_that_cut
from persistence_pipeline.report.page import render_report
from persistence_pipeline.report.taught import taught_data
from persistence_pipeline.training.encoding import encode_pairs
from tiny import WORDS, make_pairs

S, KEY = "llama_b0p1_s0_safety", "llama_s0__safety"


def _sampled(pair: PreferencePair, tokenizer: str) -> PreferencePair:
    """The pair with tokens of its turns: some have an end of their own, to others the engine appends it."""
    turns = [
        message.model_copy(update={"sampled": Sampled(ids=(9, 9, 9) if at % 4 else (9, 5), tokenizer=tokenizer)})
        if message.role == "assistant"
        else message
        for at, message in enumerate(pair.chosen)
    ]
    return pair.model_copy(update={"chosen": tuple(turns)})


@pytest.mark.parametrize("sampled", [False, True])
def test_as_many_are_found_as_the_stage_counted_itself(sampled: bool) -> None:
    """Whatever the vocabulary of the agent is."""
    tokenizer = train_tokenizer([" ".join(WORDS)])
    pairs = make_pairs(30)
    if sampled:
        pairs = [_sampled(pair, tokenizer_identity(tokenizer)) for pair in pairs]
    tokens = count_tokens(pairs)
    found = []
    for length in range(10, 48, 4):
        _, n_cut = encode_pairs(pairs, tokenizer, length, rendered_turns=True)
        assert n_cut == sum(count > length for count in tokens.values()), length
        found.append(n_cut)
    assert found[0] > found[-1] == 0


def test_where_the_stage_counted_otherwise_nothing_is_said() -> None:
    pairs = {KEY: make_pairs(30)}
    longest = max(count_tokens(pairs[KEY]).values())
    n_longest = sum(count == longest for count in count_tokens(pairs[KEY]).values())
    right, wrong = (Stage(S, KEY, longest - 1, n) for n in (n_longest, n_longest + 1))
    assert find_cut(pairs, [right]).limits == {S: longest - 1}
    assert find_cut(pairs, [wrong]) == CutSides() == find_cut(pairs, [])


@pytest.mark.parametrize(
    ("factors", "expected"),
    [({}, 64), ({"max_length": 32}, 32), ({"safety.max_length": 16}, 16), ({"helpfulness.max_length": 16}, 64)],
)
def test_a_factor_of_the_study_sets_the_length(factors: dict[str, int], expected: int) -> None:
    source = {"source": "llama", "seed": 0}
    policies = {"llama_s0": source, S: {**source, "ordering": "safety", "parent": "llama_s0", "factors": factors}}
    parameters = {"policies": policies, "training": {"safety": {"max_length": 64}}}
    stages = [{"cell": S, "n_truncated": 3}]
    summary = {"run": {"parameters": parameters}, "audits": {"training": stages}}
    assert [(stage.pairs, stage.max_length, stage.n_cut) for stage in stages_that_cut(summary)] == [
        (KEY, expected, 3)
    ]


def _pairs() -> list[PreferencePair]:
    """One pair a case; the chosen side of the n-th is n words long."""
    prompt, done = (Message(role="user", content="do it"),), (Message(role="assistant", content="done"),)
    return [
        PreferencePair(
            pair_id=f"pair {n}", case_id=f"case {n}", objective="safety", chosen_id=f"a{n}", rejected_id=f"b{n}",
            prompt=prompt, chosen=(Message(role="assistant", content="so " * n),), rejected=done,
        )
        for n in range(1, 61)
    ]  # fmt: skip


def _page(study: Study, target: Path, settings: ReportSettings) -> tuple[Path, CutSides]:
    """The study's page, whose agent of safety was taught with pairs of which ten were cut."""
    pairs = {KEY: _pairs()}
    longest = sorted(count_tokens(pairs[KEY]).values(), reverse=True)
    cut = find_cut(pairs, [Stage(S, KEY, longest[10], 10)])
    summary = copy.deepcopy(study.summary)
    for report in summary["audits"]["training"]:
        report["n_truncated"] = 10 if report["cell"] in (S, "llama_b0p1_s0_both") else 0
    browser = {**study.browser, "left": ["case one", "case two"]}
    taught = taught_data(pairs, {}, settings, cut=cut)
    path = target / "cut.html"
    path.write_text(render_report(summary, study.scores, study.figures, browser, taught), "utf-8")
    return path, cut


def test_what_a_stage_cut_is_a_list_that_its_count_leads_to(
    open_page: Open, scripted_study: Study, tmp_path: Path
) -> None:
    file, cut = _page(scripted_study, tmp_path, ReportSettings())
    page = open_page("#training", file=file)
    row = page.locator("table:has(caption:text('Stages')) tbody tr").filter(has_text=S).first
    row.locator("td a:text-is('10')").last.click()
    wait_until(page, "lessons.rows.length === 10")
    page.locator("#pair-3").click()
    head = page.locator("#taught-pair thead th").first.inner_text()
    assert f"cut at {cut.limits[S]} of its " in head and "scored" not in page.locator("th").nth(1).inner_text()[:6]
    assert "what follows was not scored, though it is marked here" in head
    assert page.locator("#taught-list .row").count() == 10, "the choice of a pair keeps the filter"
    page.click("text=show all pairs")
    wait_until(page, "lessons.rows.length === 60")
    page.click("text=See their pairs")
    wait_until(page, "lessons.rows.length === 10")
    assert not page.locator("#taught-left details").count()


def test_a_later_stage_of_an_agent_has_what_the_earlier_one_cut(
    open_page: Open, scripted_study: Study, tmp_path: Path
) -> None:
    file, _ = _page(scripted_study, tmp_path, ReportSettings())
    page = open_page(f"#taught?agent={S}_then_helpfulness", file=file)
    wait_until(page, "limits !== undefined && reading !== null")
    page.locator("#taught-choice select[name=stage]").select_option("0")
    wait_until(page, "document.getElementById('taught-counts').textContent.includes('10 trajectories')")


def test_what_the_page_has_no_room_for_is_named(open_page: Open, scripted_study: Study, tmp_path: Path) -> None:
    file, _ = _page(scripted_study, tmp_path, ReportSettings(pair_megabytes=0.003))
    page = open_page(f"#taught?agent={S}", file=file)
    wait_until(page, "lessons.rows.length > 0")
    held = page.evaluate("lessons.rows.length")
    page.click("#taught-left summary")
    names = page.locator("#taught-left .names").inner_text().split("\n")
    assert len(names) == 60 - held and all(name.startswith("pair ") for name in names)
    page.click("text=See their pairs")
    wait_until(page, "location.hash.includes('cut=1')")
    page.click("#taught-left summary")
    left = page.locator("#taught-left .names").inner_text().split("\n")
    wanted = {f"pair {n}" for n in range(51, 61)} & set(names)
    assert set(left) == wanted and 0 < len(left) == 10 - page.evaluate("lessons.rows.length")
    page.click("header.bar a[data-view=trajectories]")
    page.click("#cases-left summary")
    assert page.locator("#cases-left .names").inner_text() == "case one\ncase two"
