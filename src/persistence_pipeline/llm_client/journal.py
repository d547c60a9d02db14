"""A journal of replies: what was answered once is not asked again by the run that continues.

JSON lines of ``{"key": <hash of the request>, "reply": {...}}``. Each line is on the disk before its reply is
used. Requests are not written, no header ever is, and nothing that could not be read again. A journal that is open
is locked: nodes that share one and run side by side wait for each other, and the later one finds what the first
was answered.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

logger = logging.getLogger(__name__)


T = TypeVar("T")


class JournalError(ValueError):
    """A journal is damaged elsewhere than at its end, or another version wrote it."""


class Journal(Generic[T]):
    """Replies by the hash of their request; safe to use from several threads. Others wait until it is closed.

    Args:
        path: The file; made where it is not there.
        read: Makes of an entry what is handed out; raises ``ValueError`` where it cannot.

    Raises:
        JournalError: naming the line that is damaged. A last line that was cut off is dropped.
    """

    def __init__(self, path: Path, read: Callable[[Mapping[str, Any]], T]) -> None:
        self._path = path
        self._parse = read
        self._lock = threading.Lock()
        self._descriptor: int | None = self._open()
        try:
            self._replies = self._read()
        except JournalError:
            self.close()
            raise

    def __len__(self) -> int:
        return len(self._replies)

    def get(self, key: str) -> T | None:
        """The reply to a request, or None."""
        return self._replies.get(key)

    def put(self, key: str, reply: Mapping[str, Any]) -> None:
        """Write a reply; returns when it is on the disk.

        Raises:
            ValueError: it could not be read again; nothing is written.
            OSError: the disk is full, for example; the journal stays as it was.
        """
        line = json.dumps({"key": key, "reply": reply}, ensure_ascii=False, separators=(",", ":")).encode()
        _, entry = self._entry(line)
        with self._lock:
            if self._descriptor is None:
                self._descriptor = self._open()
            _append(self._descriptor, line + b"\n")
            self._replies[key] = entry

    def close(self) -> None:
        """Give the file back."""
        with self._lock:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def _open(self) -> int:
        """Open and lock the file, as soon as no other has it."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                logger.info("%s is in use: waiting for what writes to it", self._path)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            except OSError:  # a file system without locks
                return descriptor
            if self._is_there(descriptor):
                return descriptor
            os.close(descriptor)  # removed while we waited

    def _is_there(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), self._path.stat())
        except FileNotFoundError:
            return False

    def _read(self) -> dict[str, T]:
        content = self._path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            os.truncate(self._path, len(whole))
        replies = {}
        for number, line in enumerate(whole.split(b"\n")[:-1], 1):
            try:
                key, replies[key] = self._entry(line)
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise JournalError(
                    f"{self._path}, line {number}: expected a reply, found {line[:80].decode(errors='replace')} "
                    f"({_reason(error)}); remove the line, or the file to ask everything again"
                ) from None
        return replies

    def _entry(self, line: bytes) -> tuple[str, T]:
        entry = json.loads(line)
        return str(entry["key"]), self._parse(entry["reply"])


def _append(descriptor: int, line: bytes) -> None:
    """All of a line, or nothing of it: what stands in the middle would spoil what comes after."""
    before = os.fstat(descriptor).st_size
    left = memoryview(line)
    try:
        while left:
            left = left[os.write(descriptor, left) :]
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, before)
        raise


def _reason(error: Exception) -> str:
    """Why a line is no entry; one of another version has other fields."""
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError | RecursionError):
        return "not JSON"
    if isinstance(error, KeyError):
        return f"no field {error.args[0]}"
    return f"{error}; another version may have written it" if isinstance(error, ValueError) else "no JSON object"
