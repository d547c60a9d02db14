"""JSON lines of pydantic records: cases, trajectories, preference pairs."""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset, DatasetError
from pydantic import BaseModel, ValidationError

from persistence_pipeline.datasets._atomic import replaced_file

PREVIEWED = 3


class JsonLinesDataset(AbstractDataset[Sequence[BaseModel], list[BaseModel]]):
    """A list of records, one a line.

    Args:
        filepath: The file.
        record: Dotted path of the pydantic model of a line.
        metadata: Ignored by Kedro, read by its plugins.
    """

    def __init__(self, *, filepath: str, record: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = Path(filepath)
        module, _, name = record.rpartition(".")
        self._record: type[BaseModel] = getattr(importlib.import_module(module), name)
        self.metadata = metadata

    def load(self) -> list[BaseModel]:
        """Every line as a record.

        Raises:
            DatasetError: naming file, line, field, what was expected and what was found.
        """
        records = []
        with self._filepath.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    records.append(self._record.model_validate_json(line))
                except ValidationError as error:
                    raise DatasetError(f"{self._filepath}, line {number}: {describe_fault(error)}") from None
        return records

    def save(self, data: Sequence[BaseModel]) -> None:
        """Write the records; the file appears whole or not at all."""
        with replaced_file(self._filepath) as temporary, temporary.open("w", encoding="utf-8") as file:
            file.writelines(f"{record.model_dump_json()}\n" for record in data)

    def _exists(self) -> bool:
        return self._filepath.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), "record": self._record.__name__}

    def preview(self) -> dict[str, Any]:
        """The first records, for kedro-viz."""
        with self._filepath.open(encoding="utf-8") as lines:
            return {"first": [json.loads(line) for _, line in zip(range(PREVIEWED), lines, strict=False)]}

    preview.__annotations__["return"] = "JSONPreview"


def describe_fault(error: ValidationError) -> str:
    """The first fault of a record: field, what was expected, what was found."""
    fault = error.errors()[0]
    field = ".".join(map(str, fault["loc"])) or "the line"
    found = json.dumps(fault["input"], default=str)
    shown = found if len(found) <= 80 else f"{found[:77]}…"
    return f"field {field}: {fault['msg']}, found {shown}"
