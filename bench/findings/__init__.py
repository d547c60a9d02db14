"""The findings on the pages of results: their tables and sentences, from the tracked numbers in ``docs/results``.

``python -m bench findings`` writes each between its marks; the prose around them is written by hand and holds no
interval. Numbers get there by ``kedro results``.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.findings import line, order, persists, pretrained, processors, results, run
from bench.page import between

ROOT = Path(__file__).resolve().parents[2]
Files = Mapping[str, Mapping[str, Any]]
"""Tracked results by the name of their file."""
PAGES: Mapping[str, tuple[Callable[[Files], dict[str, str]], ...]] = {
    "README.md": (run.blocks, persists.first_screen),
    "docs/results.md": (results.blocks,),
    "docs/results-points.md": (results.points,),
    "docs/results-elsewhere.md": (processors.blocks,),
    "docs/order.md": (order.blocks,),
    "docs/line.md": (line.blocks,),
    "docs/persists.md": (persists.blocks,),
    "docs/pretrained.md": (pretrained.blocks,),
    "docs/pretrained-smaller.md": (pretrained.smaller,),
    "docs/pretrained-stages.md": (pretrained.stages,),
    "docs/persists-kinds.md": (persists.kinds,),
}
"""By page, what makes the texts between its marks."""


def read(folder: Path) -> dict[str, Any]:
    """The tracked results by the name of their file, without those that earlier versions wrote."""
    found = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))}
    return {name: results for name, results in found.items() if "numbers" in results}


def renewed(page: str, name: str, files: Files) -> str:
    """The text of a page with all its blocks that there are results for.

    Args:
        page: Its text.
        name: A key of ``PAGES``.
        files: Tracked results by the name of their file.
    """
    for make in PAGES[name]:
        for mark, body in make(files).items():
            page = between(page, mark, body)
    return page


def main(argv: Sequence[str]) -> None:
    """Renew every page."""
    ArgumentParser(prog="python -m bench findings", description=__doc__).parse_args(argv)
    files = read(ROOT / "docs/results")
    for name in PAGES:
        path = ROOT / name
        path.write_text(renewed(path.read_text("utf-8"), name, files), encoding="utf-8")
