"""The documentation builds without a warning, and what it builds asks for nothing outside itself."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.projects import HANGS

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("quickstart", "concepts", "tool-world", "bring-your-own", "remote-gpu", "reading-the-report", "limits")
LOADED = re.compile(r"""<(?:script|img|link|iframe|source)\b[^>]*?\b(?:src|href)=["'](?:https?:)?//[^"']+""")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("sphinx")
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "-q", "-b", "html", "docs"]
    done = subprocess.run([*command, str(target)], cwd=ROOT, capture_output=True, text=True, timeout=HANGS)
    assert done.returncode == 0, done.stderr[-4000:]
    return target


def test_every_page_is_there(site: Path) -> None:
    for page in PAGES:
        assert (site / f"{page}.html").is_file(), page
    index = (site / "index.html").read_text()
    written = {path.stem for path in (ROOT / "docs").glob("*.md")} - {"README", "index"}
    assert all(f'href="{page}.html"' in index for page in written), "every page is in the contents"
    api = (site / "api/analysis.html").read_text()
    assert "persistence_pipeline.analysis.paired.paired_comparison" in api and "Wilcoxon" in api


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        assert not LOADED.search(page.read_text()), page
    styles = "".join(path.read_text() for path in site.rglob("*.css"))
    assert "@import url(http" not in styles and "url(http" not in styles.replace("url(http://www.w3.org", "")


def test_links_between_files_lead_somewhere() -> None:
    for page in [*(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]:
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
