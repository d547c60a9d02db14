"""The page on architecture: its rooms are the layers of import-linter, and what its pictures name is there."""

from __future__ import annotations

import pkgutil
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/architecture.md").read_text("utf-8")
PACKAGE = ROOT / "src/persistence_pipeline"
ROOMS = sorted(path.stem for path in PACKAGE.iterdir() if path.suffix in ("", ".py") and path.stem[0] != "_")


def test_the_table_of_rooms_is_the_list_of_layers() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = [set(layer.split(" | ")) for layer in contracts[0]["layers"]]
    table = re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE)
    rooms = [{name.removesuffix(".py").rstrip("/") for name in re.findall(r"`([^`]+)`", row)} for row in table]
    assert rooms == layers
    assert contracts[0]["exhaustive"], "a module in no layer is an error"


def _picture(heading: str) -> str:
    return PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("heading", ["Where a case becomes a score", "Where a cell becomes a stage"])
def test_whatever_a_picture_names_is_there(heading: str) -> None:
    named = set(re.findall(rf"\b(?:{'|'.join(ROOMS)})(?:\.\w+)+", _picture(heading)))
    named -= {name for name in named if name.endswith((".yaml", ".yml"))}
    assert len(named) > 8
    for name in sorted(named):
        assert pkgutil.resolve_name(f"persistence_pipeline.{name}"), name
