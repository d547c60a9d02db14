"""Figures and tables for papers: drawn by a real browser, readable by what papers are made with."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from tests.browsers import chromium_path
from tests.report.conftest import Study

from persistence_pipeline.report.paper import PNG_SCALE, WIDTH, PaperError, write_paper


@pytest.fixture(scope="module")
def reporting(scripted_study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study") / "08_reporting"
    (folder / "figures").mkdir(parents=True)
    (folder / "summary.json").write_text(json.dumps(scripted_study.summary))
    for name in ("frontier", "training"):
        (folder / f"figures/{name}.json").write_text(scripted_study.figures[name].to_json())
    return folder


NEEDS_CHROMIUM = pytest.mark.skipif(
    chromium_path() is None, reason="chromium is not installed (.ci/run installs it)"
)


@NEEDS_CHROMIUM
def test_figures_captions_and_tables(reporting: Path) -> None:
    paper = reporting / "paper"
    written = write_paper(reporting, paper)
    assert len(written) == 7 and set(written) == set(paper.iterdir())
    for name in ("frontier", "training"):
        svg = ElementTree.parse(paper / f"{name}.svg").getroot()
        assert svg.attrib["width"] == str(WIDTH)
        texts = {element.text for element in svg.iter() if element.text}
        assert {"Δ safety, points of 3", "log p − reference's"} & texts
        png = (paper / f"{name}.png").read_bytes()
        assert png.startswith(b"\x89PNG") and struct.unpack(">I", png[16:20])[0] == WIDTH * PNG_SCALE
    captions = (paper / "captions.md").read_text()
    assert "## frontier" in captions and "R² = " in captions and "held-out combinations" in captions
    latex = (paper / "tables.tex").read_text()
    assert latex.count(r"\begin{tabular}") == latex.count(r"\bottomrule") == 5
    assert latex.count(r"\caption{") == latex.count(r"\label{tab:") == 5
    assert r"\%" in latex and "Δ" not in latex and "−" not in latex
    assert "| safety > helpfulness | llama | 0.1 | 0 |" in (paper / "tables.md").read_text()


@NEEDS_CHROMIUM
def test_judges_are_drawn_and_listed_where_they_were_asked(
    reporting: Path, calibration: dict[str, Any], tmp_path: Path
) -> None:
    shutil.copytree(reporting, tmp_path / "reporting", ignore=shutil.ignore_patterns("figures", "paper"))
    (tmp_path / "reporting/judging").mkdir()
    (tmp_path / "reporting/judging/calibration.json").write_text(json.dumps(calibration))
    written = {path.name for path in write_paper(tmp_path / "reporting", tmp_path / "paper")}
    assert {f"judges_{name}.svg" for name in ("confusion", "bias", "frontier")} < written
    assert "## judges_frontier" in (tmp_path / "paper/captions.md").read_text()
    assert "| lenient | safety | 1727 |" in (tmp_path / "paper/tables.md").read_text()


def test_without_a_browser_the_message_says_so(
    reporting: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PaperError, match="none of chromium"):
        write_paper(reporting, tmp_path / "paper")


def test_without_a_study_the_message_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(PaperError, match=r"summary.json: no such file; run the study first \(kedro run\)"):
        write_paper(tmp_path, tmp_path / "paper")
