"""A model checkpoint with its tokenizer: a directory of safetensors and JSON, on a disk or in an object store.

The files are checked without loading the model; neither torch nor transformers is imported.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset, DatasetError
from kedro_datasets._typing import JSONPreview

from persistence_pipeline.datasets._location import Location

CONFIG = "config.json"
"""Written last to an object store: without it a checkpoint is not whole."""
REQUIRED = (CONFIG, "tokenizer.json", "tokenizer_config.json")
INDEX = "model.safetensors.index.json"
PREVIEWED = ("model_type", "architectures", "hidden_size", "n_embd", "num_hidden_layers", "n_layer", "vocab_size")


class CheckpointDataset(AbstractDataset[Path, Path]):
    """Loads as the path of a checked directory; saves a directory so that no reader takes a part for the whole.

    Args:
        filepath: The checkpoint directory: a path, or a URL such as ``s3://bucket/study/06_models/cell``. From a
            URL it is loaded as a copy below the temporary directory, which goes when the dataset is released.
        credentials: Of the file system behind a URL.
        fs_args: Other options of that file system.
        metadata: Ignored by Kedro, read by its plugins.
    """

    def __init__(
        self,
        *,
        filepath: str,
        credentials: dict[str, Any] | None = None,
        fs_args: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._location = Location(filepath, {**(credentials or {}), **(fs_args or {})})
        self._filepath = str(self._location)  # where Kedro's plugins look
        self._copies: list[Path] = []
        self.metadata = metadata

    def load(self) -> Path:
        """The directory, or a copy of it, once its files are complete.

        Raises:
            DatasetError: naming the file and what was expected of it.
        """
        self._refuse(self._location, f"{self._location} is not a whole checkpoint")
        if self._location.local:
            return self._location.local
        copy = self._new_copy()
        self._location.fetch(copy)
        self._refuse(_local(copy), f"{self._location} changed while it was copied")
        return copy

    def save(self, data: Path) -> None:
        """Copy a finished directory to its place.

        Raises:
            DatasetError: if the directory is not a whole checkpoint; nothing is written then.
        """
        data = Path(data)
        self._refuse(_local(data), f"{data} is not a whole checkpoint and was not saved")
        self._location.replace(data, last=CONFIG)

    def _refuse(self, location: Location, told: str) -> None:
        fault = find_fault(location)
        if fault:
            raise DatasetError(f"{told}: {fault}")

    def _new_copy(self) -> Path:
        """A directory with the checkpoint's name; it goes when the dataset does."""
        above = Path(tempfile.mkdtemp(prefix="checkpoint-"))
        weakref.finalize(self, shutil.rmtree, above, ignore_errors=True)
        self._copies.append(above)
        copy = above / Path(str(self._location)).name
        copy.mkdir()
        return copy

    def _release(self) -> None:
        while self._copies:
            shutil.rmtree(self._copies.pop(), ignore_errors=True)

    def _exists(self) -> bool:
        return find_fault(self._location) is None

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._location)}

    def preview(self) -> JSONPreview:
        """Shape and size of the model, for kedro-viz."""
        config = json.loads(self._location.read(CONFIG))
        sizes = self._location.sizes() or {}
        weights = sum(size for name, size in sizes.items() if name.endswith(".safetensors"))
        shown = {key: config[key] for key in PREVIEWED if key in config}
        return JSONPreview(json.dumps({**shown, "weights_bytes": weights}))


def _local(directory: Path) -> Location:
    return Location(str(directory), {})


def find_fault(directory: Location) -> str | None:
    """Name what is missing or broken in a checkpoint directory; None where it is whole."""
    sizes = directory.sizes()
    if sizes is None:
        return "no such directory"
    names = [*REQUIRED, *([INDEX] if INDEX in sizes else [])]
    fault = next((fault for name in names if (fault := _json_fault(directory, name, sizes))), None)
    if fault:
        return fault
    if "model_type" not in json.loads(directory.read(CONFIG)):
        return "config.json has no field model_type, so it is not the configuration of a transformers model"
    shards = _shards(directory, sizes)
    return next((fault for name in shards if (fault := _weights_fault(directory, name, sizes))), None)


def _json_fault(directory: Location, name: str, sizes: dict[str, int]) -> str | None:
    if name not in sizes:
        return f"{name} is missing"
    try:
        value = json.loads(directory.read(name))
    except ValueError as error:
        return f"{name} is not valid JSON ({error})"
    return None if isinstance(value, dict) else f"{name}: expected a JSON object, found {type(value).__name__}"


def _shards(directory: Location, sizes: dict[str, int]) -> list[str]:
    """Files that must hold the weights: those that the index names, or the one file."""
    if INDEX not in sizes:
        return ["model.safetensors"]
    weight_map = json.loads(directory.read(INDEX)).get("weight_map", {})
    return sorted(set(weight_map.values())) or ["model.safetensors"]


def _weights_fault(directory: Location, name: str, sizes: dict[str, int]) -> str | None:
    """Check a safetensors file against its own header: 8 bytes of length, JSON, then the tensors."""
    if name not in sizes:
        return f"{name} is missing"
    size = sizes[name]
    prefix = directory.read(name, 0, 8) if size else b""
    length = int.from_bytes(prefix, "little")
    if len(prefix) < 8 or length > size - 8:
        return f"{name} is truncated or not a safetensors file: its header does not fit its {size} bytes"
    try:
        header = json.loads(directory.read(name, 8, 8 + length))
        ends = [entry["data_offsets"][1] for key, entry in header.items() if key != "__metadata__"]
        expected = 8 + length + max(ends)
    except (ValueError, TypeError, LookupError, AttributeError):
        return f"{name}: its header is not that of a safetensors file"
    return None if size == expected else f"{name} has {size} bytes, its header promises {expected}"
