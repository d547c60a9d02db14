"""Kedro's own datasets, saved in one step: a kill or a full disk leaves what was there before.

Kedro's versions write in place, so a run cut off in mid-save would leave a torn file that counts as present.
"""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

import copy
from json import loads
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from kedro.io import DatasetError
from kedro_datasets import json, pandas, partitions, text
from kedro_datasets._typing import PlotlyPreview

from persistence_pipeline.datasets._atomic import replaced_directory, replaced_file

UTF_8 = {
    "open_args_save": {"mode": "w", "encoding": "utf-8"},
    "open_args_load": {"mode": "r", "encoding": "utf-8"},
}


class _InOneStep:
    """Goes before a dataset of one local file; remote stores replace whole objects themselves."""

    _filepath: PurePosixPath
    _protocol: str

    def load(self) -> Any:
        """What the file holds.

        Raises:
            DatasetError: there is no such file.
        """
        if self._protocol == "file" and not Path(self._filepath).exists():
            raise DatasetError(f"{self._filepath}: no such file; an earlier step of the study makes it")
        return super().load()  # type: ignore[misc]

    def save(self, data: Any) -> None:
        """Write a sibling and let it take the file's place."""
        write = _unwrapped(super().save)  # type: ignore[misc]
        if self._protocol != "file":
            write(self, data)
            return
        target = self._filepath
        with replaced_file(Path(target)) as temporary:
            self._filepath = PurePosixPath(temporary)
            try:
                write(self, data)
            finally:
                self._filepath = target


def _unwrapped(save: Any) -> Any:
    """A dataset's save as written in its class; Kedro's wrap around it would name the sibling in errors."""
    return save.__wrapped__


class ParquetDataset(_InOneStep, pandas.ParquetDataset):
    """A table whose pages carry checksums: a flipped bit is an error, not another number."""

    DEFAULT_SAVE_ARGS: ClassVar[dict[str, Any]] = {"index": False, "write_page_checksum": True}
    DEFAULT_LOAD_ARGS: ClassVar[dict[str, Any]] = {"page_checksum_verification": True}


class JSONDataset(_InOneStep, json.JSONDataset):
    """A JSON document, in UTF-8 whatever the locale."""

    DEFAULT_FS_ARGS: ClassVar[dict[str, Any]] = UTF_8


class TextDataset(_InOneStep, text.TextDataset):
    """A text, in UTF-8 whatever the locale."""

    DEFAULT_FS_ARGS: ClassVar[dict[str, Any]] = UTF_8


class PlotlyDataset(TextDataset):
    """A plotly figure as JSON. Kedro's version imports plotly wherever a catalog is read."""

    def load(self) -> Any:
        """The figure."""
        import plotly.io

        return plotly.io.from_json(super().load())

    def save(self, data: Any) -> None:
        """Write the figure's JSON."""
        super().save(data.to_json())

    def preview(self) -> PlotlyPreview:
        """The figure, for kedro-viz."""
        return PlotlyPreview(loads(super().load()))


class PartitionedDataset(partitions.PartitionedDataset):
    """Partitions in a folder; a save replaces a local folder as a whole."""

    def save(self, data: dict[str, Any]) -> None:
        """Write all partitions to a sibling folder and let it take the folder's place."""
        write = _unwrapped(super().save)
        if self._protocol != "file":
            write(self, data)
            return
        with replaced_directory(Path(self._path)) as temporary:
            beside = copy.copy(self)
            beside._path = str(temporary)
            write(beside, data)
            temporary.mkdir(exist_ok=True)  # overwriting removes it, and no partition makes it again
        self._invalidate_caches()
