"""A note for as long as a run lasts: what was typed, where its nodes leave their records, how long they took.

The note is locked by the run's process. One that is left without a lock tells of a run that was killed.
"""

from __future__ import annotations

import atexit
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

from persistence_pipeline.provenance.ledger import Desk

VARIABLE = "PERSISTENCE_RUN"
"""Environment variable in which processes that a run starts find its note."""


class RunNote:
    """The note of this process's run; use ``open``."""

    def __init__(self, path: Path, file: int) -> None:
        self._path, self._file, self._process = path, file, os.getpid()

    @classmethod
    def open(cls, folder: Path, command: str, desk: Desk) -> RunNote:
        """Leave a note.

        Args:
            folder: Of the notes.
            command: What continues the run, should it be stopped.
            desk: Where its nodes leave their records.
        """
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{os.getpid()}.json"
        temporary = folder / f".{path.name}"
        file = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o666)
        fcntl.flock(file, fcntl.LOCK_EX)
        os.write(file, json.dumps({"command": command, "desk": desk.dump()}).encode())
        temporary.replace(path)
        os.environ[VARIABLE] = str(path)
        note = cls(path, file)
        atexit.register(note.close)
        return note

    def close(self) -> None:
        """The run has ended in good order: take the note away."""
        atexit.unregister(self.close)
        if self._process == os.getpid() and os.environ.get(VARIABLE) == str(self._path):
            del os.environ[VARIABLE]
            for path in (self._path, _times(self._path)):
                path.unlink(missing_ok=True)
            os.close(self._file)


def desk_of_run() -> Desk | None:
    """The desk of the run that this process belongs to; none outside of a run."""
    try:
        return Desk.load(Path(os.environ[VARIABLE]))
    except (KeyError, OSError, ValueError):
        return None


def took(node: str, seconds: float) -> None:
    """Take down how long a node of the run took that this process belongs to; outside of a run, nothing."""
    if VARIABLE in os.environ:
        with _times(Path(os.environ[VARIABLE])).open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps([node, seconds])}\n")  # one write of few bytes: lines of two do not mix


def seconds_of_run() -> dict[str, float]:
    """By node, how long those of the run took so far that this process belongs to."""
    path = _times(Path(os.environ[VARIABLE])) if VARIABLE in os.environ else None
    return dict(map(json.loads, path.read_text("utf-8").splitlines())) if path and path.is_file() else {}


def _times(note: Path) -> Path:
    return note.with_name(f"{note.stem}.times")


def cut_off(folder: Path) -> Iterator[str]:
    """Commands that continue runs whose processes were killed; each is told once."""
    for path in sorted(folder.glob("*.json")):
        try:
            with path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                command = str(json.load(file)["command"])
                path.unlink()
                _times(path).unlink(missing_ok=True)
        except BlockingIOError:  # it lives
            continue
        except (OSError, ValueError, KeyError):
            path.unlink(missing_ok=True)
            continue
        yield command
