"""Which wheels a machine lacks, and where they come from.

Versions are those of ``constraints.txt``, except where the machine's own will do. What a wheel needs is read from
its metadata for that machine's Python and platform: pip's resolver reads markers for the Python that it runs on.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version

from bundle.target import LEGACY, BundleError, Target

INSTALLER = "pip"
"""Carried too: not every Python comes with one, and so the same one installs everywhere."""
ROUNDS = 60
_GLIBC = re.compile(r"manylinux(?:_2_(?P<minor>\d+)|1|2010|2014)(?=_)")
_NO_WHEEL = re.compile(r"No matching distribution found for (?P<wanted>\S+)")


@dataclass
class Demand:
    """What the packages that are carried ask of one package."""

    wanted: SpecifierSet = field(default_factory=SpecifierSet)
    extras: set[str] = field(default_factory=set)
    by: list[str] = field(default_factory=list)

    def add(self, requirement: Requirement, by: str) -> None:
        """One more that asks."""
        self.wanted &= requirement.specifier
        self.extras |= requirement.extras
        self.by.append(f"{requirement.specifier or 'any version'} by {by}")


@dataclass(frozen=True)
class Selection:
    """What a bundle carries, and what it relies on; versions by canonical name."""

    carried: dict[str, str]
    """What is installed there."""
    builders: dict[str, str]
    """Carried too, but only to install the rest."""
    relied_on: dict[str, str]
    """What the machine has, and what will do."""

    @property
    def pins(self) -> list[str]:
        """All that is downloaded."""
        return sorted({f"{name}=={v}" for part in (self.carried, self.builders) for name, v in part.items()})


class _NotServedError(BundleError):
    """A package cannot be had."""

    def __init__(self, requirement: str, why: str) -> None:
        super().__init__(f"{requirement}: {why}")
        self.name = canonicalize_name(Requirement(requirement).name)


class Index:
    """pip, asked for the wheels of one machine.

    Args:
        target: The machine.
        built: Folder for wheels of packages that come as source alone.
    """

    def __init__(self, target: Target, built: Path) -> None:
        self._target = target
        self._built = built
        _run(["-m", "pip"], "download", "--no-deps", "--quiet", f"--dest={built}", INSTALLER)
        found = next(built.glob(f"{INSTALLER}-*.whl"), None)
        if found is None:
            raise BundleError(f"the package index does not answer: {INSTALLER} cannot be downloaded")
        with ZipFile(found) as archive:  # the newest: older ones read Requires-Python for the Python they run on
            archive.extractall(built / INSTALLER)
        self._program = [str(built / INSTALLER / "pip")]
        self._known: dict[str, dict[str, Any]] = {}

    def metadata(self, wanted: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Metadata of the best wheel for each requirement, by requirement.

        Raises:
            BundleError: there is none, and none can be built here.
        """
        wanted = list(wanted)
        unknown = sorted({requirement for requirement in wanted if requirement not in self._known})
        if unknown:
            for requirement, found in zip(unknown, self._ask(unknown), strict=True):
                self._known[requirement] = found
        return {requirement: self._known[requirement] for requirement in wanted}

    def metadata_if_any(self, pins: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Metadata of those exact versions that the index has: a machine may have builds of its own."""
        left = set(pins)
        while True:
            try:
                return self.metadata(left)
            except _NotServedError as fault:
                left = {pin for pin in left if canonicalize_name(Requirement(pin).name) != fault.name}

    def download(self, pins: Iterable[str], folder: Path) -> None:
        """Wheels of exact versions into a folder."""
        self._pip("download", "--no-deps", "--dest", str(folder), *sorted(pins))

    def _ask(self, requirements: Sequence[str]) -> list[dict[str, Any]]:
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "report.json"
            options = ["--dry-run", "--no-deps", "--ignore-installed", "--report", str(report), "--target", folder]
            self._pip("install", *options, *requirements)
            entries = json.loads(report.read_text("utf-8"))["install"]
        found = {canonicalize_name(entry["metadata"]["name"]): entry["metadata"] for entry in entries}
        return [found[canonicalize_name(Requirement(requirement).name)] for requirement in requirements]

    def _pip(self, command: str, *arguments: str) -> None:
        """Run pip; where a package has no wheel, build it and try again."""
        while True:
            options = [*self._target.pip_options, f"--find-links={self._built}", "--quiet"]
            done = _run(self._program, command, *options, *arguments)
            if done.returncode == 0:
                return
            missing = _NO_WHEEL.search(done.stderr)
            if missing is None:
                raise BundleError(f"pip {command}: {_last_line(done.stderr)}")
            self._build(missing["wanted"])

    def _build(self, requirement: str) -> None:
        """A wheel of a package that comes as source, where it is one for every machine."""
        known = {path.name for path in self._built.glob("*.whl")}
        done = _run(self._program, "wheel", "--no-deps", "--quiet", f"--wheel-dir={self._built}", requirement)
        made = [path for path in self._built.glob("*.whl") if path.name not in known]
        where = f"Python {self._target.python} on {self._target.machine}"
        if done.returncode or not made:
            raise _NotServedError(requirement, f"no wheel for {where}, and none can be built here")
        if not made[0].name.endswith("-none-any.whl"):
            made[0].unlink()
            raise _NotServedError(requirement, f"no wheel for {where}, and one built here would run here alone")


def needed_glibc(wheels: Iterable[Path]) -> tuple[int, int]:
    """The oldest glibc that all of the wheels run on; (0, 0) where none of them is compiled."""
    newest = (0, 0)
    for wheel in wheels:
        platforms = [tag.platform for tag in parse_wheel_filename(wheel.name)[3]]
        found = [_GLIBC.match(platform) for platform in platforms]
        legacy = {name: version for version, name in LEGACY.items()}
        oldest = [legacy.get(m[0]) or (2, int(m["minor"])) for m in found if m]
        newest = max(newest, min(oldest, default=(0, 0)))
    return newest


def _run(program: Sequence[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *program, *arguments, "--disable-pip-version-check"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.startswith("ERROR")] or text.strip().splitlines()
    return lines[-1] if lines else "failed without a word"


def project_requirements(pyproject: Path, extras: Sequence[str]) -> tuple[list[Requirement], list[Requirement]]:
    """What the project needs with these extras, and what is needed to install it.

    Raises:
        BundleError: there is no such extra.
    """
    tables = tomllib.loads(pyproject.read_text(encoding="utf-8"))
    optional = tables["project"].get("optional-dependencies", {})
    unknown = [extra for extra in extras if extra not in optional]
    if unknown:
        raise BundleError(f"no extra {unknown[0]!r} in {pyproject.name}; there are {', '.join(sorted(optional))}")
    needed = [*tables["project"].get("dependencies", []), *(r for extra in extras for r in optional[extra])]
    builders = [*tables["build-system"]["requires"], INSTALLER]
    return [Requirement(text) for text in needed], [Requirement(text) for text in builders]


def read_constraints(path: Path) -> dict[str, str]:
    """Versions by canonical name."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    pins = [line.strip().split("==") for line in lines if "==" in line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pins}


def select(
    needed: Sequence[Requirement],
    builders: Sequence[Requirement],
    constraints: Mapping[str, str],
    target: Target,
    index: Index,
) -> Selection:
    """What must be carried so that ``needed`` can be installed on the machine, with all that it needs in turn.

    Args:
        needed: Requirements of the project.
        builders: What installs it; carried in any case.
        constraints: Versions to carry.
        target: The machine.
        index: Where metadata comes from.

    Raises:
        BundleError: requirements that no version meets.
    """
    built_with = index.metadata(str(requirement) for requirement in builders).values()
    tools = {canonicalize_name(m["name"]): m["version"] for m in built_with}
    unfit: set[str] = set()
    while True:
        carried, kept = _settle(needed, constraints, target, index, unfit)
        clashing = _clashing(carried, kept, target, index)
        if not clashing:
            return Selection(carried, {n: v for n, v in tools.items() if n not in carried}, kept)
        unfit |= clashing


def _settle(
    needed: Sequence[Requirement],
    constraints: Mapping[str, str],
    target: Target,
    index: Index,
    unfit: Collection[str],
) -> tuple[dict[str, str], dict[str, str]]:
    """Versions to carry, and versions of the machine that will do; the ``unfit`` will not."""
    pins: dict[str, str] = {}
    for _ in range(ROUNDS):
        found = index.metadata(pins.values())
        demands = _demands(needed, pins, found, target, index)
        lacking = {
            name: _pin(name, demand, constraints)
            for name, demand in demands.items()
            if name in unfit or not target.has(name, demand.wanted)
        }
        if lacking == pins:
            kept = {name: str(target.installed[name]) for name in sorted(demands) if name not in pins}
            return {name: str(found[pin]["version"]) for name, pin in pins.items()}, kept
        pins = lacking
    raise BundleError("the requirements contradict each other, so no choice of versions comes to rest")


def _clashing(carried: Mapping[str, str], kept: Mapping[str, str], target: Target, index: Index) -> set[str]:
    """Packages of the machine that would not work with what is carried: they must be carried too."""
    pins = {f"{name}=={Version(version).public}": name for name, version in kept.items()}
    found = index.metadata_if_any(pins)
    return {
        pins[pin]
        for pin, metadata in found.items()
        for requirement in _requires(metadata, "")
        if _applies(requirement, target, "")
        and (version := carried.get(canonicalize_name(requirement.name)))
        and not requirement.specifier.contains(version, prereleases=True)
    }


def _demands(
    needed: Sequence[Requirement],
    carried: Mapping[str, str],
    found: Mapping[str, dict[str, Any]],
    target: Target,
    index: Index,
) -> dict[str, Demand]:
    """All that is asked for, from the project on through what is carried.

    What the machine has is not looked into: it works there. Only its extras may be lacking.
    """
    demands: dict[str, Demand] = {}
    asked = [(requirement, "the project", "") for requirement in needed]
    seen: set[tuple[str, str]] = set()
    while asked:
        requirement, by, extra = asked.pop()
        if not _applies(requirement, target, extra):
            continue
        name = canonicalize_name(requirement.name)
        demands.setdefault(name, Demand()).add(requirement, by)
        for wanted in ("", *sorted(requirement.extras)):
            if (name, wanted) in seen:
                continue
            if name in carried:
                metadata = found[carried[name]]
            elif wanted and name in target.installed:
                pin = f"{name}=={Version(str(target.installed[name])).public}"
                metadata = index.metadata([pin])[pin]
            else:
                continue
            seen.add((name, wanted))
            asked += [(further, name, wanted) for further in _requires(metadata, wanted)]
    return demands


def _applies(requirement: Requirement, target: Target, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({**target.markers, "extra": extra})


def _requires(metadata: Mapping[str, Any], extra: str) -> list[Requirement]:
    """Requirements of a wheel: without an extra all that may be needed, else those that name the extra."""
    requirements = [Requirement(text) for text in metadata.get("requires_dist") or []]
    return [r for r in requirements if not extra or (r.marker and "extra" in str(r.marker))]


def _pin(name: str, demand: Demand, constraints: Mapping[str, str]) -> str:
    version = constraints.get(name)
    if version is None:
        return f"{name}{demand.wanted}"
    if not demand.wanted.contains(version, prereleases=True):
        raise BundleError(f"{name} {version} of constraints.txt is not what is asked for: {'; '.join(demand.by)}")
    return f"{name}=={version}"
