"""What a node works with: digests of its data and parameters, the files of its code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from kedro.pipeline.node import Node

from persistence_pipeline.provenance.import_graph import CODE_FIELDS, PACKAGE, files_behind

SHORT = 16
"""Hexadecimal digits of a digest that are kept."""
WITHOUT_EFFECT = ("params:scratch", "params:offline")
"""Parameters that change where a node works, not what it makes."""
EVERYWHERE = "params:threads"
"""The parameter that hooks apply to every node."""
PLACE_FIELDS = ("filepath", "path", "credentials", "fs_args", "metadata")
"""Fields of a catalog entry that say where its data lie, not what they are."""


def is_parameter(name: str) -> bool:
    """True if a dataset's name is that of a parameter."""
    return name == "parameters" or name.startswith("params:")


def parameters_of(node: Node, parameters: Mapping[str, Any]) -> dict[str, str]:
    """Digests of those of all ``parameters`` that change what a node makes."""
    names = {name for name in node.inputs if is_parameter(name)} - set(WITHOUT_EFFECT) | {EVERYWHERE}
    return {
        name: _short(json.dumps(_value(parameters, name), sort_keys=True, default=str)) for name in sorted(names)
    }


def _value(parameters: Mapping[str, Any], name: str) -> Any:
    value: Any = parameters
    for part in name.removeprefix("params:").split(".") if name.startswith("params:") else ():
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _entries(node: Node, catalog: Any) -> list[dict[str, Any]]:
    names = [name for name in (*node.inputs, *node.outputs) if not is_parameter(name)]
    return [catalog.config_resolver.resolve_pattern(name) for name in names]


def code_files(node: Node, catalog: Any) -> tuple[Path, ...]:
    """Files of the package that a node's function and datasets stand on, relative to the package's parent."""
    named = {str(entry.get(field, "")) for entry in _entries(node, catalog) for field in CODE_FIELDS}
    modules = frozenset(name.rpartition(".")[0] for name in named if name.startswith(f"{PACKAGE}."))
    return _code_files(node.func.__module__, node.func.__name__, modules)


@cache
def _code_files(module: str, function: str, modules: frozenset[str]) -> tuple[Path, ...]:
    own = module.partition(".")[0] == PACKAGE
    return tuple(files_behind([(module, function)] if own else [], modules))


def digests(names: Iterable[str], catalog: Any) -> dict[str, str]:
    """Of each dataset's content, by its name; parameters and what lies in no files are left out."""
    places = {name: place(catalog.get(name)) for name in names if not is_parameter(name)}
    return {name: listing_digest(*there, listing(*there)) for name, there in places.items() if there}


def place(dataset: Any) -> tuple[Any, str] | None:
    """File system and path of a dataset; None for one without files.

    Kedro has no question for it. Its datasets keep both under the names that its guide prescribes, those of this
    project in their location.
    """
    location = getattr(dataset, "_location", None)
    if location is not None:
        return location.files, str(location.path)
    files = getattr(dataset, "_fs", None) or getattr(dataset, "_filesystem", None)
    path = getattr(dataset, "_filepath", None) or getattr(dataset, "_path", None)
    return (files, str(files._strip_protocol(str(path)))) if files and path else None


def shown_place(dataset: Any) -> str:
    """Path of a dataset that has files; the URL of one that lies elsewhere."""
    there = place(dataset)
    assert there is not None  # noqa: S101
    files, path = there
    return str(files.unstrip_protocol(path)).removeprefix("file://")


def listing(files: Any, path: str) -> dict[str, dict[str, Any]]:
    """The file, or all files of the directory, and what the file system says of each; empty where nothing is."""
    files.invalidate_cache()
    return dict(sorted(files.find(path, detail=True).items()))


def listing_digest(files: Any, path: str, found: Mapping[str, Mapping[str, Any]]) -> str:
    """Of the content of a listing's files; an object store's own tag stands for the content of an object."""
    digest = hashlib.sha256()
    for name, about in found.items():
        digest.update(name.removeprefix(path).encode())
        if "file" in files.protocol:
            with Path(name).open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        else:
            digest.update(str([about["size"], about.get("ETag") or files.ukey(name)]).encode())
    return digest.hexdigest()[:SHORT]


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:SHORT]
