"""The bundle's folder: one archive in parts, what it is (``bundle.json``), and the script that installs it."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import ZipFile

FORMAT = 1
SCRIPTS = ("install", "install.py")
LEFT_OUT = {".git", ".venv", "build", "data", "mutants", "__pycache__"}
"""Of a project that Git does not keep: what is made, or fetched, anew."""
MEGABYTE = 2**20


class PartsWriter(io.RawIOBase):
    """Writes a stream into numbered files of at most so many bytes, and digests each.

    Args:
        folder: Where the files go.
        size: Bytes of each but the last.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self._folder = folder
        self._size = size
        self._file: Any = None
        self._digest = hashlib.sha256()
        self._room = 0
        self.parts: list[dict[str, Any]] = []
        """Name, bytes and SHA-256 of each file that is finished."""

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: Any) -> int:
        """Append, opening as many further files as it takes."""
        rest = memoryview(data)
        while rest:
            if not self._room:
                self._open_next()
            piece, rest = rest[: self._room], rest[self._room :]
            self._file.write(piece)
            self._digest.update(piece)
            self._room -= len(piece)
        return len(data)

    def close(self) -> None:
        """Finish the last file."""
        self._finish()
        super().close()

    def _open_next(self) -> None:
        self._finish()
        path = self._folder / f"part.{len(self.parts):03d}"
        self._file, self._room, self._digest = path.open("wb"), self._size, hashlib.sha256()

    def _finish(self) -> None:
        if self._file is None:
            return
        path, written = Path(self._file.name), self._file.tell()
        self._file.close()
        self._file = None
        self.parts.append({"name": path.name, "bytes": written, "sha256": self._digest.hexdigest()})


def project_files(root: Path) -> Iterator[tuple[str, Path]]:
    """The project as it stands: what Git keeps or would keep, without what runs have written."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=root,
        capture_output=True,
        check=False,
    )
    if listed.returncode == 0:
        paths = [root / name for name in listed.stdout.decode().split("\0") if name]
    else:
        paths = [p for p in root.rglob("*") if not LEFT_OUT & set(p.relative_to(root).parts)]
    for path in sorted(paths):
        if path.is_file() and not path.is_symlink():
            yield f"project/{path.relative_to(root).as_posix()}", path


def write_bundle(
    folder: Path, files: Iterable[tuple[str, Path]], part_megabytes: int, facts: dict[str, Any]
) -> dict[str, Any]:
    """Write the parts, ``bundle.json`` and the scripts; returns what ``bundle.json`` says.

    Equal files make equal bytes. The folder appears when it is whole, in place of an earlier one.
    """
    files = list(files)
    with _replaced(folder) as fresh:
        writer = PartsWriter(fresh, part_megabytes * MEGABYTE)
        with tarfile.open(fileobj=writer, mode="w|", format=tarfile.PAX_FORMAT) as archive:
            for name, path in files:
                with path.open("rb") as file:
                    archive.addfile(_entry(name, path), file)
        writer.close()
        manifest = {"format": FORMAT, **facts, "unpacked_bytes": _room_for(files), "parts": writer.parts}
        (fresh / "bundle.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        for name in SCRIPTS:
            shutil.copy(Path(__file__).with_name(name), fresh / name)
    return manifest


@contextmanager
def _replaced(folder: Path) -> Iterator[Path]:
    fresh = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    try:
        yield fresh
        shutil.rmtree(folder, ignore_errors=True)
        fresh.rename(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _entry(name: str, path: Path) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    found = path.stat()
    entry.size, entry.mode = found.st_size, 0o755 if found.st_mode & 0o100 else 0o644
    return entry


def _room_for(files: Iterable[tuple[str, Path]]) -> int:
    """Bytes that installing takes: every file, and once more what is in the wheels."""
    room = 0
    for name, path in files:
        room += path.stat().st_size
        if name.startswith("wheels/"):
            with ZipFile(path) as wheel:
                room += sum(entry.file_size for entry in wheel.infolist())
    return room
