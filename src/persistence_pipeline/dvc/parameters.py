"""The files in ``conf/`` that set a study's parameters: stages depend on these, key by key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

import yaml

from persistence_pipeline.dvc.command import StudyDvc
from persistence_pipeline.dvc.stages import ALL, SPEC
from persistence_pipeline.study.design import StudyDesign

TABLES = ("policies", "seeds")
"""Parameters that a study's own table defines whole."""
OF_KINDS = {"parameters_judging.yml": "emulated", "parameters_published.yml": "published"}
"""Parameter files that say nothing of a study of another kind."""
NOT_PRINTED = "parameters_scratch.yml"
"""A parameter file that a report does not print."""


class ParameterFiles:
    """The parameter files of a study.

    Args:
        study: The study.
        design: Its kind.
        members: By general name (``training``), the parameters of that kind that the study uses.
    """

    def __init__(self, study: StudyDvc, design: StudyDesign, members: Mapping[str, list[str]]) -> None:
        self._study, self._design, self._members = study, design, members

    @cached_property
    def _contents(self) -> dict[str, dict[str, Any]]:
        """By path from the project, the base environment's first."""
        folders = dict.fromkeys((self._study.conf / "base", self._study.conf / self._study.env))
        paths = [path for folder in folders for path in sorted(folder.glob("parameters*.yml"))]
        return {self._study.named(path): yaml.safe_load(path.read_text("utf-8")) or {} for path in paths}

    def by_file(self, names: Iterable[str]) -> dict[str, list[str]]:
        """These parameters as keys of the files that set them; no keys: the whole file."""
        spec: dict[str, list[str]] = {self._study.named(self._study.conf / self._study.env / SPEC): []}
        if ALL in names:
            return {file: [] for file in self._printed()} | spec
        of_files = [name for name in names if name.split(".")[0] not in (*TABLES, SPEC)]
        found = {
            file: list(dict.fromkeys(filter(None, (self._key(content, name) for name in of_files))))
            for file, content in self._contents.items()
        }
        found[self._study.named(self._study.table)] = [n for n in names if n not in (*of_files, SPEC)]
        return {file: keys for file, keys in found.items() if keys} | (spec if SPEC in names else {})

    def _printed(self) -> Iterator[str]:
        kinds = {"emulated": self._design.emulated, "published": self._design.pairs == "published"}
        left_out = (NOT_PRINTED, *(file for file, kind in OF_KINDS.items() if not kinds[kind]))
        yield from (file for file in self._contents if not file.endswith(left_out))

    def _key(self, content: Mapping[str, Any], name: str) -> str | None:
        """The key of a parameter in a file; where the file sets only some of its kind, the key of them all."""
        general, variable, _ = name.partition(".${")
        if not variable:
            return name if _has(content, name) else None
        present = [_has(content, f"{general}.{one}") for one in self._members[general]]
        return name if all(present) else general if any(present) else None


def _has(content: Mapping[str, Any], name: str) -> bool:
    value: Any = content
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return False
        value = value[part]
    return True
