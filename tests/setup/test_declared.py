"""What the code imports is what pyproject.toml declares, and constraints.txt has a version of it."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
OWN = {"persistence_pipeline", "tests", "bench", "bundle"}
USED_BY_OTHERS = {"pyarrow", "gguf"}
"""Declared because a library needs it for what is asked of it here."""


def _imports(*folders: str) -> set[str]:
    """Top-level names that the modules below these folders import, the standard library and our own left out."""
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    names = {name.split(".")[0] for path in paths for name in _imported(path)}
    return names - set(sys.stdlib_module_names) - OWN


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield str(node.module)


def _distributions(names: set[str]) -> set[str]:
    installed = packages_distributions()
    return {canonicalize_name(installed.get(name, [name.replace("_", "-")])[0]) for name in names}


def _declared(*extras: str) -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lists = [project["dependencies"], *(project["optional-dependencies"][extra] for extra in extras)]
    return {canonicalize_name(Requirement(line).name) for entries in lists for line in entries} - {project["name"]}


def test_what_the_package_imports_is_declared() -> None:
    assert _distributions(_imports("src")) - _declared() == {"dvc", "ray"}, "each an extra of its own name"
    assert {"dvc", "ray"} <= _declared("dvc", "ray")


def test_what_is_declared_is_imported() -> None:
    assert _declared() - _distributions(_imports("src")) == USED_BY_OTHERS


def test_what_tests_and_tools_import_is_declared() -> None:
    declared = _declared("dev", "test", "docs", "dvc", "ray", "viz", "inspect", "s3")
    helpers = {path.stem for path in (ROOT / "tests").rglob("*.py")} | {"judging", "published", "toolemu"}
    assert _distributions(_imports("tests", "bench", "bundle", "docs") - helpers) <= declared


def test_every_declared_package_has_its_version() -> None:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pinned = {canonicalize_name(re.split("==", line)[0]) for line in lines if "==" in line}
    extras = ("dev", "test", "docs", "dvc", "ray", "viz")
    assert _declared(*extras) <= pinned
