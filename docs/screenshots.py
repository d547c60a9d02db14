"""Takes the documentation's pictures of report, browser and kedro-viz: ``make screenshots``, after ``kedro run``.

The README's frontier is drawn as for a paper.

Pictures are of the last default study, 1,280 points wide.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from persistence_pipeline.report.notice import OUTDATED

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
REPORT = ROOT / "data/08_reporting/report.html"
CASE = "s0.test_combination.files.insistence.0002.hazard"
TWIN = "s2.test_combination.home.look.0004.hazard"
"""One agent tells it from its twin, the other does not."""
PAIR = "llama_b0p1_s2_helpfulness,llama_b0p1_s2_safety_then_helpfulness"
VIEWS = {
    "report-light": ("", "light", 800),
    "report-dark": ("", "dark", 800),
    "browser": (f"#trajectories?split=test_combination&kind=insistence&sort=safety&case={CASE}", "light", 1250),
    "twins": (f"#trajectories?cells={PAIR}&beside=twin&case={TWIN}&sample=0", "light", 1250),
    "taught": ("#taught?agent=llama_b0p1_s0_safety&kind=look&pair=3", "light", 1000),
    "pairs": ("#pairs?first=llama_b0p1_s0_safety_then_helpfulness&second=llama_b0p1_s0_safety", "light", 800),
}
VIZ = {
    "viz-overview": ("quick", "?types=nodes"),
    "viz-figure": ("base", "?types=nodes&sn=study.figure_frontier"),
}
"""By picture the environment, one chain where all boxes have to be read, and the address."""
VIZ_STATE = {
    "theme": "light",
    "showFeatureHints": False,
    "visible": {"sidebar": False, "miniMap": False, "graph": True},
}
"""What kedro-viz remembers of a visitor: without hints and side panels the graph has the room."""


def _take_report(browser: Any) -> None:
    for name, (address, scheme, height) in VIEWS.items():
        page = browser.new_page(viewport={"width": 1280, "height": height}, color_scheme=scheme)
        page.goto(REPORT.as_uri() + address)
        if not address:
            page.wait_for_selector("#plot-frontier .main-svg")
        page.wait_for_timeout(500)
        page.screenshot(path=IMAGES / f"{name}.png")
        page.close()


def _draw_frontier() -> None:
    from persistence_pipeline.report.paper import draw_images

    figure = json.loads((REPORT.parent / "figures/frontier.json").read_text("utf-8"))
    (IMAGES / "frontier.png").write_bytes(draw_images({"frontier": figure})["frontier"][1])


def _take_viz(browser: Any) -> None:
    for name, (env, query) in VIZ.items():
        with tempfile.TemporaryDirectory() as folder:
            handler = partial(_Quiet, directory=str(_build_viz(Path(folder), env)))
            server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            page = browser.new_page(viewport={"width": 1400, "height": 720})
            page.add_init_script(f"localStorage.setItem('KedroViz', '{json.dumps(VIZ_STATE)}')")
            page.goto(f"http://127.0.0.1:{server.server_port}/{query}")
            page.wait_for_selector(".pipeline-node")
            page.wait_for_timeout(2500)
            page.screenshot(path=IMAGES / f"{name}.png")
            page.close()
            server.shutdown()


def _build_viz(folder: Path, env: str) -> Path:
    """A static build of kedro-viz, in a folder that shares all but the build with the project."""
    for name in ("conf", "data", "pyproject.toml", ".telemetry"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "src").mkdir()  # the package itself is installed
    command = [sys.executable, "-m", "kedro", "viz", "build", "--include-previews"]
    known = {**os.environ, "KEDRO_ENV": env}
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, env=known)  # noqa: S603
    return folder / "build"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Requests are of no interest."""


def main() -> None:
    """Take every picture."""
    from playwright.sync_api import sync_playwright

    if not REPORT.is_file():
        raise SystemExit(f"error: {REPORT}: no such file; run the default study first (kedro run)")
    if (REPORT.parent / OUTDATED).is_file():
        raise SystemExit(
            f"error: {REPORT.parent / OUTDATED}: {(REPORT.parent / OUTDATED).read_text('utf-8').strip()}"
        )
    IMAGES.mkdir(exist_ok=True)
    sandbox = [] if os.geteuid() else ["--no-sandbox"]
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=sandbox)
        _take_report(browser)
        _take_viz(browser)
        browser.close()
    _draw_frontier()
    sys.stdout.write("".join(f"{IMAGES / name}.png\n" for name in (*VIEWS, *VIZ, "frontier")))


if __name__ == "__main__":
    main()
