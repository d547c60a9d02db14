"""The template of a study's stages: that of the tool world, changed as the kind of study has it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import yaml

from persistence_pipeline.study.design import StudyDesign

Stage = dict[str, Any]
CASES = {"CASES.": "cases.", "CASE_TABLE.": "case_table."}
"""The template's words for the datasets of the cases; those of emulated cases begin with ``emulated_``."""


def template_of(design: StudyDesign) -> dict[str, Stage]:
    """The stages of a kind of study by name, in the order in which they are listed."""
    stages: dict[str, Stage | None] = _read("stages.yml", design)
    if design.emulated:
        stages = _changed(stages, _read("stages_toolemu.yml", design))
    if design.pairs == "published":
        stages = _changed(stages, _read("stages_published.yml", design))
    if design.pairs == "own":
        stages = _changed(stages, _read("stages_own.yml", design))
    return {name: stage for name, stage in stages.items() if stage is not None}


def _read(file: str, design: StudyDesign) -> dict[str, Stage | None]:
    text = (files(__package__) / file).read_text("utf-8")
    for word, dataset in CASES.items():
        text = text.replace(word, f"emulated_{dataset}" if design.emulated else dataset)
    return dict(yaml.safe_load(text))


def _changed(stages: Mapping[str, Stage | None], changes: Mapping[str, Stage | None]) -> dict[str, Stage | None]:
    """The stages with these changes; one that is new comes after the one above it."""
    names = list(stages)
    place = 0
    for name in changes:
        if name not in names:
            names.insert(place, name)
        place = names.index(name) + 1
    return {name: _merged(stages.get(name), changes.get(name, {})) for name in names}


def _merged(stage: Stage | None, change: Stage | None) -> Stage | None:
    if stage is None or change is None:
        return change or None
    inner = {"do": {**stage["do"], **change["do"]}} if "do" in stage and "do" in change else {}
    return {**stage, **change, **inner}
