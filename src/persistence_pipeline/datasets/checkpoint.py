"""A model checkpoint with its tokenizer: a directory of safetensors and JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset, DatasetError

from persistence_pipeline.datasets._atomic import replace_directory

REQUIRED = ("config.json", "tokenizer.json", "tokenizer_config.json")


class CheckpointDataset(AbstractDataset[Path, Path]):
    """Loads as the path of a checked directory; saves a directory atomically.

    Args:
        filepath: The checkpoint directory.
        metadata: Ignored by Kedro, read by its plugins.
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = Path(filepath)
        self.metadata = metadata

    def load(self) -> Path:
        """The directory, once its files are complete.

        Raises:
            DatasetError: naming the file and what was expected of it.
        """
        fault = find_fault(self._filepath)
        if fault:
            raise DatasetError(f"{self._filepath} is not a whole checkpoint: {fault}")
        return self._filepath

    def save(self, data: Path) -> None:
        """Copy a finished directory to its place in one step.

        Raises:
            DatasetError: if the directory is not a whole checkpoint; nothing is written then.
        """
        fault = find_fault(data)
        if fault:
            raise DatasetError(f"{data} is not a whole checkpoint and was not saved: {fault}")
        replace_directory(data, self._filepath)

    def _exists(self) -> bool:
        return find_fault(self._filepath) is None

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}

    def preview(self) -> dict[str, Any]:
        """Architecture and size, for kedro-viz."""
        config = json.loads((self.load() / "config.json").read_text("utf-8"))
        size = sum(path.stat().st_size for path in self._filepath.iterdir())
        return {"model_type": config.get("model_type"), "bytes": size, "config": config}

    preview.__annotations__["return"] = "JSONPreview"


def find_fault(directory: Path) -> str | None:
    """What is missing or broken in a checkpoint directory; None where it is whole."""
    if not directory.is_dir():
        return "no such directory"
    for name in REQUIRED:
        path = directory / name
        if not path.is_file():
            return f"{name} is missing"
        try:
            json.loads(path.read_text("utf-8"))
        except ValueError as error:
            return f"{name} is not valid JSON ({error})"
    if "model_type" not in json.loads((directory / "config.json").read_text("utf-8")):
        return "config.json names no model_type"
    weights = sorted(directory.glob("*.safetensors"))
    if not weights:
        return "no *.safetensors file"
    return next((fault for path in weights if (fault := _weights_fault(path))), None)


def _weights_fault(path: Path) -> str | None:
    """Check a safetensors file against its own header: 8 bytes of length, JSON, then the tensors."""
    size = path.stat().st_size
    with path.open("rb") as file:
        prefix = file.read(8)
        length = int.from_bytes(prefix, "little")
        if len(prefix) < 8 or length > size - 8:
            return f"{path.name} is truncated or not a safetensors file"
        try:
            header = json.loads(file.read(length))
        except ValueError:
            return f"{path.name}: its header is not valid JSON"
    ends = [entry["data_offsets"][1] for key, entry in header.items() if key != "__metadata__"]
    expected = 8 + length + max(ends, default=0)
    if size != expected:
        return f"{path.name} has {size} bytes, its header promises {expected}"
    return None
