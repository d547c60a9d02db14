"""Atomic replacement of files and directories: a reader sees the old or the new, never a part."""

from __future__ import annotations

import glob
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


@contextmanager
def replaced_directory(target: Path) -> Iterator[Path]:
    """A new directory beside ``target`` that takes its place when the block ends without an error.

    Modes are those of newly made files, whatever was written has; an older ``target`` is removed last.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    new, old = beside / "new", beside / "old"
    new.mkdir()
    try:
        yield new
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


def replace_directory(source: Path, target: Path) -> None:
    """Copy ``source`` beside ``target`` and swap it in."""
    with replaced_directory(target) as new:
        shutil.copytree(source, new, dirs_exist_ok=True)


def remove_leftovers(target: Path) -> None:
    """Remove what a killed process left beside ``target``; nobody else may be writing it."""
    for name in target.parent.glob(f".{glob.escape(target.name)}.????????"):
        if name.is_dir():
            shutil.rmtree(name)
        else:
            name.unlink()


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
