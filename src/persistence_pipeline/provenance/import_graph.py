"""The import graph: the files of the package that a piece of code depends on.

A node function stands for what its own body names, not for all that its ``nodes.py`` imports; from there on, whole
modules count, with everything that they import anywhere and the templates that lie beside them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

PACKAGE = __name__.partition(".")[0]
ROOT = Path(__file__).resolve().parents[1]
CODE_FIELDS = ("type", "record", "validator")
"""Fields of a catalog entry that name code."""


def files_behind(functions: Iterable[tuple[str, str]], modules: Iterable[str] = ()) -> list[Path]:
    """Files of the package that these functions and modules depend on, relative to the package's parent.

    Empty files are left out: DVC warns of each.

    Args:
        functions: Module and name of functions; their modules are counted as files only.
        modules: Modules with everything that they import.
    """
    starts = set(modules)
    files = set()
    for module, name in functions:
        files.add(_path(module))
        starts |= _named_in(module, name)
    reached = _closure(starts)
    files |= {_path(module) for module in reached}
    files |= {path for module in reached for path in _templates(_path(module).parent)}
    return sorted(path.relative_to(ROOT.parent) for path in files if path.stat().st_size)


def _closure(starts: Iterable[str]) -> set[str]:
    """These modules, all that they import, and the packages that hold them."""
    reached: set[str] = set()
    waiting = list(starts)
    while waiting:
        module = waiting.pop()
        if module not in reached:
            reached.add(module)
            waiting += [module.rpartition(".")[0]] if "." in module else []
            waiting += _imports(module)
    return reached


@cache
def _imports(module: str) -> frozenset[str]:
    return frozenset(target for node in _statements(_tree(module)) for target, _ in _targets(module, node))


def _named_in(module: str, name: str) -> set[str]:
    """Modules whose names a function uses, directly or through other definitions of its module."""
    tree = _tree(module)
    imported = {bound: target for node in _statements(tree) for target, bound in _targets(module, node)}
    defined = _definitions(tree)
    found: set[str] = set()
    waiting, seen = [name], set()
    while waiting:
        current = waiting.pop()
        if current in imported:
            found.add(imported[current])
        if current in defined and current not in seen:
            seen.add(current)
            waiting += [node.id for node in ast.walk(defined[current]) if isinstance(node, ast.Name)]
    return found


def _definitions(tree: ast.Module) -> dict[str, ast.stmt]:
    """Functions, classes and constants of a module by name."""
    found: dict[str, ast.stmt] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = node
        elif isinstance(node, ast.Assign):
            found |= {target.id: node for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[node.target.id] = node
    return found


def _targets(module: str, node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
    """Modules of the package that a statement imports, and the name it binds."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            if alias.name.partition(".")[0] == PACKAGE:
                yield alias.name, alias.asname or PACKAGE
        return
    base = node.module or ""
    if node.level:
        package = module if _path(module).name == "__init__.py" else module.rpartition(".")[0]
        parts = package.split(".")[: len(package.split(".")) - node.level + 1]
        base = ".".join([*parts, *([base] if base else [])])
    if base.partition(".")[0] != PACKAGE:
        return
    for alias in node.names:
        inner = f"{base}.{alias.name}"
        yield (inner if _exists(inner) else base), alias.asname or alias.name


def _statements(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Import statements wherever they stand, but for those that only a type checker reads."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        else:
            yield from _statements(node)


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse(_path(module).read_text("utf-8"))


def _path(module: str) -> Path:
    place = ROOT.parent.joinpath(*module.split("."))
    package = place / "__init__.py"
    return package if package.is_file() else place.with_suffix(".py")


def _exists(module: str) -> bool:
    return _path(module).is_file()


def _templates(package: Path) -> list[Path]:
    """Files in those folders of a package that hold no modules."""
    folders = [path for path in package.iterdir() if path.is_dir() and path.name != "__pycache__"]
    data = [folder for folder in folders if not any(folder.rglob("*.py"))]
    return [path for folder in data for path in folder.rglob("*") if path.is_file()]
