"""A bundle is installed where there is no network; what does not fit is said in one line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bundle.__main__ import make_bundle
from bundle.install import check_driver
from bundle.parts import write_bundle
from bundle.target import Target
from packaging.version import Version
from tests.bundle.shop import make_project
from tests.projects import HANGS

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
REFUSED = "http://127.0.0.1:9"
"""Nobody listens there."""
NO_NETWORK = {
    **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "PIP_INDEX_URL"), REFUSED),
    "HF_HUB_OFFLINE": "1",
}


@pytest.fixture(scope="module")
def made(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle in parts of 1 MB; beta and a source package are carried, pytest is relied on."""
    folder = tmp_path_factory.mktemp("made")
    root = make_project(folder / "root", ["beta", "source-only", "pytest"], "", "alpha==1.0\n")
    target = Target.of(HERE, "manylinux_2_28_x86_64")
    machine = Target(HERE, target.machine, target.glibc, {"pytest": Version("9.0")})
    make_bundle(root, folder / "bundle", machine, [], None, 1)
    return folder / "bundle"


@pytest.fixture
def bundle(made: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may spoil."""
    shutil.copytree(made, tmp_path / "bundle")
    return tmp_path / "bundle"


def installed(bundle: Path, into: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """``sh install`` with this Python and no network."""
    return subprocess.run(
        ["sh", str(bundle / "install"), "--into", str(into)],
        env={**clean(), **NO_NETWORK, "PYTHON": sys.executable, **environment},
        capture_output=True,
        text=True,
        timeout=HANGS,
    )


def asked(into: Path, code: str) -> str:
    """What the new environment's Python prints."""
    python = into / "project/.venv/bin/python"
    done = subprocess.run(
        [str(python), "-c", code], env=clean(), capture_output=True, text=True, check=True, timeout=HANGS
    )
    return done.stdout.strip()


def clean() -> dict[str, str]:
    """The environment's variables without those that lead Python or pip elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}


def test_a_bundle_is_installed_without_a_network_beside_the_machines_own_packages(
    bundle: Path, tmp_path: Path
) -> None:
    """In a folder where an installation was killed before."""
    facts = json.loads((bundle / "bundle.json").read_text())
    assert len(facts["parts"]) > 1 and all(part["bytes"] <= 2**20 for part in facts["parts"])
    into = tmp_path / "there"
    into.mkdir()
    (into / ".unfinished").touch()
    (into / "half").touch()
    done = installed(bundle, into)
    assert done.returncode == 0, done.stderr
    assert not {path.name for path in into.iterdir()} & {".unfinished", "half", "wheels"}
    code = "import alpha, beta, source_only, pytest, persistence_pipeline as p; "
    code += "print(alpha.version, pytest.__file__); print(p.__file__)"
    (versions, ours) = asked(into, code).splitlines()
    assert versions == f"1.0 {pytest.__file__}", "pytest is the machine's own"
    assert ours == str(into / "project/src/persistence_pipeline/__init__.py")
    assert not (into / "project/data/large.bin").exists(), "no data travels"
    shell = subprocess.run(
        ["sh", "-c", f". {into}/env.sh && python -c 'import beta' && echo $HF_HUB_OFFLINE"],
        env=clean(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert shell.stdout.strip() == "1"


def test_equal_files_make_equal_parts_of_the_size_asked_for(tmp_path: Path) -> None:
    content = tmp_path / "content"
    content.write_bytes(os.urandom(2**21 + 5))
    files = [("project/one", content), ("project/nested/two", content)]
    made = [write_bundle(tmp_path / name, files[: 1 if name == "c" else 2], 3, {}) for name in "abc"]
    assert made[0] == made[1] != made[2]
    sizes = [part["bytes"] for part in made[0]["parts"]]
    assert sizes[0] == 3 * 2**20 and all(0 < size <= 3 * 2**20 for size in sizes)
    assert sum(sizes) > 2 * content.stat().st_size


def _edited(**changes: Any) -> Callable[[Path, Path], None]:
    def edit(bundle: Path, into: Path) -> None:
        path = bundle / "bundle.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return edit


def _lost(bundle: Path, into: Path) -> None:
    (bundle / "part.001").unlink()


def _cut(bundle: Path, into: Path) -> None:
    part = bundle / "part.000"
    part.write_bytes(part.read_bytes()[:-1])


def _damaged(bundle: Path, into: Path) -> None:
    part = bundle / "part.000"
    content = bytearray(part.read_bytes())
    content[1000] ^= 1
    part.write_bytes(content)


def _occupied(bundle: Path, into: Path) -> None:
    into.mkdir()
    (into / "thesis.txt").write_text("years of work")


def _unreadable(bundle: Path, into: Path) -> None:
    (bundle / "bundle.json").write_text("{")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_edited(python="3.99"), "the bundle is for Python 3.99, "),
        (_edited(machine="aarch64"), "the bundle is for Linux aarch64, this is Linux "),
        (_edited(glibc=[2, 99]), "wheels of the bundle need glibc 2.99; this machine has glibc 2."),
        (_edited(relied_on={"no-such-torch": "2.11"}), "the bundle relies on no-such-torch, which "),
        (_edited(format=99), "a bundle of format 99, this script reads 1"),
        (_edited(unpacked_bytes=10**18), "GB free, installing takes 1000000000.0 GB"),
        (_edited(wheels={"beta": "9.9"}), "No matching distribution found for beta==9.9"),
        (_lost, "part.001: missing, "),
        (_cut, "part.000: 1048575 bytes, expected 1048576; copy it again"),
        (_damaged, "part.000: damaged, its SHA-256 is not that of bundle.json"),
        (_occupied, "there: exists already; remove it, or name another folder with --into"),
        (_unreadable, "bundle.json: not a bundle"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(
    bundle: Path, tmp_path: Path, spoil: Callable[[Path, Path], None], message: str
) -> None:
    spoil(bundle, tmp_path / "there")
    done = installed(bundle, tmp_path / "there")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("install: ") and message in line
    assert not (tmp_path / "there/thesis.txt").exists() or len(list((tmp_path / "there").iterdir())) == 1


def test_a_driver_older_than_the_wheels_is_refused(bundle: Path, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "nvidia-smi").write_text("#!/bin/sh\necho 535.54.03\n")
    (programs / "nvidia-smi").chmod(0o755)
    _edited(cuda="13.0")(bundle, tmp_path)
    done = installed(bundle, tmp_path / "there", PATH=f"{programs}:{os.environ['PATH']}")
    assert done.returncode == 1 and not (tmp_path / "there").exists()
    assert (
        "torch is built for CUDA 13.0, which needs NVIDIA driver 580.65 or newer; this machine has" in done.stderr
    )


def test_a_machine_without_a_driver_is_told_so(capsys: pytest.CaptureFixture[str]) -> None:
    check_driver("12.8", None)
    assert "there will be no GPU" in capsys.readouterr().out
    check_driver(None, None)
    check_driver("12.8", "525.60.13")
    assert not capsys.readouterr().out
