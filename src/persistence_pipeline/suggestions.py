"""Wrong names on the command line: one line that says which name was meant and which there are."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kedro.pipeline import Pipeline

SHOWN = 20
"""Known names up to which a message lists them."""
_PATTERNS = {
    "node": re.compile(r"Pipeline does not contain nodes named \[(.+?)\]"),
    "namespace": re.compile(r"Pipeline does not contain nodes with the following namespaces: \[(.+?)\]"),
    "dataset": re.compile(r"Pipeline does not contain datasets named \[(.+?)\]"),
}
_NOTHING_LEFT = "Pipeline contains no nodes after applying all provided filters"
_ENVIRONMENT = re.compile(r"Given configuration path either does not exist or is not a valid directory: (.+)")


class UnknownNameError(ValueError):
    """A name on the command line that nothing has."""


def unknown(kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
    """The error for a wrong name, with the nearest right one."""
    names = sorted(known)
    near = get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    listed = f" Known: {', '.join(names)}" if len(names) <= SHOWN else " (kedro registry describe lists them)"
    return UnknownNameError(f"no {kind} is named {name!r}{hint}{listed}")


def check_pipelines(named: Iterable[str], known: Iterable[str]) -> None:
    """Refuse names of pipelines that there are not.

    Raises:
        UnknownNameError: naming the nearest pipeline.
    """
    shown = [name for name in known if name != "__default__"]
    for name in named:
        if name not in {*shown, "__default__"}:
            raise unknown("pipeline", name, shown)


def explain(error: BaseException) -> UnknownNameError | None:
    """Explain an error of Kedro's about a wrong name; None for all others."""
    environment = _ENVIRONMENT.search(str(error))
    if environment:
        path = Path(environment[1].strip())
        if not path.parent.is_dir():
            return UnknownNameError(
                f"there is no configuration at {path.parent}; --conf-source=PATH names another place"
            )
        return unknown("environment", path.name, (p.name for p in path.parent.glob("*/") if p.name != "base"))
    if _NOTHING_LEFT in str(error):
        return UnknownNameError(
            f"no node passes all of these filters. Tags there are: {', '.join(sorted(_tags()))}"
        )
    for kind, pattern in _PATTERNS.items():
        found = pattern.search(str(error))
        if found:
            return unknown(kind, found[1].split(", ")[0].strip("'\""), _known(kind))
    return None


def _loaded() -> list[Pipeline]:
    from kedro.framework.project import pipelines

    return [pipeline for pipeline in pipelines.values() if pipeline]


def _tags() -> set[str]:
    return {tag for pipeline in _loaded() for node in pipeline.nodes for tag in node.tags}


def _known(kind: str) -> set[str]:
    if kind == "dataset":
        return set().union(*(pipeline.datasets() for pipeline in _loaded()))
    nodes = {node.name for pipeline in _loaded() for node in pipeline.nodes}
    return nodes if kind == "node" else {name.rpartition(".")[0] for name in nodes}
