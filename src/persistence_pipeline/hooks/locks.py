"""Keeps two runs from working on the same data at once.

A data folder has one lock file. Each dataset is one byte of it, which the operating system locks for as long as
the process lives: exclusively where a run writes the dataset, shared where it reads it. Runs over different
datasets (cells side by side) do not meet, and a killed run leaves no lock behind.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

SHOWN = 3
"""Datasets named in an error."""
_LINUX_FLOCK = "hhqqi"


class DataFolderError(RuntimeError):
    """A run cannot have the data folder that it needs."""


class DataLock:
    """The locks of one run; they end with ``release`` or with the process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def acquire(self, written: Iterable[str], read: Iterable[str]) -> None:
        """Lock datasets by name.

        Raises:
            DataFolderError: another run works on one of them, or the folder cannot be written to.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise DataFolderError(
                f"the data folder cannot be written to: {error.strerror}: {error.filename}"
            ) from None
        written = set(written)
        busy = {name: pid for name in sorted(written) if (pid := self._blocked(name, fcntl.F_WRLCK))}
        busy |= {name: pid for name in sorted(set(read) - written) if (pid := self._blocked(name, fcntl.F_RDLCK))}
        if busy:
            self.release()
            raise DataFolderError(_busy_message(busy))

    def release(self) -> None:
        """Let other runs have the datasets."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _blocked(self, name: str, kind: int) -> int:
        """Lock one dataset; where that fails, the process that holds it (-1 where it cannot be told)."""
        assert self._file is not None  # noqa: S101
        exclusive = kind == fcntl.F_WRLCK
        byte = int.from_bytes(hashlib.sha256(name.encode()).digest()[:7], "big")
        try:
            fcntl.lockf(self._file, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB, 1, byte)
        except BlockingIOError:
            return _holder(self._file, kind, byte)
        return 0


def _holder(file: int, kind: int, byte: int) -> int:
    if sys.platform != "linux":
        return -1
    asked = struct.pack(_LINUX_FLOCK, kind, os.SEEK_SET, byte, 1, 0)
    return int(struct.unpack(_LINUX_FLOCK, fcntl.fcntl(file, fcntl.F_GETLK, asked))[-1]) or -1


def _busy_message(busy: dict[str, int]) -> str:
    names = list(busy)
    shown = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if names[SHOWN:] else "")
    known = sorted({pid for pid in busy.values() if pid > 0})
    who = f" (process {', '.join(map(str, known))})" if known else ""
    return (
        f"another run{who} is working on {shown}: wait until it has ended, run other cells, or give "
        "this run its own data folder (`data` in globals.yml of an environment)"
    )
