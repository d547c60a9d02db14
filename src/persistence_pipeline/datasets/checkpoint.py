"""A model checkpoint with its tokenizer: a directory of safetensors and JSON.

The files are checked without loading the model; neither torch nor transformers is imported.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset, DatasetError
from kedro_datasets._typing import JSONPreview

from persistence_pipeline.datasets._atomic import replace_directory

REQUIRED = ("config.json", "tokenizer.json", "tokenizer_config.json")
INDEX = "model.safetensors.index.json"
PREVIEWED = ("model_type", "architectures", "hidden_size", "n_embd", "num_hidden_layers", "n_layer", "vocab_size")


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
        data = Path(data)
        fault = find_fault(data)
        if fault:
            raise DatasetError(f"{data} is not a whole checkpoint and was not saved: {fault}")
        replace_directory(data, self._filepath)

    def _exists(self) -> bool:
        return find_fault(self._filepath) is None

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}

    def preview(self) -> JSONPreview:
        """Shape and size of the model, for kedro-viz."""
        directory = self.load.__wrapped__(self)  # type: ignore[attr-defined]
        config = json.loads((directory / "config.json").read_text("utf-8"))
        size = sum(path.stat().st_size for path in directory.glob("*.safetensors"))
        shown = {key: config[key] for key in PREVIEWED if key in config}
        return JSONPreview(json.dumps({**shown, "weights_bytes": size}))


def find_fault(directory: Path) -> str | None:
    """What is missing or broken in a checkpoint directory; None where it is whole."""
    if not directory.is_dir():
        return "no such directory"
    names = [*REQUIRED, *([INDEX] if (directory / INDEX).exists() else [])]
    fault = next((fault for name in names if (fault := _json_fault(directory / name))), None)
    if fault:
        return fault
    if "model_type" not in json.loads((directory / "config.json").read_text("utf-8")):
        return "config.json has no field model_type, so it is not the configuration of a transformers model"
    shards = _shards(directory)
    return next((fault for path in shards if (fault := _weights_fault(path))), None)


def _json_fault(path: Path) -> str | None:
    if not path.is_file():
        return f"{path.name} is missing"
    try:
        value = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        return f"{path.name} is not valid JSON ({error})"
    return (
        None if isinstance(value, dict) else f"{path.name}: expected a JSON object, found {type(value).__name__}"
    )


def _shards(directory: Path) -> list[Path]:
    """Files that must hold the weights: those that the index names, or the one file."""
    if not (directory / INDEX).exists():
        return [directory / "model.safetensors"]
    weight_map = json.loads((directory / INDEX).read_text("utf-8")).get("weight_map", {})
    return [directory / name for name in sorted(set(weight_map.values()))] or [directory / "model.safetensors"]


def _weights_fault(path: Path) -> str | None:
    """Check a safetensors file against its own header: 8 bytes of length, JSON, then the tensors."""
    if not path.is_file():
        return f"{path.name} is missing"
    size = path.stat().st_size
    with path.open("rb") as file:
        prefix = file.read(8)
        length = int.from_bytes(prefix, "little")
        if len(prefix) < 8 or length > size - 8:
            return f"{path.name} is truncated or not a safetensors file: its header does not fit its {size} bytes"
        try:
            header = json.loads(file.read(length))
            ends = [entry["data_offsets"][1] for key, entry in header.items() if key != "__metadata__"]
            expected = 8 + length + max(ends)
        except (ValueError, TypeError, LookupError, AttributeError):
            return f"{path.name}: its header is not that of a safetensors file"
    if size != expected:
        return f"{path.name} has {size} bytes, its header promises {expected}"
    return None
