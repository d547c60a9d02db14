"""A file beside a report that is there while the report may be older than what it was made from."""

from __future__ import annotations

from typing import Any

OUTDATED = "OUTDATED.txt"
"""Lies beside a report while it may be older than what it is made from."""


class Notice:
    """The notice of a folder of reports.

    Args:
        folder: A path or a URL.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def write(self, text: str) -> None:
        """Put the notice up."""
        files, path = self._place()
        files.makedirs(files._parent(path), exist_ok=True)
        files.pipe_file(path, f"{text}\n".encode())

    def clear(self) -> None:
        """Take the notice down."""
        files, path = self._place()
        if files.exists(path):
            files.rm_file(path)

    def _place(self) -> tuple[Any, str]:
        import fsspec

        files, path = fsspec.url_to_fs(f"{self.folder}/{OUTDATED}")
        return files, str(path)
