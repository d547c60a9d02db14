"""Nodes that put finished outputs into the formats of other tools."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from persistence_pipeline.preferences.export import to_dataset
from persistence_pipeline.preferences.inspect_log import to_inspect
from persistence_pipeline.records import PreferencePair, Trajectory


def export_checkpoint(checkpoint: Path, cards: Mapping[str, Callable[[], str]], scratch: str) -> Path:
    """A directory with the checkpoint's files and its model card as ``README.md``, ready to be uploaded."""
    folder = Path(scratch) / "export" / checkpoint.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in checkpoint.iterdir():
        (folder / path.name).symlink_to(path.resolve())
    (folder / "README.md").write_text(cards[checkpoint.name](), encoding="utf-8")
    return folder


def export_pairs(pairs: Sequence[PreferencePair]) -> Any:
    """Preference pairs as a Hugging Face dataset."""
    return to_dataset(pairs)


def export_trajectories(trajectories: Sequence[Trajectory], scores: pd.DataFrame) -> dict[str, Any]:
    """A policy's test trajectories as one Inspect log."""
    cell = str(scores["cell"].iloc[0])
    return to_inspect(trajectories, scores, cell=cell)
