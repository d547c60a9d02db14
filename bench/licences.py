"""``python -m bench.licences``: the licences of what the project needs, from the packages' own metadata."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.requirements import Requirement

PROJECT = "persistence-pipeline"
HEAD = """# Licences of the dependencies

Written by `make audit` from the metadata of the installed packages: what `pip install persistence-pipeline`
brings, without the extras. The project itself is MIT, and so is the part of plotly.js that its reports hold.

| package | version | licence |
| --- | --- | --- |"""
LONGEST = 60
"""A longer text is the licence itself; its classifiers say more in fewer words."""


def main() -> None:
    """Print the page."""
    print(HEAD)
    for found in sorted(_closure(PROJECT), key=lambda d: d.name.lower()):
        print(f"| {found.name} | {found.version} | {_licence(found)} |")


def _closure(name: str) -> Iterator[Distribution]:
    """Everything that a package needs, directly or not; extras count where something asks for them."""
    seen: set[tuple[str, str]] = set()
    waiting = [Requirement(name)]
    reported = {_normal(name)}
    while waiting:
        needed = waiting.pop()
        try:
            found = distribution(needed.name)
        except PackageNotFoundError:
            continue
        if _normal(needed.name) not in reported:
            reported.add(_normal(needed.name))
            yield found
        for extra in (*sorted(needed.extras), ""):
            if (_normal(needed.name), extra) not in seen:
                seen.add((_normal(needed.name), extra))
                requirements = map(Requirement, found.requires or ())
                waiting += [r for r in requirements if r.marker is None or r.marker.evaluate({"extra": extra})]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _licence(found: Distribution) -> str:
    metadata = found.metadata
    classified = [line.split(" :: ")[-1] for line in metadata.get_all("Classifier", []) if "License ::" in line]
    said = metadata.get("License-Expression") or metadata.get("License") or ""
    text = said if said and len(said) <= LONGEST and "\n" not in said else "; ".join(classified) or said
    return " ".join(text.split())[:LONGEST].replace("|", "/") or "not stated"


if __name__ == "__main__":
    main()
