"""A journal of replies: what was answered once is not asked again by the run that continues.

JSON lines of ``{"key": <hash of the request>, "reply": {...}}``. Each line is on the disk before its reply is
used. Requests are not written, and no header ever is. A journal that is open is locked: nodes that share one and
run side by side wait for each other, and the later one finds what the first was answered.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

logger = logging.getLogger(__name__)


class JournalFault(ValueError):
    """A journal is damaged elsewhere than at its end."""


class Journal:
    """Replies by the hash of their request; safe to use from several threads. Others wait until it is closed.

    Args:
        path: The file; made where it is not there.

    Raises:
        JournalFault: naming the line that is damaged. A last line that was cut off is dropped.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._descriptor: int | None = self._open()
        try:
            self._replies = self._read()
        except JournalFault:
            self.close()
            raise

    def __len__(self) -> int:
        return len(self._replies)

    def get(self, key: str) -> dict[str, Any] | None:
        """The reply to a request, or None."""
        return self._replies.get(key)

    def put(self, key: str, reply: dict[str, Any]) -> None:
        """Write a reply; returns when it is on the disk."""
        line = json.dumps({"key": key, "reply": reply}, ensure_ascii=False, separators=(",", ":"))
        with self._lock:
            if self._descriptor is None:
                self._descriptor = self._open()
            written = memoryview(f"{line}\n".encode())
            while written:
                written = written[os.write(self._descriptor, written) :]
            os.fsync(self._descriptor)
            self._replies[key] = reply

    def remove(self) -> None:
        """Remove the file and give it back."""
        with self._lock:
            self._path.unlink(missing_ok=True)
        self.close()

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

    def _read(self) -> dict[str, dict[str, Any]]:
        content = self._path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            os.truncate(self._path, len(whole))
        replies = {}
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                entry = json.loads(line)
                replies[str(entry["key"])] = dict(entry["reply"])
            except (ValueError, KeyError, TypeError):
                raise JournalFault(
                    f"{self._path}, line {number}: expected a reply, found {line[:80].decode(errors='replace')}; "
                    "remove the line, or the file to ask everything again"
                ) from None
        return replies
