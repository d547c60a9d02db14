"""Checkpoints: only whole ones load, only whole ones are saved, and a reader never sees a part of one."""

from __future__ import annotations

import inspect
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from kedro.io import DataCatalog, DatasetError

from persistence_pipeline.datasets import CheckpointDataset


@pytest.fixture
def checkpoint(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_checkpoint, tmp_path / "made"))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_saved_checkpoint_loads_as_its_path(checkpoint: Path, tmp_path: Path) -> None:
    target = tmp_path / "models" / "cell"
    dataset = CheckpointDataset(filepath=str(target))
    assert not dataset.exists()
    dataset.save(checkpoint)
    assert dataset.exists()
    assert dataset.load() == target
    assert contents(target) == contents(checkpoint)
    assert [path.name for path in target.parent.iterdir()] == ["cell"]
    assert {path.stat().st_mode & 0o777 for path in target.iterdir()} == {0o644}


def test_a_directory_of_links_is_a_checkpoint(checkpoint: Path, tmp_path: Path) -> None:
    """As the Hugging Face cache keeps them, and as exports are gathered."""
    linked = tmp_path / "linked"
    linked.mkdir()
    for path in checkpoint.iterdir():
        (linked / path.name).symlink_to(path.resolve())
    CheckpointDataset(filepath=str(tmp_path / "saved")).save(linked)
    saved = CheckpointDataset(filepath=str(tmp_path / "saved")).load()
    assert {p.name: p.read_bytes() for p in saved.iterdir()} == {
        p.name: p.read_bytes() for p in checkpoint.iterdir()
    }
    assert not any(path.is_symlink() for path in saved.iterdir())


def test_an_older_checkpoint_is_replaced_whole(checkpoint: Path, tmp_path: Path) -> None:
    target = tmp_path / "cell"
    shutil.copytree(checkpoint, target)
    (target / "leftover.txt").write_text("old")
    CheckpointDataset(filepath=str(target)).save(checkpoint)
    assert contents(target) == contents(checkpoint)


def test_a_failed_save_leaves_the_older_one(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "cell"
    dataset = CheckpointDataset(filepath=str(target))
    dataset.save(checkpoint)
    before = contents(target)
    replace, calls = Path.replace, []

    def fail_at_the_second(path: Path, to: Path) -> Path:
        calls.append(path)
        if len(calls) == 2:
            raise OSError("disk full")
        return replace(path, to)

    monkeypatch.setattr(Path, "replace", fail_at_the_second)
    with pytest.raises(DatasetError, match="disk full"):
        dataset.save(checkpoint)
    assert contents(target) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cell", "made"]


def test_a_broken_checkpoint_is_not_saved(checkpoint: Path, tmp_path: Path) -> None:
    (checkpoint / "config.json").unlink()
    with pytest.raises(DatasetError, match=r"and was not saved: config\.json is missing"):
        CheckpointDataset(filepath=str(tmp_path / "cell")).save(checkpoint)
    assert not (tmp_path / "cell").exists()


def _cut(name: str, keep: float) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: int(len(data) * keep)])

    return damage


def _write(name: str, text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text(text) and None


def _remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (shutil.rmtree, "no such directory"),
        (_remove("config.json"), "config.json is missing"),
        (_remove("tokenizer.json"), "tokenizer.json is missing"),
        (_remove("model.safetensors"), "model.safetensors is missing"),
        (_cut("config.json", 0.5), "config.json is not valid JSON"),
        (_cut("tokenizer.json", 0.5), "tokenizer.json is not valid JSON"),
        (_write("config.json", "[]"), "config.json: expected a JSON object, found list"),
        (_write("config.json", '{"peft_type": "LORA"}'), "config.json has no field model_type"),
        (_cut("model.safetensors", 0.9), r"model.safetensors has \d+ bytes, its header promises \d+"),
        (_cut("model.safetensors", 0.001), "model.safetensors is truncated or not a safetensors file"),
        (_cut("model.safetensors", 0), "model.safetensors is truncated or not a safetensors file"),
        (_write("model.safetensors", "a" * 99), "model.safetensors is truncated or not a safetensors file"),
        (_write("model.safetensors", "\2" + "\0" * 7 + "{}"), "its header is not that of a safetensors file"),
        (
            _write("model.safetensors.index.json", json.dumps({"weight_map": {"w": "model-2.safetensors"}})),
            "model-2.safetensors is missing",
        ),
    ],
)
def test_what_is_missing_or_broken_is_named(
    checkpoint: Path, damage: Callable[[Path], None], expected: str
) -> None:
    damage(checkpoint)
    dataset = CheckpointDataset(filepath=str(checkpoint))
    assert not dataset.exists()
    with pytest.raises(DatasetError, match=rf"made is not a whole checkpoint: .*{expected}"):
        dataset.load()


def test_kedro_and_its_viewer_can_use_it(checkpoint: Path) -> None:
    entry = {
        "type": "persistence_pipeline.datasets.CheckpointDataset",
        "filepath": str(checkpoint),
        "metadata": {"kedro-viz": {"layer": "models"}},
    }
    dataset = DataCatalog.from_config({"cell": entry})["cell"]
    assert dataset.load() == checkpoint
    assert inspect.signature(dataset.preview).return_annotation == "JSONPreview"
    shown = json.loads(dataset.preview())
    assert shown["model_type"] == "llama"
    assert shown["weights_bytes"] == (checkpoint / "model.safetensors").stat().st_size
