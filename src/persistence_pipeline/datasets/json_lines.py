"""JSON lines of pydantic records: cases, trajectories, preference pairs."""

from __future__ import annotations

import importlib
import json
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from kedro.io import AbstractDataset, DatasetError
from kedro_datasets._typing import JSONPreview
from pydantic import BaseModel, ValidationError

from persistence_pipeline.datasets._location import Location
from persistence_pipeline.json_values import MAX_DEPTH as VALUE_DEPTH
from persistence_pipeline.json_values import JsonError, shortened, strict_json

PREVIEWED = 3
MAX_DEPTH = VALUE_DEPTH + 16
"""Objects and lists within one another in a line: those of a call's arguments, and the record around them."""
SHOWN = 80
"""Characters of an offending value that an error shows."""


class JsonLinesDataset(AbstractDataset[Sequence[BaseModel], list[BaseModel]]):
    """A list of records, one a line; equal records give equal bytes.

    Args:
        filepath: The file: a path, or a URL such as ``s3://bucket/study/cases.jsonl``.
        record: Dotted path of the pydantic model of a line.
        credentials: Of the file system behind a URL.
        fs_args: Other options of that file system.
        metadata: Ignored by Kedro, read by its plugins.

    Raises:
        DatasetError: ``record`` does not name a pydantic model.
    """

    def __init__(
        self,
        *,
        filepath: str,
        record: str,
        credentials: dict[str, Any] | None = None,
        fs_args: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._location = Location(filepath, {**(credentials or {}), **(fs_args or {})})
        self._filepath = str(self._location)  # where Kedro's plugins look
        self._record = _find_model(record)
        self.metadata = metadata

    def load(self) -> list[BaseModel]:
        """Every line as a record; blank lines are skipped.

        Raises:
            DatasetError: naming file, line, field, what was expected and what was found.
        """
        if not self._location.is_file():
            raise DatasetError(f"{self._location}: no such file (expected JSON lines of {self._record.__name__})")
        records = []
        parse = self._record.model_validate_json
        with self._location.open() as lines:
            for number, line in enumerate(_without_mark(lines), 1):
                if not line.strip():
                    continue
                try:
                    records.append(parse(line))
                    fault = _not_storable(line)
                except ValidationError as error:
                    fault = _not_storable(line) or describe_fault(error, cut_off=not line.endswith(b"\n"))
                if fault:
                    raise DatasetError(f"{self._location}, line {number}: {fault}")
        return records

    def save(self, data: Sequence[BaseModel]) -> None:
        """Write the records; the file appears whole or not at all.

        Raises:
            DatasetError: naming the first item that is not a record of this dataset.
        """
        for index, record in enumerate(data):
            if not isinstance(record, self._record):
                found, expected = type(record).__name__, self._record.__name__
                raise DatasetError(f"{self._location}: item {index} is a {found}, expected {expected}")
        self._location.write(b"".join(f"{record.model_dump_json()}\n".encode() for record in data))

    def _exists(self) -> bool:
        return self._location.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._location), "record": self._record.__name__}

    def preview(self) -> JSONPreview:
        """The first records, for kedro-viz."""
        with self._location.open() as lines:
            first = islice(_without_mark(lines), PREVIEWED)
            return JSONPreview(json.dumps([json.loads(line) for line in first]))


def _without_mark(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of a file; a byte order mark before the first, as some editors write it, is no part of it."""
    for number, line in enumerate(lines):
        yield line if number else line.removeprefix(BOM_UTF8)


def _find_model(path: str) -> type[BaseModel]:
    module, _, name = path.rpartition(".")
    try:
        model = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise DatasetError(f"record {path!r} cannot be imported: {error}") from None
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        raise DatasetError(f"record {path!r} is not a pydantic model")
    return model


def _not_storable(line: bytes) -> str:
    """What the line holds that pydantic forgives or does not place, and that would not be read back equal."""
    try:
        strict_json(line.decode(errors="replace"), MAX_DEPTH)
    except JsonError as fault:
        return f"field {fault}" if fault.path else ""
    return ""


def describe_fault(error: ValidationError, cut_off: bool = False) -> str:
    """The first fault of a record: field, what was expected, what was found.

    ``cut_off`` says that the line lacks its end, as the last one does where writing was interrupted.
    """
    fault = error.errors()[0]
    field = ".".join(map(str, fault["loc"]))
    if fault["type"] == "missing":
        return f"field {field}: expected, but missing"
    if not field and fault["type"] == "value_error":
        return str(fault["ctx"]["error"])
    found = (
        fault["input"] if isinstance(fault["input"], bytes) else json.dumps(fault["input"], default=str).encode()
    )
    shown = found.decode(errors="replace").strip()
    shown = shortened(shown, SHOWN)
    if not field:
        hint = "; the file seems to be cut off here" if cut_off else ""
        return f"expected one JSON object, found {shown} ({fault['msg']}{hint})"
    return f"field {field}: {fault['msg']}, found {shown}"
