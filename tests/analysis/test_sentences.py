"""Sentences of the report stand where they are true, and not where they just stop being true."""

from __future__ import annotations

import json

import pytest
from bench.page import between
from bench.sentences import LEAST, MARK, MOST, PAGE, RESULTS, SENTENCES, table, tried

STUDIES = 60
ERROR = 0.05
"""Nearly two standard errors of a share of 95% in so many studies."""


@pytest.mark.parametrize("name", ["safety persists", "no effect of the order in safety", "near one line"])
def test_a_sentence_stands_where_it_is_true_and_only_there(name: str) -> None:
    found = tried(name, STUDIES)
    assert found["true"] >= LEAST - ERROR and found["false"] <= MOST + ERROR, found


def test_every_sentence_was_tried_and_reached_its_level() -> None:
    rows, page = json.loads(RESULTS.read_text("utf-8")), PAGE.read_text("utf-8")
    assert list(rows) == list(SENTENCES) and between(page, MARK, table(rows)) == page
    for name, row in rows.items():
        error = 2 * (0.05 * 0.95 / row["studies"]) ** 0.5
        assert row["true"] >= LEAST - error and row["false"] <= MOST + error, name
