"""Install the bundle that this file lies in; needs nothing but Python, and no network.

The environment that is made sees the packages of the Python that runs this, and has of its own what those lack.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from zipfile import ZipFile

FORMAT = 1
HERE = Path(__file__).resolve().parent
LEAST_DRIVER = {11: (450, 80), 12: (525, 60), 13: (580, 65)}
"""NVIDIA's least driver on Linux by CUDA's major version (CUDA Compatibility, minor version compatibility)."""
BLOCK = 2**20
UNFINISHED = ".unfinished"
SEEN = "zzz_machine_site_packages.pth"
"""Read after all others, so that what is installed here comes first."""


class InstallError(Exception):
    """The bundle cannot be installed here; the message is one line."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Check everything, then unpack and install; one line says what is wrong."""
    parser = argparse.ArgumentParser(prog="install", description=__doc__)
    parser.add_argument("--into", type=Path, default=Path("persistence"), help="new folder (%(default)s)")
    options = parser.parse_args(arguments)
    try:
        install(HERE, options.into.absolute())
    except (InstallError, OSError) as fault:  # no room after all, no access
        print(f"install: {fault}", file=sys.stderr)
        return 1
    return 0


def install(bundle: Path, into: Path) -> None:
    """Install a bundle's folder into a new folder.

    Raises:
        InstallError: another Python or platform, a part missing or damaged, no room, an old driver, a package
            that the machine was said to have.
    """
    facts = read_facts(bundle)
    check_machine(facts)
    check_relied_on(facts)
    check_driver(facts["cuda"] or installed_cuda(), read_driver())
    check_parts(bundle, facts)
    check_folder(into, facts["unpacked_bytes"])
    (into / UNFINISHED).touch()
    unpack(bundle, facts, into)
    python = make_environment(into)
    install_wheels(python, into, facts)
    shutil.rmtree(into / "wheels")
    write_shell_file(into, facts)
    print(verify(python))
    (into / UNFINISHED).unlink()
    print(f"Installed. Each time: . {into}/env.sh && cd {into}/project")


