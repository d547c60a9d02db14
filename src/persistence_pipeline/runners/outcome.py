"""The outcome of a run: where each node ran, what failed, what is missing because of it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from kedro.pipeline.node import Node


class RunError(RuntimeError):
    """Nodes failed; the message says which, what is missing because of it, and how to go on."""


@dataclass
class Outcome:
    """The outcome of a run, node by node."""

    done: dict[Node, dict[str, Any]] = field(default_factory=dict)
    """Where each ran; the fields are those of ``worker.Told.place``."""
    failed: dict[Node, str] = field(default_factory=dict)
    """What went wrong."""
    left: set[Node] = field(default_factory=set)
    """Not started, or not yet finished."""

    @property
    def n_nodes(self) -> int:
        """Nodes of the run."""
        return len(self.done) + len(self.failed) + len(self.left)


def shares(outcome: Outcome) -> str:
    """Shares of the machines in the work, in one line."""
    hosts = sorted({place["host"] for place in outcome.done.values()})
    by_host = {host: [p["seconds"] for p in outcome.done.values() if p["host"] == host] for host in hosts}
    told = [f"{host} {len(seconds)} nodes in {sum(seconds):.0f} s" for host, seconds in by_host.items()]
    return f"{len(outcome.done)} nodes done: {', '.join(told) or 'none'}"


def describe(outcome: Outcome) -> str:
    """Describe what failed, what is missing because of it, and the command that goes on from there."""
    lines = [f"{len(outcome.failed)} of {outcome.n_nodes} nodes failed, {len(outcome.done)} are done:"]
    lines += [f"  {node.name}: {_set_in(outcome.failed[node])}" for node in _sorted(outcome.failed)]
    if outcome.left:
        names = ", ".join(node.name for node in _sorted(outcome.left))
        lines.append(f"{len(outcome.left)} did not run because of that: {names}")
    lines.append(f"Mend the cause, then: {_resume(sys.argv, outcome.failed)}")
    return "\n".join(lines)


def _resume(command: list[str], failed: Collection[Node]) -> str:
    """The command of this run, from the failed nodes on: all that is left stands on them."""
    said = command[1:] if command[1:2] == ["run"] else ["run", "..."]
    starts = ",".join(node.name for node in _sorted(failed))
    return shlex.join(["kedro", *said, f"--from-nodes={starts}"])


def _sorted(nodes: Collection[Node]) -> list[Node]:
    return sorted(nodes, key=lambda node: node.name)


def _set_in(words: str) -> str:
    """Further lines of a message, set in below the node's name."""
    return "\n    ".join(line for line in words.splitlines() if line.strip())
