"""Findings on the pages are those of the tracked numbers, and no other interval stands on these pages."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from bench.findings import PAGES, persists, pretrained, read, renewed
from bench.findings._words import PRETRAINED, once

ROOT = Path(__file__).parents[2]
FILES = read(ROOT / "docs/results")
BLOCK = re.compile(r"<!-- ([\w-]+) -->\n(.*?)<!-- /\1 -->", re.DOTALL)
INTERVAL = re.compile(r"\[[+−]?\d+(?:\.\d+)?, [+−]?\d+(?:\.\d+)?\]")


@pytest.mark.parametrize("name", PAGES)
def test_what_stands_between_the_marks_is_what_the_tracked_numbers_give(name: str) -> None:
    page = (ROOT / name).read_text("utf-8")
    assert BLOCK.search(page)
    assert renewed(page, name, FILES) == page, "python -m bench findings"


@pytest.mark.parametrize("name", PAGES)
def test_no_interval_is_written_by_hand(name: str) -> None:
    page = BLOCK.sub("", (ROOT / name).read_text("utf-8"))
    assert not INTERVAL.findall(page)


def test_every_block_of_a_page_is_made_and_every_block_made_has_its_place() -> None:
    if not FILES:
        pytest.skip("no results of this version are tracked yet")
    for name, makers in PAGES.items():
        made = {mark for make in makers for mark in make(FILES)}
        assert made == {mark for mark, _ in BLOCK.findall((ROOT / name).read_text("utf-8"))}


def test_numbers_of_one_chain_say_so_and_agents_that_a_setting_does_not_touch_stand_once() -> None:
    base = FILES["base"]
    one = json.loads(json.dumps(base).replace("over cases and training", "over cases: this run only"))
    one["run"]["seeds"] = [0]
    files = {"base": base, PRETRAINED: one}
    made = persists.blocks(files) | persists.kinds(files)
    assert "one chain (intervals over cases: this run only)" in made["persists-runs"]
    for mark in ("persists-levels", "persists-safety", "persists-kinds"):
        assert made[mark].count("llama (this run only)") == made[mark].count("| llama |") > 0
    rows = [["a, rate 1", "S", "0.10"], ["a, rate 1", "H", "0.20"], ["a, rate 2", "S", "0.10"], ["b", "S", "0.10"]]
    assert once(rows) == [rows[0], rows[1], rows[3]]


def test_stages_that_are_read_after_each_other_are_held_against_their_sum() -> None:
    cells = {"safety": "S", "helpfulness": "H", "helpfulness>safety": "HS", "safety>helpfulness": "SH"}
    reports = {"S": (1.0, 3.0), "H": (2.0, 6.0), "HS": (0.0, 1.5), "SH": (1.0, 4.0)}
    study = {
        "numbers": {"stages": [{"cell": c, "before": b, "after": a} for c, (b, a) in reports.items()]},
        "cells": [{"ordering": o, "seed": 0, "cell": c} for o, c in cells.items()],
        "run": {"seeds": [0]},
    }
    read = {"numbers": {"margins": [{"cell": "SH", "objective": "safety", "margin": 2.0}]}}
    made = pretrained.stages({"smollm2_large": study, "smollm2_large-margins": read})["pretrained-stages"]
    *_, safety, helpfulness = made.splitlines()
    assert safety == "| safety | +2.00 | −1.00 | +1.00 | +0.50 | +1.00 | – | 0.67 |"
    assert helpfulness == "| helpfulness | +4.00 | −1.00 | +3.00 | +2.00 | – | – | – |"
