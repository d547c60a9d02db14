"""Draws the figures of docs/published-study.md from the summary of a run of the published pipeline.

python docs/images/published_study.py [data/08_reporting/published/summary.json]
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from persistence_pipeline.published.audits import KINDS
from persistence_pipeline.published.figures import KIND_COLOURS
from persistence_pipeline.report.style import COLOURS, INK, label

HERE = Path(__file__).parent
SUMMARY = HERE.parents[1] / "data" / "08_reporting" / "published" / "summary.json"
WIDTH, LEFT, RIGHT, ROW = 760, 190, 20, 30
TEXT = f'font-family="system-ui, sans-serif" font-size="13" fill="{INK}"'


def text(x: float, y: float, words: str, anchor: str = "start") -> str:
    """A line of text."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {TEXT}>{escape(words)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, colour: str = INK, width: float = 1, dash: str = "") -> str:
    """A straight line."""
    style = f'stroke="{colour}" stroke-width="{width}"' + (f' stroke-dasharray="{dash}"' if dash else "")
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" {style}/>'


def write(name: str, height: float, title: str, parts: list[str]) -> None:
    """An SVG file without a background, legible on light and on dark paper."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img">'
    body = "\n".join([head, f"<title>{escape(title)}</title>", *parts, "</svg>"])
    (HERE / name).write_text(body + "\n", encoding="utf-8")


def kinds(rows: list[dict[str, Any]], name: str) -> Iterator[str]:
    """A stacked bar for the pool and for every ordering of a set."""
    x = 90
    for kind in KINDS:
        yield f'<rect x="{x}" y="6" width="12" height="12" fill="{KIND_COLOURS[kind]}"/>'
        yield text(x + 17, 17, kind)
        x += 40 + 7 * len(kind)
    names = {("pool", "source"): "pool of sources"} | {(name, o): label(o) for o in COLOURS}
    scale = WIDTH - LEFT - RIGHT
    for index, (key, words) in enumerate(names.items()):
        y, x = 34 + ROW * index, float(LEFT)
        yield text(LEFT - 10, y + 15, words, "end")
        for row in [r for kind in KINDS for r in rows if (r["set"], r["ordering"], r["kind"]) == (*key, kind)]:
            wide = scale * row["share"]
            yield f'<rect x="{x:.1f}" y="{y}" width="{wide:.1f}" height="20" fill="{KIND_COLOURS[row["kind"]]}"/>'
            x += wide
    y = 34 + ROW * len(names)
    for percent in range(0, 101, 20):
        yield text(LEFT + scale * percent / 100, y + 16, f"{percent}%", "middle")


def memory(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Measured persistence (filled) and what addition would leave (hollow), with intervals."""
    low, high = -0.2, 1.4
    scale = (WIDTH - LEFT - RIGHT) / (high - low)

    def at(value: float) -> float:
        return LEFT + scale * (value - low)

    averages = sorted((row for row in rows if row["of"] == "average"), key=lambda row: -float(row["beta"]))
    named = [(row, metric) for row in averages for metric in ("safety", "helpfulness")]
    bottom = 34 + 1.4 * ROW * len(named)
    yield f'<circle cx="{LEFT + 6}" cy="12" r="5" fill="{COLOURS["safety"]}"/>' + text(LEFT + 17, 17, "measured")
    yield f'<circle cx="{LEFT + 116}" cy="12" r="4.5" fill="none" stroke="{INK}" stroke-width="1.5"/>'
    yield text(LEFT + 127, 17, "if each stage merely added what it does to the source")
    for value in (0, 0.5, 1):
        yield line(at(value), 28, at(value), bottom, dash="2 4")
        yield text(at(value), bottom + 16, f"{value:g}", "middle")
    for index, (row, metric) in enumerate(named):
        y = 34 + 1.4 * ROW * (index + 0.4)
        yield text(LEFT - 10, y + 9, f"{metric}, beta {row['beta']}", "end")
        for key, colour, shift in (("persistence", COLOURS["safety"], 0), ("added", INK, 11)):
            ratio = row[metric][key]
            yield line(at(ratio["low"]), y + shift, at(ratio["high"]), y + shift, colour, 1.5)
            fill = colour if key == "persistence" else "none"
            circle = f'<circle cx="{at(ratio["estimate"]):.1f}" cy="{y + shift:.1f}" r="4.5"'
            yield f'{circle} fill="{fill}" stroke="{colour}" stroke-width="1.5"/>'


def main() -> None:
    """Draw both figures."""
    audits = json.loads(Path(sys.argv[1] if len(sys.argv) > 1 else SUMMARY).read_text("utf-8"))["audits"]
    title = "What trajectories are made of, by what the agent was trained for"
    write("published-kinds.svg", 34 + ROW * 7 + 24, title, list(kinds(audits["kinds"], "match")))
    title = "Persistence as measured, and as mere addition of the stages would leave it"
    rows = audits["rivals"]["match"]
    height = 34 + 1.4 * ROW * 2 * sum(row["of"] == "average" for row in rows) + 24
    write("published-memory.svg", height, title, list(memory(rows)))


if __name__ == "__main__":
    main()
