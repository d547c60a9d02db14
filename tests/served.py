"""A real ``transformers serve`` on loopback, one for all tests that speak to it."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import pytest
from bench.server import transformers_server

NEEDED = ("openai", "fastapi", "uvicorn")


@pytest.fixture(scope="session")
def transformers_serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address; it loads whatever model directory a request names."""
    for module in NEEDED:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"transformers serve needs {module}")
    with transformers_server(tmp_path_factory.mktemp("served") / "log") as (address, _):
        yield address
