"""The page on architecture lists the keys of ``summary.json`` as they are."""

from __future__ import annotations

import re
from typing import Any

from tests.report.conftest import ROOT, Study

SHORT = ("audits", "run")
"""Of these the page lists the keys of the first level alone."""
SHAPES = re.compile("Interval|Tested|Ratio|Bounds")
"""Shapes that the page shows once."""
OFTEN_EMPTY = ("plain_text", "averages", "missing", "registered", "pool", "pull")
"""Of these a study of one source, trained here, in one setting, without missing scores, has nothing or not all."""


def _keys(value: Any, depth: int = 9) -> set[str]:
    """Keys of a document and of all that is in it, splits left out, which are named in the settings."""
    if isinstance(value, list):
        return set().union(*(_keys(item, depth) for item in value))
    if not isinstance(value, dict) or not depth:
        return set()
    return {key for key in value if not key.startswith("test_")}.union(
        *(_keys(item, depth - 1) for item in value.values())
    )


def test_the_page_lists_the_keys_of_the_summary(scripted_study: Study) -> None:
    page = (ROOT / "docs/architecture.md").read_text("utf-8")
    listed = re.sub(r"  (#.*|\(.*)$|<split>", "", page.split("**summary.json**")[1].split("```")[1], flags=re.M)
    block, _, shapes = listed.partition("Interval =")
    parts = dict(re.findall(r"^(\w+): +(.*?)(?=^\w+: |\Z)", block, flags=re.M | re.S))
    assert parts.keys() == scripted_study.summary.keys()
    for part, keys in parts.items():
        found = {part} | _keys(scripted_study.summary[part], 1 if part in SHORT else 9)
        named = set(re.findall(r"\b[a-z]\w+|\bn\b|\bp\b", f"{keys} {shapes if SHAPES.search(keys) else ''}"))
        assert found - {part} <= named, part
        own = set(re.findall(r"\b[a-z]\w+", keys)) - set(re.findall(r"\b[a-z]\w+", shapes))
        assert part in OFTEN_EMPTY or own - found <= {"or", "with", "undefined", "by"}, part
