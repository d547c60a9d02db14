"""The place of a dataset: a local path, or a URL such as ``s3://bucket/study`` through fsspec.

What a local file system can do in one step (``_atomic.py``) takes an object store an order of steps; that order is
here. No dataset is described here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec

from persistence_pipeline.datasets._atomic import replace_directory, replaced_file


class Location:
    """A file or a directory of files, local or remote.

    Args:
        filepath: A path, or a URL of any protocol that fsspec knows.
        options: Of the file system, as its constructor takes them; credentials among them.
    """

    def __init__(self, filepath: str, options: Mapping[str, Any]) -> None:
        self.files, self.path = fsspec.url_to_fs(filepath, **options)
        self.local = Path(filepath.removeprefix("file://")) if "file" in _protocols(self.files) else None
        """The path, where it is a local one."""

    def __str__(self) -> str:
        return str(self.local or self.files.unstrip_protocol(self.path))

    def is_file(self) -> bool:
        """True if there is a file, as the store itself says now."""
        self.files.invalidate_cache(self.files._parent(self.path))
        return bool(self.files.isfile(self.path))

    @contextmanager
    def open(self) -> Iterator[Any]:
        """The file, to read bytes from."""
        with self.files.open(self.path, "rb") as file:
            yield file

    def write(self, content: bytes) -> None:
        """The file appears whole or not at all: renamed into place, or put by one request."""
        if self.local:
            with replaced_file(self.local) as temporary:
                temporary.write_bytes(content)
        else:
            self.files.pipe_file(self.path, content)

    def sizes(self) -> dict[str, int] | None:
        """Bytes of each file of the directory, by name; None where there is no directory."""
        if self.local:  # follows links, which the generic listing takes for something else
            files = [path for path in self.local.iterdir() if path.is_file()] if self.local.is_dir() else None
            return None if files is None else {path.name: path.stat().st_size for path in files}
        self.files.invalidate_cache(self.path)
        try:
            entries = self.files.ls(self.path, detail=True)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if any(entry["name"] == self.path and entry["type"] == "file" for entry in entries):
            return None
        return {Path(entry["name"]).name: entry["size"] for entry in entries if entry["type"] == "file"}

    def read(self, name: str, start: int | None = None, end: int | None = None) -> bytes:
        """Bytes of a file of the directory."""
        return bytes(self.files.cat_file(self._inside(name), start=start, end=end))

    def replace(self, source: Path, last: str) -> None:
        """Make the directory hold the files of ``source``.

        A local directory is swapped in one step. A remote one lacks its file ``last`` from before the first change
        until all else is there: without that file it is not whole, and readers say so.
        """
        if self.local:
            return replace_directory(source, self.local)
        names = [path.relative_to(source).as_posix() for path in sorted(source.rglob("*")) if path.is_file()]
        names.remove(last)
        self.files.invalidate_cache(self.path)
        if self.files.exists(self._inside(last)):
            self.files.rm_file(self._inside(last))
        if self.files.exists(self.path):
            self.files.rm(self.path, recursive=True)
        for part in (names, [last]):
            self.files.put([str(source / name) for name in part], [self._inside(name) for name in part])
        return None

    def fetch(self, target: Path) -> None:
        """Copy the directory to a local one."""
        self.files.invalidate_cache(self.path)
        prefix = len(self.path.rstrip("/")) + 1
        paths = self.files.find(self.path)
        self.files.get(paths, [str(target / path[prefix:]) for path in paths])

    def _inside(self, name: str) -> str:
        return f"{self.path.rstrip('/')}/{name}"


def _protocols(files: Any) -> tuple[str, ...]:
    return (files.protocol,) if isinstance(files.protocol, str) else tuple(files.protocol)
