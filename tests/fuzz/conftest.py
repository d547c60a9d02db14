"""Counts the inputs that properties were tried on, and says so at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

_tried: Counter[str] = Counter()


@pytest.fixture
def tried(request: pytest.FixtureRequest) -> Callable[[], None]:
    """Counts one input of this test."""

    def count() -> None:
        _tried[request.node.name.partition("[")[0]] += 1

    return count


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many inputs each property was tried on."""
    if _tried:
        terminalreporter.write_line(f"inputs tried: {sum(_tried.values()):,}")
        for name, number in sorted(_tried.items()):
            terminalreporter.write_line(f"  {number:>9,} {name}")
