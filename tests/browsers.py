"""A real browser to open pages in, from disk, and what is looked at in every page."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

FAULTS = {"moderate", "serious", "critical"}
"""Impacts of what axe finds that no page may have."""
CLIPPED = """() => {
  for (const element of document.querySelectorAll("details")) element.open = true;
  return new Promise((done) => setTimeout(() => {
    const shown = [...document.querySelectorAll(".scroll, .list, .list-head")].filter((e) => e.clientWidth);
    done(shown.filter((e) => e.scrollWidth > e.clientWidth + 1).map((e) => e.getAttribute("aria-label")));
  }, 150));
}"""
"""The regions that have more columns than room for them."""


def chromium_path() -> str | None:
    """Debian's Chromium, or another one that is installed."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A running browser. Not for a whole session: while it runs, its thread has an event loop."""
    playwright = pytest.importorskip("playwright.sync_api")
    path = chromium_path()
    if path is None:
        pytest.skip("chromium is not installed (.ci/run installs it)")
    playwright.expect.set_options(timeout=60_000)  # milliseconds; a busy machine is no fault of the page
    sandbox = [] if os.geteuid() else ["--no-sandbox"]  # Chromium refuses its sandbox to root
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=sandbox)
        yield browser
        browser.close()


Open = Callable[..., Any]


@pytest.fixture
def open_file(chromium: Any) -> Iterator[Open]:
    """Opens a page at an address; afterwards nothing may have been asked for or complained about."""
    pages, complaints, requests = [], [], []
    files: set[str] = set()

    def open_at(file: Path, address: str = "", **options: Any) -> Any:
        page = chromium.new_page(**{"viewport": {"width": 1280, "height": 800}, **options})
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("request", lambda request: requests.append(request.url.partition("#")[0]))
        page.goto(file.as_uri() + address)
        wait_until(page, "packed !== null && trajectories.length > 0")
        files.add(file.as_uri())
        pages.append(page)
        return page

    yield open_at
    for page in pages:
        page.close()
    assert complaints == []
    assert {url for url in requests if not url.startswith("blob:")} <= files, "a report needs no network"


def assert_axe_is_content(page: Any, where: str) -> None:
    """axe finds nothing that is moderate or worse."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page.evaluate("for (const name in figures) draw(name)")
    result = axe.run(page).response
    assert len(result["passes"]) > 10, "the check ran"
    faults = [fault for fault in result["violations"] if fault["impact"] in FAULTS]
    told = [(fault["id"], node["html"][:200]) for fault in faults for node in fault["nodes"]]
    assert not told, (where, told)


def wait_until(page: Any, expression: str, *arguments: Any) -> None:
    """Asks the page until it says yes: its policy forbids what Playwright waits with, text that is evaluated."""
    deadline = time.monotonic() + 60
    while not page.evaluate(expression, *arguments):
        assert time.monotonic() < deadline, expression
        page.wait_for_timeout(50)


def go(page: Any, address: str) -> None:
    """Follows a link within the page."""
    page.evaluate("address => { location.hash = address; }", address)
    page.evaluate("() => new Promise((done) => setTimeout(done, 50))")


def counts(page: Any) -> tuple[int, int]:
    """Cases and trajectories that pass the filters, as the page says."""
    found = re.match(r"([\d,]+) cases?, ([\d,]+) of", page.inner_text("#counts"))
    assert found
    cases, trajectories = (int(group.replace(",", "")) for group in found.groups())
    return cases, trajectories
