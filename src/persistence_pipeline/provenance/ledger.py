"""Records of what each node made from what: one small file for each node, beside the trainers' state.

Files are replaced in one step. They are of this machine; DVC has its own records, and a file that anything else
has written since does not match its record any more.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from threading import get_ident
from typing import Any
from urllib.parse import quote

from persistence_pipeline.provenance.import_graph import ROOT
from persistence_pipeline.provenance.recorded import listing, listing_digest, place
from persistence_pipeline.report.notice import Notice

CODE_SUFFIXES = (".py", ".jinja", ".js", ".css", ".html", ".yml", ".md", ".txt", ".json")
LARGE = 4_000_000
"""Bytes from which on a digest is remembered."""


@dataclass(frozen=True)
class Given:
    """Code, parameters and versions that a node is given beside its data."""

    code: str | None = None
    """Digest of the package; none: not known."""
    formats: str | None = None
    """Digest of what the catalog says about how data are written; none: not known."""
    parameters: dict[str, str] | None = None
    """Digest of each parameter; none: not known."""


@dataclass(frozen=True)
class Record:
    """The record of what a node has made, from what."""

    given: Given
    inputs: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    """Digests by dataset; none while the node is saving."""

    @property
    def finished(self) -> bool:
        """True if everything was saved."""
        return bool(self.outputs)


class Ledger:
    """The records of a data folder.

    Args:
        folder: Where they are kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, node: str) -> Record | None:
        """The record of a node; one that cannot be read is that of a node that did not finish."""
        try:
            content = json.loads(self._path(node).read_text("utf-8"))
            return Record(**{**content, "given": Given(**content["given"])})
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError):
            return Record(Given())

    def write(self, node: str, record: Record) -> None:
        """Let this be the record of a node."""
        _put(self._path(node), asdict(record))

    def has(self, ending: str) -> bool:
        """True if there is a record of a node whose name ends like this."""
        return any(self.folder.glob(f"*{ending}.json"))

    def _path(self, name: str) -> Path:
        return self.folder / f"{quote(name, safe='')}.json"

    def seen(self, dataset: str, files: str) -> str | None:
        """The digest of a dataset, if its files are those that were seen last."""
        try:
            then, digest = json.loads(self._path(f"seen {dataset}").read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return str(digest) if then == files else None

    def saw(self, dataset: str, files: str, digest: str) -> None:
        """Remember the digest of a dataset while its files stay as they are."""
        _put(self._path(f"seen {dataset}"), [files, digest])

    def package(self) -> str:
        """Digest of this package as it is; which files it had then is kept under that digest."""
        files = package_files()
        digest = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:16]
        path = self.folder / "code" / f"{digest}.json"
        if not path.is_file():
            _put(path, files)
        return digest

    def package_then(self, digest: str) -> dict[str, str]:
        """Digests of the files that the package had; empty where that is not known any more."""
        try:
            return dict(json.loads((self.folder / "code" / f"{digest}.json").read_text("utf-8")))
        except (OSError, ValueError):
            return {}


def package_files() -> dict[str, str]:
    """Digests of this package's modules and templates, by path relative to its parent."""
    paths = sorted(path for path in ROOT.rglob("*") if path.suffix in CODE_SUFFIXES and path.is_file())
    return {str(p.relative_to(ROOT.parent)): hashlib.sha256(p.read_bytes()).hexdigest()[:16] for p in paths}


def _put(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{get_ident()}")
    temporary.write_text(json.dumps(content), encoding="utf-8")
    temporary.replace(path)


class Digests:
    """Digests of datasets as they are now; a large one that a ledger has seen as it is, is not read again."""

    def __init__(self, catalog: Any, ledger: Ledger) -> None:
        self._catalog, self._ledger = catalog, ledger
        self._found: dict[str, str | None] = {}

    def of(self, names: Iterable[str]) -> dict[str, str]:
        """Digests by name, without what lies in no files and what is not there."""
        return {name: found for name in names if (found := self._look(name))}

    def _look(self, name: str) -> str | None:
        if name not in self._found:
            self._found[name] = self._fresh(name)
        return self._found[name]

    def _fresh(self, name: str) -> str | None:
        there = place(self._catalog.get(name)) if name in self._catalog else None
        files = listing(*there) if there else {}
        if not there or not files:
            return None
        if "file" not in there[0].protocol or sum(about["size"] for about in files.values()) < LARGE:
            return listing_digest(*there, files)
        seen = _signature(files)
        digest = self._ledger.seen(name, seen)
        if digest is None:
            digest = listing_digest(*there, files)
            self._ledger.saw(name, seen, digest)
        return digest


def _signature(files: Mapping[str, Mapping[str, Any]]) -> str:
    """Changes whenever a file is written."""
    told = [(name, about["size"], about["mtime"], about["ino"]) for name, about in files.items()]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


@dataclass
class Desk:
    """The desk at which a run's nodes leave their records, in the run's process or in one that it has started."""

    folder: Path
    given: Mapping[str, Given]
    """By node, what it is given in this run."""
    warning: tuple[str, str] | None = None
    """The folder of reports in which a notice is put up with the first output, and its text."""

    @cached_property
    def ledger(self) -> Ledger:
        """The records."""
        return Ledger(self.folder)

    def started(self, node: str, inputs: Mapping[str, str]) -> None:
        """A node begins to save: until it has finished, its outputs belong to nothing."""
        self.ledger.write(node, Record(self.given.get(node, Given()), dict(inputs)))
        if self.warning:
            Notice(self.warning[0]).write(self.warning[1])
            self.warning = None

    def finished(self, node: str, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> None:
        """A node has saved everything."""
        self.ledger.write(node, Record(self.given.get(node, Given()), dict(inputs), dict(outputs)))

    def dump(self) -> dict[str, Any]:
        """As JSON can say it."""
        given = {name: asdict(one) for name, one in self.given.items()}
        return {"folder": str(self.folder), "given": given, "warning": self.warning}

    @classmethod
    def load(cls, path: Path) -> Desk:
        """A desk that another process has dumped."""
        content = json.loads(path.read_text("utf-8"))["desk"]
        given = {name: Given(**one) for name, one in content["given"].items()}
        return cls(Path(content["folder"]), given, tuple(content["warning"]) if content["warning"] else None)
