"""Atomic replacement of files and directories: a reader sees the old or the new, never a part."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replaced_file(target: Path) -> Iterator[Path]:
    """A temporary sibling of ``target`` that takes its place when the block ends without an error."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        _fsync(temporary)
        temporary.replace(target)
        _fsync(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


def replace_directory(source: Path, target: Path) -> None:
    """Copy ``source`` beside ``target`` and swap it in; an older ``target`` is removed last.

    Modes are those of newly made files, whatever the source's are.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    new, old = beside / "new", beside / "old"
    try:
        shutil.copytree(source, new)
        for path in (*new.rglob("*"), new):
            path.chmod((0o777 if path.is_dir() else 0o666) & ~_umask())
            _fsync(path)
        if target.exists():
            target.replace(old)
        new.replace(target)
        _fsync(target.parent)
    finally:
        if old.exists() and not target.exists():
            old.replace(target)
        shutil.rmtree(beside, ignore_errors=True)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
