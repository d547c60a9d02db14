"""Counts the inputs that properties were tried on, and says so at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

_tried: Counter[str] = Counter()


@pytest.fixture
def tried(request: pytest.FixtureRequest) -> Callable[[], None]:
    """Counts one input of this test."""

    def count() -> None:
        _tried[request.node.name.partition("[")[0]] += 1

    return count


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Side by side (`pytest -n 2`), each process hands over what it counted."""
    _tried.update(getattr(node, "workeroutput", {}).get("tried", {}))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand over to the process that prints the summary, where this is another."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["tried"] = dict(_tried)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many inputs each property was tried on."""
    if _tried:
        terminalreporter.write_line(f"inputs tried: {sum(_tried.values()):,}")
        for name, number in sorted(_tried.items()):
            terminalreporter.write_line(f"  {number:>9,} {name}")
