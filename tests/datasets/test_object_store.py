"""Datasets in an object store, a real S3 server: the same contents, and nothing half-written taken for whole."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from kedro.io import DatasetError

pytest.importorskip("moto")

from object_store import s3_server
from persistence_pipeline.datasets import CheckpointDataset, JsonLinesDataset
from tiny import make_pairs

RECORD = "persistence_pipeline.records.PreferencePair"


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with s3_server() as url:
        yield url


@pytest.fixture
def checkpoint(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    made = Path(shutil.copytree(tiny_checkpoint, tmp_path / "made"))
    (made / "templates").mkdir()
    (made / "templates" / "other.jinja").write_text("{{ messages }}")
    return made


def store() -> Any:
    return fsspec.filesystem("s3", skip_instance_cache=True)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_saved_checkpoint_loads_as_a_copy_that_goes_on_release(bucket: str, checkpoint: Path) -> None:
    dataset = CheckpointDataset(filepath=f"{bucket}/models/cell")
    assert not dataset.exists()
    dataset.save(checkpoint)
    assert dataset.exists()
    copy = dataset.load()
    assert copy.name == "cell" and contents(copy) == contents(checkpoint)
    shown = json.loads(dataset.preview())
    assert shown["weights_bytes"] == (checkpoint / "model.safetensors").stat().st_size
    dataset.release()
    assert not copy.parent.exists()


def test_a_copy_goes_with_its_dataset(bucket: str, checkpoint: Path) -> None:
    dataset = CheckpointDataset(filepath=f"{bucket}/gone/cell")
    dataset.save(checkpoint)
    copy = dataset.load()
    del dataset
    assert not copy.parent.exists()


def test_an_older_checkpoint_is_replaced_whole(bucket: str, checkpoint: Path) -> None:
    dataset = CheckpointDataset(filepath=f"{bucket}/replaced/cell")
    dataset.save(checkpoint)
    store().pipe_file(f"{bucket}/replaced/cell/leftover.txt", b"old")
    dataset.save(checkpoint)
    assert contents(dataset.load()) == contents(checkpoint)


@pytest.mark.parametrize("lost", ["config.json", "templates/other.jinja", "model.safetensors", "tokenizer.json"])
def test_an_interrupted_upload_is_not_whole(
    bucket: str, checkpoint: Path, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    """Whichever file was not sent, required or not, and although a whole checkpoint was there before."""
    import s3fs

    url = f"{bucket}/interrupted/cell"
    dataset = CheckpointDataset(filepath=url)
    dataset.save(checkpoint)
    put = s3fs.S3FileSystem._put_file

    async def lose(self: Any, local: str, remote: str, **kwargs: Any) -> None:
        if remote.endswith(f"cell/{lost}"):
            await asyncio.sleep(0.3)  # all that goes beside it has arrived
            raise OSError("connection lost")
        await put(self, local, remote, **kwargs)

    monkeypatch.setattr(s3fs.S3FileSystem, "_put_file", lose)
    with pytest.raises(DatasetError, match="connection lost"):
        dataset.save(checkpoint)
    assert not dataset.exists()
    with pytest.raises(DatasetError, match=rf"^{url} is not a whole checkpoint: "):
        dataset.load()


def test_a_half_removed_older_checkpoint_is_not_whole(
    bucket: str, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import s3fs

    dataset = CheckpointDataset(filepath=f"{bucket}/half/cell")
    dataset.save(checkpoint)

    async def remove_one(self: Any, paths: list[str], **kwargs: Any) -> None:
        await self._rm_file(next(path for path in paths if path.endswith("other.jinja")))
        raise OSError("connection lost")

    monkeypatch.setattr(s3fs.S3FileSystem, "_bulk_delete", remove_one)
    with pytest.raises(DatasetError, match="connection lost"):
        dataset.save(checkpoint)
    assert not dataset.exists()


def test_what_is_broken_in_the_store_is_named(bucket: str, checkpoint: Path) -> None:
    dataset = CheckpointDataset(filepath=f"{bucket}/broken/cell")
    dataset.save(checkpoint)
    weights = (checkpoint / "model.safetensors").read_bytes()
    store().pipe_file(f"{bucket}/broken/cell/model.safetensors", weights[:-9])
    with pytest.raises(DatasetError, match=r"model\.safetensors has \d+ bytes, its header promises \d+"):
        dataset.load()
    store().rm_file(f"{bucket}/broken/cell/model.safetensors")
    with pytest.raises(
        DatasetError, match=r"broken/cell is not a whole checkpoint: model\.safetensors is missing"
    ):
        dataset.load()


def test_a_checkpoint_that_changes_while_it_is_copied_is_refused(
    bucket: str, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import s3fs

    dataset = CheckpointDataset(filepath=f"{bucket}/changing/cell")
    dataset.save(checkpoint)
    get = s3fs.S3FileSystem._get_file

    async def get_part(self: Any, remote: str, local: str, **kwargs: Any) -> None:
        await get(self, remote, local, **kwargs)
        if local.endswith(".safetensors"):
            Path(local).write_bytes(Path(local).read_bytes()[:-1])

    monkeypatch.setattr(s3fs.S3FileSystem, "_get_file", get_part)
    with pytest.raises(DatasetError, match="changing/cell changed while it was copied: "):
        dataset.load()


def test_records_have_the_bytes_of_a_local_file(bucket: str, tmp_path: Path) -> None:
    remote = JsonLinesDataset(filepath=f"{bucket}/records/pairs.jsonl", record=RECORD)
    assert not remote.exists()
    with pytest.raises(DatasetError, match=rf"{bucket}/records/pairs.jsonl: no such file"):
        remote.load()
    pairs = make_pairs(5)
    JsonLinesDataset(filepath=str(tmp_path / "pairs.jsonl"), record=RECORD).save(pairs)
    remote.save(pairs)
    assert remote.exists() and remote.load() == pairs
    assert store().cat_file(f"{bucket}/records/pairs.jsonl") == (tmp_path / "pairs.jsonl").read_bytes()
    store().pipe_file(f"{bucket}/records/pairs.jsonl", b"{}\n")
    with pytest.raises(DatasetError, match=r"s3://studies-\w+/records/pairs\.jsonl, line 1: field "):
        remote.load()


def test_options_reach_the_file_system(monkeypatch: pytest.MonkeyPatch, bucket: str) -> None:
    """An endpoint and keys may stand in the catalog instead of in the environment."""
    import os

    endpoint = os.environ["AWS_ENDPOINT_URL"]
    for variable in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(variable)
    dataset = JsonLinesDataset(
        filepath=f"{bucket}/options/pairs.jsonl",
        record=RECORD,
        credentials={"key": "test", "secret": "test"},
        fs_args={"client_kwargs": {"endpoint_url": endpoint}},
    )
    dataset.save(make_pairs(1))
    assert dataset.exists()
