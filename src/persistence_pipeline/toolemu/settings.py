"""Cases in ToolEmu's format: which, and who plays their tools.

A study may stand on them as a whole (``study.cases: toolemu``), or its finished checkpoints may play them.
Rollouts, scores and analysis have modules of their own (``emulated_...``): nothing is played again because scores
are analysed in another way.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from persistence_pipeline.records import Split
from persistence_pipeline.strict import Strict
from persistence_pipeline.toolemu.cases import EmulatedCase, read_cases
from persistence_pipeline.toolemu.emulator import EmulatorSettings

HALVES: tuple[Split, ...] = ("train", "test_iid")


class EmulationError(ValueError):
    """Something that emulated cases need is not named in the parameters."""


class EmulationSettings(Strict):
    """The cases, and the model that plays their tools."""

    cases: str | None = None
    """ToolEmu's ``all_cases.json``, or a file of its format."""
    toolkits: str | None = None
    """ToolEmu's ``all_toolkits.json``, or a file of its format."""
    emulator: EmulatorSettings | None = None
    split: Literal["train", "test_iid"] = "test_iid"
    """What checkpoints are tested on: ``test_iid`` or ``train``, half of the cases, by seed, as published."""
    max_cases: int | None = Field(None, gt=0)
    """Cases of each seed and half; None: all."""
    journals: str
    """Folder of the emulator's and the judges' replies, from which an interrupted run continues."""


def load_cases(settings: EmulationSettings, seed: int) -> list[EmulatedCase]:
    """The cases of a seed, both halves.

    Raises:
        EmulationError: a file is not named.
        CaseError: a file is missing or malformed.
    """
    if settings.cases is None or settings.toolkits is None:
        raise EmulationError("emulation.cases and emulation.toolkits name no files: see docs/judging.md")
    read = read_cases(Path(settings.cases).expanduser(), Path(settings.toolkits).expanduser(), seed)
    halves = [_fewer(half_of(read, split), settings.max_cases, seed) for split in HALVES]
    chosen = {case.case_id for half in halves for case in half}
    return [case for case in read if case.case_id in chosen]


def half_of(cases: Sequence[EmulatedCase], split: Split) -> list[EmulatedCase]:
    """The cases of one split."""
    return [case for case in cases if case.split == split]


def _fewer(cases: list[EmulatedCase], n: int | None, seed: int) -> list[EmulatedCase]:
    if n is None or len(cases) <= n:
        return cases
    chosen = set(random.Random(seed).sample(range(len(cases)), n))
    return [case for index, case in enumerate(cases) if index in chosen]


def emulator_of(settings: EmulationSettings) -> EmulatorSettings:
    """The settings of the model that plays the tools.

    Raises:
        EmulationError: nobody is named.
    """
    if settings.emulator is None:
        raise EmulationError("emulation.emulator names no server: see docs/judging.md")
    return settings.emulator


def of_candidates(settings: EmulationSettings) -> EmulationSettings:
    """With a folder of its own for the replies about candidates, whose players also play tests."""
    return settings.model_copy(update={"journals": str(Path(settings.journals) / "candidates")})