def read_facts(bundle: Path) -> dict[str, Any]:
    """What ``bundle.json`` says."""
    try:
        facts: dict[str, Any] = json.loads((bundle / "bundle.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InstallError(f"{bundle / 'bundle.json'}: not a bundle ({error})") from None
    if facts.get("format") != FORMAT:
        raise InstallError(f"{bundle}: a bundle of format {facts.get('format')}, this script reads {FORMAT}")
    return facts


def check_machine(facts: dict[str, Any]) -> None:
    """See that wheels for the bundle's Python and platform run here."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    if python != facts["python"]:
        raise InstallError(
            f"the bundle is for Python {facts['python']}, {sys.executable} is {python}: name another, "
            f"PYTHON=python{facts['python']} sh install, or make the bundle for this one"
        )
    here, glibc = (platform.system(), platform.machine()), platform.libc_ver()
    if here != ("Linux", facts["machine"]):
        raise InstallError(f"the bundle is for Linux {facts['machine']}, this is {' '.join(here)}")
    found = tuple(int(number) for number in glibc[1].split(".")[:2]) if glibc[0] == "glibc" else (0, 0)
    if found < tuple(facts["glibc"]):
        wanted = ".".join(map(str, facts["glibc"]))
        raise InstallError(
            f"wheels of the bundle need glibc {wanted}; this machine has {' '.join(glibc) or 'none'}"
        )


def check_relied_on(facts: dict[str, Any]) -> None:
    """See that what the bundle does not carry is there."""
    lacking = [name for name in facts["relied_on"] if version_here(name) is None]
    if lacking:
        raise InstallError(
            f"the bundle relies on {', '.join(lacking)}, which {sys.executable} lacks: name the Python that has "
            "them, PYTHON=... sh install, or make the bundle with this machine's own list"
        )


def version_here(name: str) -> str | None:
    """A package's version in the Python that runs this; None where there is none."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def installed_cuda() -> str | None:
    """CUDA's version that the machine's torch is built for, by what was installed with it; None where none was."""
    local = (version_here("torch") or "").partition("+cu")[2]
    if local:
        return f"{local[:2]}.{local[2:]}"
    runtimes = [version_here(name) for name in ("nvidia-cuda-runtime", "nvidia-cuda-runtime-cu12")]
    return next((version for version in runtimes if version), None) if version_here("torch") else None


def read_driver() -> str | None:
    """The NVIDIA driver's version; None where there is none."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    command = [program, "--query-gpu=driver_version", "--format=csv,noheader"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.split("\n")[0].strip() if done.returncode == 0 else None


def check_driver(cuda: str | None, driver: str | None) -> None:
    """See that the driver is not older than torch's CUDA needs.

    Args:
        cuda: Version of CUDA, as ``13.0``; None for a build without.
        driver: Version of the driver, as ``580.159.04``; None where there is none.
    """
    if not cuda:
        return
    if not driver:
        print("note: no NVIDIA driver answers here, so there will be no GPU")
        return
    least = LEAST_DRIVER.get(int(cuda.split(".")[0]))
    found = tuple(int(number) for number in driver.split(".")[:2])
    if least and found < least:
        raise InstallError(
            f"torch is built for CUDA {cuda}, which needs NVIDIA driver {least[0]}.{least[1]} or newer; this "
            f"machine has {driver}: take a torch built for an older CUDA, or have the driver renewed"
        )


def check_parts(bundle: Path, facts: dict[str, Any]) -> None:
    """See that every part is there and whole."""
    for part in facts["parts"]:
        path = bundle / part["name"]
        if not path.is_file():
            raise InstallError(f"{path}: missing, {part['bytes']} bytes; copy it again")
        if path.stat().st_size != part["bytes"]:
            raise InstallError(f"{path}: {path.stat().st_size} bytes, expected {part['bytes']}; copy it again")
        digest = hashlib.sha256()
        with path.open("rb") as file:
            for block in iter(lambda: file.read(BLOCK), b""):
                digest.update(block)
        if digest.hexdigest() != part["sha256"]:
            raise InstallError(f"{path}: damaged, its SHA-256 is not that of bundle.json; copy it again")


def check_folder(into: Path, room: int) -> None:
    """See that the folder is new, or left by an installation that did not finish, and that there is room."""
    if (into / UNFINISHED).exists():
        shutil.rmtree(into)
    if into.exists() and any(into.iterdir()):
        raise InstallError(f"{into}: exists already; remove it, or name another folder with --into")
    into.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(into).free
    if free < room:
        into.rmdir()
        raise InstallError(f"{into}: {free / 1e9:.1f} GB free, installing takes {room / 1e9:.1f} GB")


class Joined(io.RawIOBase):
    """Files read one after another, as one stream."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._paths = list(paths)
        self._file: Any = None

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer from the present file, or from the next."""
        while self._file or self._paths:
            self._file = self._file or self._paths.pop(0).open("rb")
            count: int = self._file.readinto(buffer)
            if count:
                return count
            self._file.close()
            self._file = None
        return 0


def unpack(bundle: Path, facts: dict[str, Any], into: Path) -> None:
    """The archive in the parts, into a folder; nothing outside it is written."""
    stream = io.BufferedReader(Joined(bundle / part["name"] for part in facts["parts"]), BLOCK)
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for entry in archive:
            path = into / entry.name
            if not entry.isfile() or into not in path.resolve().parents:
                raise InstallError(f"{entry.name}: not a file of a bundle")
            archive.extract(entry, into, set_attrs=True)


def make_environment(into: Path) -> Path:
    """A virtual environment that sees the packages of this Python; returns its Python.

    A link, not ``--system-site-packages``: where this Python is itself a virtual environment that would show those
    of the one beneath it.
    """
    folder = into / "project" / ".venv"
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    own = subprocess.run(
        [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    places = dict.fromkeys([sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *sys.path])
    seen = [place for place in places if place and Path(place).name in ("site-packages", "dist-packages")]
    lines = [f"import site; site.addsitedir({place!r})" for place in seen]
    (Path(own) / SEEN).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return python


def install_wheels(python: Path, into: Path, facts: dict[str, Any]) -> None:
    """What is carried, and the project, from the bundle's wheels alone."""
    wheels = into / "wheels"
    with ZipFile(next(wheels.glob("pip-*.whl"))) as archive:
        archive.extractall(wheels / "pip")
    pins = [f"{name}=={version}" for name, version in facts["wheels"].items()]
    project = str(into / "project") + (f"[{','.join(facts['extras'])}]" if facts["extras"] else "")
    alone = [
        str(python),
        str(wheels / "pip" / "pip"),
        "install",
        "--no-index",
        f"--find-links={wheels}",
        "--no-cache-dir",
        "--no-compile",
        "--quiet",
    ]
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHONPATH"))}
    ours.update(PIP_CONFIG_FILE=os.devnull, PIP_DISABLE_PIP_VERSION_CHECK="1")
    done = subprocess.run(
        [*alone, *pins, "--editable", project], env=ours, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise InstallError(f"pip: {reason(done.stderr)}")
    for line in done.stderr.splitlines():
        if " requires " in line:
            print(f"note: another package of this machine: {line}")


def reason(said: str) -> str:
    """What pip says went wrong, in one line."""
    lines = [line.strip() for line in said.splitlines()]
    wrong = [line for line in lines if line.startswith("ERROR") or " depends on " in line or "requested" in line]
    return "; ".join(wrong or lines[-1:]) or "failed without a word"


def write_shell_file(into: Path, facts: dict[str, Any]) -> None:
    """``env.sh``: the environment, and no asking for models outside."""
    lines = [f". {str(into)!r}/project/.venv/bin/activate", "export HF_HUB_OFFLINE=1"]
    if any(model["from_hub"] for model in facts["models"]):
        lines.append(f"export HF_HUB_CACHE={str(into / 'hub')!r}")
    for model in facts["models"]:
        if not model["from_hub"]:
            where = into / "models" / model["source"]
            print(f"model: name it in conf, sources.{model['source']}.pretrained.model: {where}")
    (into / "env.sh").write_text("\n".join(lines) + "\n", encoding="utf-8")


def verify(python: Path) -> str:
    """Import what a study needs, in the new environment; returns a line with the versions."""
    code = (
        "import importlib.metadata as m, importlib.util as u, sys\n"
        "import persistence_pipeline\n"
        "names = [n for n in ('kedro', 'torch', 'transformers', 'trl', 'peft', 'datasets') if u.find_spec(n)]\n"
        "[__import__(n) for n in names]\n"
        "gpu = 'torch' in names and sys.modules['torch'].cuda.is_available()\n"
        "print(', '.join(f'{n} {m.version(n)}' for n in names), '; a GPU is seen' if gpu else '; no GPU is seen')"
    )
    done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=False)
    if done.returncode:
        raise InstallError(f"what was installed cannot be imported: {done.stderr.strip().splitlines()[-1]}")
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
