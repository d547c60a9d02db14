"""Figures stand in one place: speeds on the page on performance, whose tables are those of its measurements."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from bench.page import renew

DOCS = Path(__file__).parents[2] / "docs"
SPEED_UP = re.compile(r"\d(?:\.\d+)?× (?:as|faster)|\d(?:\.\d+)? times (?:as fast|faster|the speed)")


def test_the_tables_on_performance_are_those_of_the_measurements(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    shutil.copy(DOCS / "performance.md", page)
    renew(page, json.loads((DOCS / "performance.json").read_text("utf-8")))
    assert page.read_text("utf-8") == (DOCS / "performance.md").read_text("utf-8")


def test_no_other_page_quotes_a_speed_up() -> None:
    pages = [path for path in [DOCS.parent / "README.md", *DOCS.glob("*.md")] if path.name != "performance.md"]
    assert len(pages) > 20
    quoted = {path.name: SPEED_UP.findall(path.read_text("utf-8")) for path in pages}
    assert not {name: found for name, found in quoted.items() if found}
