"""Pages as a reader meets them: short, concepts with a picture, commands that are there with their options."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from persistence_pipeline.cli import cli

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path.name for path in DOCS.glob("*.md"))
CONCEPTS = (
    "concepts",
    "order",
    "line",
    "tool-world",
    "architecture",
    "intervals",
    "reading-the-report",
    "trajectories",
)
LONGEST = 1_200
"""Words of prose: without tables, code and what a command writes between its marks."""
MADE = re.compile(r"<!-- ([\w-]+) -->.*?<!-- /\1 -->|```.*?```|^ *\|.*?$", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"\bkedro ([a-z]+)((?: +--?[a-z][\w-]*(?:[= ][^\s`#]+)?)*)")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_can_be_read_at_one_sitting(name: str) -> None:
    assert len(MADE.sub("", (DOCS / name).read_text("utf-8")).split()) <= LONGEST


def test_every_concept_has_a_picture() -> None:
    for name in CONCEPTS:
        assert re.search(r"\{image\}|!\[", (DOCS / f"{name}.md").read_text("utf-8")), name


def test_commands_are_there_with_their_options() -> None:
    """Those of the project; ``kedro viz`` is a plugin's."""
    seen = 0
    for page in [*(DOCS / name for name in PAGES), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]:
        for name, options in COMMAND.findall(page.read_text("utf-8")):
            command = cli.commands.get(name)
            if command is None:
                continue
            known = {flag for parameter in command.params for flag in parameter.opts}
            asked = set(re.findall(r"(?<!\S)--[a-z][\w-]*", options))
            assert asked <= known, f"{page.name}: kedro {name} {asked - known}"
            seen += len(asked)
    assert seen > 60


def test_targets_of_make_are_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for page in [*(DOCS / name for name in PAGES), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]:
        asked = re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text("utf-8"), re.MULTILINE)
        assert set(asked) <= targets, f"{page.name}: {set(asked) - targets}"
