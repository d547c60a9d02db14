"""Figures and tables for papers: SVG, PNG, captions, Markdown and LaTeX.

``kedro paper`` reads ``summary.json`` and ``figures/`` of a finished study. Its
figures are drawn by the same plotly that the report holds, in a headless Chromium; nothing is fetched.
"""

from __future__ import annotations

import base64
import html
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from persistence_pipeline.report import tables
from persistence_pipeline.report.captions import captions
from persistence_pipeline.report.discrimination import discrimination_tables
from persistence_pipeline.report.judges import Calibration, judge_captions, judge_figures, judge_tables
from persistence_pipeline.report.kit.page import plotly, render, script_json
from persistence_pipeline.report.kit.tables import Table, latex_table, markdown_table
from persistence_pipeline.report.notice import OUTDATED

WIDTH = 720
PNG_SCALE = 3
"""Pixels of a PNG per point of the figure: about 300 dots an inch at 6 inches."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
TIME_LIMIT = 120


class PaperError(ValueError):
    """Figures or tables for papers cannot be made from what is there."""


def draw_images(figures: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[str, bytes]]:
    """SVG text and PNG bytes of plotly figures.

    Raises:
        PaperError: there is no Chromium, or it did not draw.
    """
    drawn = script_json(figures)
    page = render(__package__, "paper.html.jinja", plotly=plotly(), figures=drawn, width=WIDTH, scale=PNG_SCALE)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "figures.html"
        path.write_text(page, encoding="utf-8")
        dumped = _dump(path, Path(folder) / "profile")
    match = re.search(r'<pre id="out">(.+?)</pre>', dumped, flags=re.DOTALL)
    images: dict[str, Any] = json.loads(html.unescape(match[1])) if match else {"error": "the page stayed empty"}
    if "error" in images:
        raise PaperError(f"the figures were not drawn: {images['error']}")
    return {
        name: (_svg(image["svg"]), base64.b64decode(image["png"].partition(",")[2]))
        for name, image in images.items()
    }


def _dump(page: Path, profile: Path) -> str:
    """The page's markup after its scripts have run."""
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        raise PaperError(f"figures are drawn by a browser, and none of {', '.join(BROWSERS)} is installed")
    command = [browser, "--headless", "--disable-gpu", f"--user-data-dir={profile}", "--virtual-time-budget=60000"]
    if hasattr(os, "geteuid") and not os.geteuid():
        command.append("--no-sandbox")  # Chromium refuses its sandbox to root; the page is our own
    done = subprocess.run(  # noqa: S603
        [*command, "--dump-dom", page.as_uri()], capture_output=True, timeout=TIME_LIMIT, check=False
    )
    if done.returncode:
        raise PaperError(f"{browser} ended with {done.returncode}: {done.stderr.decode(errors='replace')[-300:]}")
    return done.stdout.decode("utf-8")


def _svg(url: str) -> str:
    kind, _, payload = url.partition(",")
    return base64.b64decode(payload).decode("utf-8") if kind.endswith("base64") else unquote(payload)


def write_paper(reporting: Path, target: Path) -> list[Path]:
    """Write every figure and table of a finished study.

    Args:
        reporting: The study's ``08_reporting`` folder.
        target: Where the files go.

    Raises:
        PaperError: the study is not there, or not up to date, or there is no browser.
    """
    if not (reporting / "summary.json").is_file():
        raise PaperError(f"{reporting / 'summary.json'}: no such file; run the study first (kedro run)")
    notice = reporting / OUTDATED
    if notice.is_file():
        raise PaperError(f"{notice}: {notice.read_text('utf-8').strip()}")
    summary = json.loads((reporting / "summary.json").read_text("utf-8"))
    target.mkdir(parents=True, exist_ok=True)
    calibration = _calibration(reporting)
    listed = _tables(summary, calibration)
    markdown = (f"## {title}\n\n{markdown_table(table)}" for title, table in listed.items())
    latex = (latex_table(table, title) for title, table in listed.items())
    texts = {**captions(summary), **judge_captions(calibration)}
    files = {
        "captions.md": "\n".join(f"## {name}\n\n{text}\n" for name, text in texts.items()),
        "tables.md": "\n".join([*markdown, f"{tables.fit_text(summary)}.\n"]),
        "tables.tex": "% Needs the package booktabs.\n" + "\n".join(latex),
    }
    for name, text in files.items():
        (target / name).write_text(text, encoding="utf-8")
    figures = {
        path.stem: json.loads(path.read_text("utf-8")) for path in sorted((reporting / "figures").glob("*.json"))
    }
    figures |= {name: json.loads(figure.to_json()) for name, figure in judge_figures(calibration).items()}
    written = [target / name for name in files]
    for name, (svg, png) in draw_images(figures).items():
        (target / f"{name}.svg").write_text(svg, encoding="utf-8")
        (target / f"{name}.png").write_bytes(png)
        written += [target / f"{name}.svg", target / f"{name}.png"]
    return written


def _calibration(reporting: Path) -> Calibration:
    """Judges against state graders, where judges were asked."""
    path = reporting / "judging" / "calibration.json"
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


def _tables(summary: Mapping[str, Any], calibration: Calibration) -> dict[str, Table]:
    """By title."""
    judged = judge_tables(calibration) if calibration else {}
    titles = {"care": "Discrimination", "care_survives": "Persistence of discrimination"}
    return {
        "Scores of every cell": tables.cell_table(summary),
        "Points of the frontier": tables.point_table(summary),
        "Persistence": tables.persistence_table(summary),
        **{titles[name]: table for name, table in discrimination_tables(summary).items()},
        **{f"Judges: {name}": table for name, table in judged.items()},
    }
