"""YAML files of a user, where words may mean another thing than they look like: 010 is 8, and no is false.

Such spellings are refused by line with what they would have been read as.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

NUMBER = re.compile(r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
"""Spellings of numbers that every reader takes for the same number."""
TRUTHS = frozenset({"true", "True", "TRUE", "false", "False", "FALSE"})
_TAG = "tag:yaml.org,2002:"


class YamlError(ValueError):
    """A file, or a piece of text, that is not YAML or says what it does not look like."""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads ``1e-3`` as the number that it is, and a date as text."""


_Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag != f"{_TAG}timestamp"]
    for letter, resolvers in _Loader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    f"{_TAG}float", re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def compose(text: str, where: str) -> yaml.Node | None:
    """The nodes of a document; None where it is empty.

    Raises:
        YamlError: it is not YAML; names the line.
    """
    try:
        node: yaml.Node | None = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{where}:{mark.line + 1}" if mark else where
        raise YamlError(f"{place}: not YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise YamlError(f"{where}: not YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise YamlError(f"{where}: nested too deeply") from None
    return node


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        YamlError: it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text("utf-8-sig")
    except OSError as error:
        raise YamlError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise YamlError(f"{path}: not UTF-8: {error.reason} at byte {error.start}") from None


def load(path: Path) -> Any:
    """The content of a file.

    Raises:
        YamlError: it cannot be read, is not YAML, or has a name twice or an odd spelling; names the line.
    """
    node = compose(read_text(path), str(path))
    check(node, str(path))
    return None if node is None else construct(node, str(path))


def value(text: str, where: str) -> Any:
    """The value that somebody typed.

    Raises:
        YamlError: it is not YAML, or has an odd spelling.
    """
    node = compose(text, where)
    check(node, where, lines=False)
    return None if node is None else construct(node, where)


def construct(node: yaml.Node, where: str) -> Any:
    """The values of a document.

    Raises:
        YamlError: a node has a type of its own, as objects of a language have.
    """
    loader = _Loader("")
    try:
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise YamlError(f"{where}:{line}: {error.problem or error.context}") from None
    except (ValueError, TypeError) as error:
        raise YamlError(f"{where}: {error}") from None
    except RecursionError:
        raise YamlError(f"{where}: nested too deeply") from None
    finally:
        loader.dispose()


def check(node: yaml.Node | None, where: str, *, lines: bool = True) -> None:
    """See that names are given once and that words mean what they look like.

    Raises:
        YamlError: naming the line, where the text has ``lines``.
    """
    seen: set[int] = set()
    open_nodes = [] if node is None else [node]
    while open_nodes:
        node = open_nodes.pop()
        if id(node) in seen:  # an alias
            continue
        seen.add(id(node))
        if isinstance(node, yaml.ScalarNode):
            fault = _odd(node)
            if fault:
                raise YamlError(f"{where}:{node.start_mark.line + 1}: {fault}" if lines else f"{where}: {fault}")
        elif isinstance(node, yaml.MappingNode):
            _given_once(node, where)
            open_nodes += [part for pair in reversed(node.value) for part in reversed(pair)]
        else:
            open_nodes += reversed(node.value)


def _odd(node: yaml.ScalarNode) -> str | None:
    """What is wrong with a word that stands without quotes."""
    kind, text = node.tag.removeprefix(_TAG), node.value
    if node.style or kind not in ("int", "float", "bool"):
        return None
    if text in TRUTHS if kind == "bool" else NUMBER.fullmatch(text):
        return None
    try:
        value = _Loader("").construct_object(node)
    except ValueError:  # 0x_
        return f"{text} is not a number: write one, or '{text}' in quotes for a text"
    if kind == "bool":
        return (
            f"{text} means {str(value).lower()} here: write {str(value).lower()}, or '{text}' in quotes for a name"
        )
    decimal = text.lstrip("0")
    if kind == "int" and text.isdigit() and decimal:
        return f"{text} means {value} here, for it begins with 0: write {value} or {decimal}"
    return f"{text} means {value} here: write the number in plain decimals, or '{text}' in quotes for a text"


def _given_once(node: yaml.MappingNode, where: str) -> None:
    first: dict[tuple[str, str], int] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise YamlError(f"{where}:{key.start_mark.line + 1}: a name is a word, not a list or a group")
        line, name = key.start_mark.line + 1, (key.tag, key.value)
        if name in first:
            raise YamlError(f"{where}:{line}: {key.value!r} is given twice (also in line {first[name]})")
        first[name] = line


def places(node: yaml.Node | None, within: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Places of the values of a document that are no groups, as far as they are not merged in."""
    if isinstance(node, yaml.MappingNode) and node.value:
        for key, value in node.value:
            if key.tag != f"{_TAG}merge":
                yield from places(value, (*within, key.value))
    elif within:
        yield within


def line_of(node: yaml.Node | None, path: Sequence[str | int]) -> int | None:
    """The line in which a place of the document stands; None where it has no such place."""
    line = None
    for part in path:
        found = entry(node, part)
        if found is None:
            return None
        key, node = found
        line = key.start_mark.line + 1
    return line


def entry(node: yaml.Node | None, part: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    """The node that names an entry and its value, of a group itself or of what is merged into it."""
    if isinstance(node, yaml.SequenceNode):
        inside = isinstance(part, int) and part < len(node.value)
        return (node.value[part], node.value[part]) if inside else None
    merged: list[yaml.Node] = []
    for key, value in getattr(node, "value", []) if isinstance(node, yaml.MappingNode) else []:
        if key.tag == f"{_TAG}merge":
            merged += value.value if isinstance(value, yaml.SequenceNode) else [value]
        elif key.value == str(part):
            return key, value
    return next(filter(None, (entry(one, part) for one in merged)), None)
