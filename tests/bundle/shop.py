"""A package index of a few made-up packages, and a project that needs some of them."""

from __future__ import annotations

import ensurepip
import io
import shutil
import tarfile
from collections.abc import Sequence
from pathlib import Path
from zipfile import ZipFile

import pytest

BACKEND = """
import pathlib, zipfile

NAME, MODULE, VERSION, REQUIRES = {name!r}, {module!r}, {version!r}, {requires!r}

def _write(folder, files):
    wheel = f"{{MODULE}}-{{VERSION}}-py3-none-any.whl"
    info = f"{{MODULE}}-{{VERSION}}.dist-info"
    lines = ["Metadata-Version: 2.1", f"Name: {{NAME}}", f"Version: {{VERSION}}"]
    lines += [f"Requires-Dist: {{r}}" for r in REQUIRES]
    files = {{**files, f"{{info}}/METADATA": "\\n".join(lines) + "\\n",
             f"{{info}}/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"}}
    record = "".join(f"{{name}},,\\n" for name in files) + f"{{info}}/RECORD,,\\n"
    with zipfile.ZipFile(pathlib.Path(folder) / wheel, "w") as archive:
        for name, text in {{**files, f"{{info}}/RECORD": record}}.items():
            archive.writestr(name, text)
    return wheel

def build_wheel(folder, config_settings=None, metadata_directory=None):
    return _write(folder, {{f"{{MODULE}}.py": f"version = {{VERSION!r}}\\n"}})

def build_editable(folder, config_settings=None, metadata_directory=None):
    return _write(folder, {{f"{{MODULE}}.pth": str(pathlib.Path(__file__).parent / "src") + "\\n"}})
"""
"""A build backend that needs nothing; it comes with the source that it builds."""
BUILD_SYSTEM = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


def open_shop(folder: Path) -> Path:
    """An index: two versions of alpha, beta that needs it, one package that is compiled, one as source alone."""
    folder.mkdir()
    bundled = Path(ensurepip.__file__).parent / "_bundled"
    own = next(bundled.glob("pip-*.whl"), None)
    if own is None:
        pytest.skip("this Python does not come with a wheel of pip")
    shutil.copy(own, folder)
    wheel(folder, "alpha", "1.0")
    wheel(folder, "alpha", "2.0")
    markers = ("alpha>=1", "of-another-python; python_version < '3'", "extra-part; extra == 'more'")
    wheel(folder, "beta", "1.0", markers)
    wheel(folder, "extra-part", "1.0")
    wheel(folder, "only-new", "1.0")
    wheel(folder, "old-friend", "1.0", ["alpha<2"])
    wheel(folder, "old-friend", "2.0")
    wheel(folder, "compiled", "1.0", tag="cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64")
    source(folder, "source-only", "1.0", ["alpha"])
    return folder


def wheel(folder: Path, name: str, version: str, requires: Sequence[str] = (), tag: str = "py3-none-any") -> Path:
    """A wheel with one module that says its version."""
    namespace: dict[str, object] = {}
    module = name.replace("-", "_")
    exec(BACKEND.format(name=name, module=module, version=version, requires=list(requires)), namespace)
    made = folder / namespace["build_wheel"](str(folder))  # type: ignore[operator]
    if tag == "py3-none-any":
        return made
    tagged = folder / f"{module}-{version}-{tag}.whl"
    with ZipFile(made) as plain, ZipFile(tagged, "w") as archive:
        for entry in plain.namelist():
            archive.writestr(entry, plain.read(entry).replace(b"py3-none-any", tag.encode()))
    made.unlink()
    return tagged


def source(folder: Path, name: str, version: str, requires: Sequence[str] = ()) -> None:
    """An archive of source."""
    module = name.replace("-", "_")
    files = {
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        "pyproject.toml": BUILD_SYSTEM,
        "backend.py": BACKEND.format(name=name, module=module, version=version, requires=list(requires)),
    }
    with tarfile.open(folder / f"{module}-{version}.tar.gz", "w:gz") as archive:
        for path, text in files.items():
            entry = tarfile.TarInfo(f"{module}-{version}/{path}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))


def make_project(root: Path, needs: Sequence[str], extras: str = "", constraints: str = "") -> Path:
    """A project under the name of ours, so that the installer's last look finds it."""
    package = root / "src" / "persistence_pipeline"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (root / "data").mkdir()
    (root / "data" / "large.bin").write_text("what a run has written")
    arguments = {"name": "persistence-pipeline", "module": "persistence_pipeline", "version": "0.1"}
    (root / "backend.py").write_text(BACKEND.format(**arguments, requires=list(needs)))
    project = f"[project]\nname = 'persistence-pipeline'\nversion = '0.1'\ndependencies = {list(needs)!r}\n"
    (root / "pyproject.toml").write_text(BUILD_SYSTEM + project + extras)
    (root / "constraints.txt").write_text(constraints)
    return root
