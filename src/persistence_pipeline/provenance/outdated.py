"""Finds the nodes of a graph whose outputs are outdated."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from persistence_pipeline.provenance.ledger import Digests, Given, Ledger, Record, package_files
from persistence_pipeline.provenance.recorded import PLACE_FIELDS, code_files, is_parameter, parameters_of

SHOWN = 3
"""Nodes that a message names."""


@dataclass(frozen=True)
class Standing:
    """The standing of a node's outputs."""

    kind: Literal["current", "outdated", "missing", "unknown"]
    """``unknown``: something else has written them: DVC, another machine, an earlier version, a person."""
    reason: str = ""


class Books:
    """The records of a data folder beside what there is now.

    Args:
        ledger: The records.
        catalog: Of the session.
        parameters: Of the session, as they stand in its files.
        formats: Digest of what the catalog says about how data are written.
    """

    def __init__(self, ledger: Ledger, catalog: Any, parameters: Mapping[str, Any], formats: str) -> None:
        self.ledger, self._catalog, self.parameters = ledger, catalog, parameters
        self._formats, self._code = formats, ledger.package()
        self.digests = Digests(catalog, ledger)
        self._changed_files = cache(self._find_changed_files)

    @classmethod
    def of_session(
        cls, project: Path, parameters: Mapping[str, Any], catalog: Any, entries: Mapping[str, Any]
    ) -> Books:
        """The books of a session; ``entries`` are the catalog's as its files have them."""
        shapes = {
            name: {key: value for key, value in entry.items() if key not in PLACE_FIELDS}
            for name, entry in entries.items()
            if isinstance(entry, Mapping)
        }
        written = json.dumps(shapes, sort_keys=True, default=str)
        formats = hashlib.sha256(written.encode()).hexdigest()[:16]
        return cls(Ledger(project / parameters["scratch"] / "made"), catalog, parameters, formats)

    def knows(self, node: Node) -> bool:
        """True if a run is on record with all that this node was given."""
        record = self.ledger.read(node.name)
        return record is not None and record.given.parameters is not None

    def given(self, node: Node) -> Given:
        """Code, parameters and versions that a node is given in this session."""
        return Given(self._code, self._formats, parameters_of(node, self.parameters))

    def examine(self, nodes: Sequence[Node]) -> dict[str, Standing]:
        """By node; what stands on something outdated or missing is outdated too.

        Args:
            nodes: Each after those whose outputs it reads.
        """
        made_by = {name: node.name for node in nodes for name in node.outputs}
        found: dict[str, Standing] = {}
        for node in nodes:
            own = self.standing(node)
            below = [made_by[name] for name in node.inputs if name in made_by]
            bad = next((name for name in below if found[name].kind in ("outdated", "missing")), None)
            if bad and own.kind in ("current", "unknown"):
                own = Standing("outdated", f"{bad} is {found[bad].kind}")
            found[node.name] = own
        return found

    def standing(self, node: Node) -> Standing:
        """Of a node by itself."""
        made, stored = self.digests.of(node.outputs), self._stored(node.outputs)
        if not stored or not made.keys() >= set(stored):
            return Standing("missing" if stored else "current")
        record = self.ledger.read(node.name)
        if record is None or (record.finished and any(made.get(n) != d for n, d in record.outputs.items())):
            return Standing("unknown")
        if not record.finished:
            return Standing("outdated", "it was not finished")
        reason = next(self._differences(node, record), "")
        return Standing("outdated", reason) if reason else Standing("current")

    def take_stock(self, whole: Pipeline, run: set[str]) -> None:
        """Before a run: see that what it will leave behind can be told, also where nothing is known so far.

        Outputs of unknown origin belong to nothing once this run was to write them; those that stand on what it
        writes are taken as made from what there is now.

        Args:
            whole: The graph around the run.
            run: Names of the nodes that will run.
        """
        written = {name for node in whole.nodes if node.name in run for name in node.outputs}
        for node in whole.nodes:
            concerned = node.name in run or not written.isdisjoint(node.inputs)
            if concerned and self.standing(node).kind == "unknown":
                inputs, outputs = self.digests.of(data_of(node)), self.digests.of(node.outputs)
                self.ledger.write(node.name, Record(Given(), inputs, {} if node.name in run else outputs))

    def _stored(self, names: Iterable[str]) -> list[str]:
        return [n for n in names if n in self._catalog and not getattr(self._catalog.get(n), "_EPHEMERAL", False)]

    def _differences(self, node: Node, record: Record) -> Iterator[str]:
        now, given = self.given(node), record.given
        if given.parameters is not None and now.parameters is not None:
            yield from _changes(given.parameters, now.parameters, now.parameters)
        yield from _changes(record.inputs, self.digests.of(data_of(node)), data_of(node))
        if given.formats not in (None, now.formats):
            yield "how data are written has changed"
        if given.code not in (None, now.code):
            files = self._changed_files(given.code)
            if not files or not files.isdisjoint(map(str, code_files(node, self._catalog))):
                yield "its code has changed"

    def _find_changed_files(self, code: str) -> set[str]:
        """Files that differ from those that the package had; empty where that is not known."""
        then, now = self.ledger.package_then(code), package_files()
        return {path for path in {*then, *now} if then.get(path) != now.get(path)} if then else set()


def data_of(node: Node) -> list[str]:
    """Inputs of a node that are no parameters."""
    return [name for name in node.inputs if not is_parameter(name)]


def _changes(then: Mapping[str, str], now: Mapping[str, str], read: Collection[str]) -> Iterator[str]:
    """What differs between two sets of digests, of which a node reads those named by ``read``."""
    for name in sorted({*then, *now}):
        if then.get(name) != now.get(name):
            gone = "is missing" if name in read else "is not read any more"
            yield f"{name} {gone if name not in now else 'is new' if name not in then else 'has changed'}"


def roots(standings: Mapping[str, Standing], names: Iterable[str]) -> dict[str, str]:
    """Those of these nodes that are outdated by themselves, or missing, with the reasons; else all of them."""
    found = {name: standings[name].reason or standings[name].kind for name in names}
    follows = {f"{name} is {standings[name].kind}" for name in found}
    return {name: reason for name, reason in found.items() if reason not in follows} or found


def told(reasons: Mapping[str, str]) -> str:
    """Nodes with reasons in a few words."""
    shown = [f"{name} ({reason})" for name, reason in list(reasons.items())[:SHOWN]]
    return ", ".join(shown) + (f" and {len(reasons) - SHOWN} more" if len(reasons) > SHOWN else "")
