"""The machine that a bundle is for: its Python, its platform, and what its site packages hold already."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

LEGACY = {(2, 5): "manylinux1", (2, 12): "manylinux2010", (2, 17): "manylinux2014"}
"""Older names of platforms, by the glibc that they stand for."""
_PLATFORM = re.compile(r"(?:manylinux_2_(?P<minor>\d+)|(?P<legacy>manylinux(?:1|2010|2014)))_(?P<machine>\w+)")
_COLUMNS = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*)\s+(?P<version>[0-9]\S*)(\s.*)?")


class BundleError(ValueError):
    """A bundle cannot be made as it was asked for."""


@dataclass(frozen=True)
class Target:
    """A machine: which wheels it can install, and which it need not."""

    python: str
    """Version of its Python, as ``3.12``."""
    machine: str
    """Of its processor, as ``x86_64``."""
    glibc: tuple[int, int]
    """Of its C library; it runs wheels built for that one or an older one."""
    installed: Mapping[str, Version] = field(default_factory=dict)
    """What its site packages hold, by canonical name."""

    @classmethod
    def of(cls, python: str, platform: str, installed: Path | None = None) -> Target:
        """A target as the command line names it.

        Raises:
            BundleError: a Python or a platform that no wheel is named for, or a list that cannot be read.
        """
        if not re.fullmatch(r"3\.\d+", python):
            raise BundleError(f"Python {python!r}: expected a version such as 3.12")
        match = _PLATFORM.fullmatch(platform)
        if match is None:
            raise BundleError(f"platform {platform!r}: expected one such as manylinux_2_28_x86_64")
        glibc = {name: version for version, name in LEGACY.items()}.get(match["legacy"] or "")
        packages = read_installed(installed) if installed else {}
        return cls(python, match["machine"], glibc or (2, int(match["minor"])), packages)

    @property
    def pip_options(self) -> list[str]:
        """What makes pip look for this machine's wheels; pip takes each platform by its exact name."""
        options = ["--only-binary=:all:", "--python-version", self.python, "--implementation", "cp"]
        for minor in range(self.glibc[1], 4, -1):
            names = [f"manylinux_2_{minor}", LEGACY.get((2, minor))]
            options += [f"--platform={name}_{self.machine}" for name in names if name]
        return [*options, f"--platform=linux_{self.machine}"]

    @property
    def markers(self) -> dict[str, str]:
        """The environment in which markers of requirements are read: that machine's, not this one's."""
        return {
            "implementation_name": "cpython",
            "implementation_version": f"{self.python}.0",
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": f"{self.python}.0",
            "python_version": self.python,
            "sys_platform": "linux",
        }

    def has(self, name: str, wanted: SpecifierSet) -> bool:
        """Whether its site packages hold a version of the package that will do."""
        return name in self.installed and wanted.contains(self.installed[name], prereleases=True)


def read_installed(path: Path) -> dict[str, Version]:
    """Names and versions in what ``pip freeze`` or ``pip list`` (columns or JSON) printed on a machine.

    Raises:
        BundleError: no such file, or a line that is none of these.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BundleError(f"{path}: {error.strerror or error}") from None
    if text.lstrip().startswith("["):
        return _from_json(path, text)
    found: dict[str, Version] = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith(("#", "-")) or line.split()[:2] == ["Package", "Version"]:
            continue  # comments, rules, editable installs (-e), the head of the table
        name, version = _read_line(line)
        try:
            if version is not None:  # of an archive without a version in its name nothing is known
                found[canonicalize_name(name)] = Version(version)
        except InvalidVersion:
            raise BundleError(
                f"{path}:{number}: expected a line of `pip freeze` or `pip list`, found {line!r}"
            ) from None
    return found


def _read_line(line: str) -> tuple[str, str | None]:
    name, at, address = line.partition(" @ ")
    if at:
        archive = address.partition("#")[0].rstrip("/").rpartition("/")[2].replace("%2B", "+")
        return name, str(parse_wheel_filename(archive)[1]) if archive.endswith(".whl") else None
    name, equal, version = line.partition("==")
    if equal:
        return name, version.partition(";")[0].strip()
    columns = _COLUMNS.fullmatch(line)
    return (columns["name"], columns["version"]) if columns else (line, "")


def _from_json(path: Path, text: str) -> dict[str, Version]:
    try:
        return {canonicalize_name(entry["name"]): Version(entry["version"]) for entry in json.loads(text)}
    except (ValueError, TypeError, KeyError) as error:
        raise BundleError(f"{path}: expected what `pip list --format=json` prints ({error})") from None
