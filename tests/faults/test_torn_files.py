"""Writing cut off in the middle, full disks, damaged files: what was there stays, what is broken is named."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import pytest
from kedro.io import DataCatalog, DatasetError
from tests.projects import Run, hashes

from persistence_pipeline.datasets._atomic import remove_leftovers
from persistence_pipeline.records import Message

CELL = "llama_b0p1_s0_safety"
TYPES = {
    "table": {"type": "ParquetDataset", "filepath": "table.parquet"},
    "document": {"type": "JSONDataset", "filepath": "document.json"},
    "figure": {"type": "PlotlyDataset", "filepath": "figure.json"},
    "page": {"type": "TextDataset", "filepath": "page.html"},
    "records": {
        "type": "JsonLinesDataset",
        "filepath": "records.jsonl",
        "record": "persistence_pipeline.records.Message",
    },
    "checkpoint": {"type": "CheckpointDataset", "filepath": "checkpoint"},
    "parts": {
        "type": "PartitionedDataset",
        "path": "parts",
        "filename_suffix": ".parquet",
        "overwrite": True,
        "dataset": {"type": "persistence_pipeline.datasets.ParquetDataset"},
    },
}


def _catalog(folder: Path) -> DataCatalog:
    entries = {}
    for name, entry in TYPES.items():
        place = "path" if "path" in entry else "filepath"
        located = {"type": f"persistence_pipeline.datasets.{entry['type']}", place: str(folder / entry[place])}
        entries[name] = {**entry, **located}
    return DataCatalog.from_config(entries)


def _content(name: str, size: int, checkpoint: Path) -> Any:
    """Something to save that takes about ``size`` kilobytes; another one for another size."""
    noise = random.Random(size).randbytes(500 * size).hex()
    values = list(range(1000 * size // 8))
    return {
        "table": lambda: pd.DataFrame({"a": random.Random(size).sample(values, len(values))}),
        "document": lambda: {"a": noise},
        "figure": lambda: go.Figure(layout={"title": {"text": noise}}),
        "page": lambda: noise,
        "records": lambda: [Message(role="user", content=noise[i : i + 100]) for i in range(0, len(noise), 100)],
        "checkpoint": lambda: checkpoint,
        "parts": lambda: {str(n): pd.DataFrame({"a": [*values, n]}) for n in range(3)},
    }[name]()


def _digests(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("name", TYPES)
def test_a_process_killed_in_mid_save_leaves_what_was_there(
    name: str, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    """The kernel kills the writing process where a file grows past a limit (SIGXFSZ)."""
    catalog = _catalog(tmp_path)
    catalog[name].save(_content(name, 8, tiny_checkpoint))
    before = _digests(tmp_path)
    new = _content(name, 40, tiny_checkpoint)
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, 12_000))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        catalog[name].save(new)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXFSZ, status
    after = _digests(tmp_path)
    assert {path: after.get(path) for path in before} == before
    assert all(path.startswith(".") for path in after.keys() - before.keys())
    entry = catalog[name]
    remove_leftovers(Path(getattr(entry, "_filepath", None) or entry._path))
    assert _digests(tmp_path) == before
    entry.save(new)
    entry.load()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 400 kB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"may not mount a file system here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("name", TYPES)
def test_a_full_disk_is_named_and_leaves_what_was_there(
    name: str, tiny_checkpoint: Path, small_disk: Path
) -> None:
    catalog = _catalog(small_disk)
    catalog[name].save(_content(name, 8, tiny_checkpoint))
    before = _digests(small_disk)
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"0" * (shutil.disk_usage(small_disk).free - 20_000))
    with pytest.raises(DatasetError, match="No space left on device"):
        catalog[name].save(_content(name, 60, tiny_checkpoint))
    ballast.unlink()
    assert _digests(small_disk) == before
    catalog[name].save(_content(name, 60, tiny_checkpoint))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("node", "left"),
    [(f"{CELL}.train_cell", 300), (f"{CELL}.roll_out", 64)],
)
def test_a_study_on_a_full_disk_says_so(spoiled: Path, kedro_run: Run, node: str, left: int) -> None:
    """``left`` kB are free when the step begins: not enough for its results."""
    data = spoiled / "data/smoke"
    shutil.move(data, spoiled / "finished")
    data.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", data], capture_output=True).returncode:
        pytest.skip("may not mount a file system here")
    try:
        shutil.copytree(spoiled / "finished", data, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".scratch"))
        before = hashes(spoiled)
        (data / ".scratch").mkdir()
        free = shutil.disk_usage(data).free
        (data / ".scratch" / "ballast").write_bytes(b"0" * (free - left * 1024))
        done = kedro_run(spoiled, f"--nodes={node}")
        assert done.returncode == 1
        assert "Traceback" not in done.stdout, done.stdout[-3000:]
        assert "error: the disk is full or may not be written to: " in done.stdout
        assert f"in {node}; once that is mended, `" in done.stdout
        after = hashes(spoiled)
        after.pop("data/smoke/08_reporting/OUTDATED.txt", None)  # says so beside the report, where there is room
        assert after == before
    finally:
        subprocess.run(["umount", data], check=True)


# -- damaged files ---------------------------------------------------------------------------------------------


def test_a_flipped_byte_in_the_data_of_a_table_is_noticed(tmp_path: Path) -> None:
    """Every byte before the footer, one after another: an error or the same table, never another table."""
    dataset = _catalog(tmp_path)["table"]
    scores = [float(i % 4) for i in range(64)]
    table = pd.DataFrame({"case_id": [f"case-{i % 7}" for i in range(64)], "safety": scores})
    dataset.save(table)
    path = tmp_path / "table.parquet"
    whole = path.read_bytes()
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    noticed = 0
    for index in range(footer):
        path.write_bytes(whole[:index] + bytes([whole[index] ^ 0x10]) + whole[index + 1 :])
        try:
            loaded = dataset.load()
        except DatasetError:
            noticed += 1
            continue
        assert loaded.equals(table), f"byte {index} of {len(whole)}"
    assert noticed > 100


@pytest.mark.slow
def test_a_damaged_table_stops_the_run_that_reads_it(spoiled: Path, kedro_run: Run) -> None:
    path = spoiled / f"data/smoke/07_model_output/scores/{CELL}.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 4] ^= 1  # in the pages of a column
    path.write_bytes(bytes(data))
    before = hashes(spoiled)
    done = kedro_run(spoiled, "--nodes=study.collect_scores")
    assert done.returncode == 1 and "Traceback" not in done.stdout
    assert f"scores/{CELL}.parquet" in "".join(done.stdout.split())
    assert hashes(spoiled) == before


@pytest.mark.parametrize("keep", [0.3, 0.7, 0.95])
def test_a_cut_last_line_is_named(tmp_path: Path, keep: float) -> None:
    dataset = _catalog(tmp_path)["records"]
    dataset.save([Message(role="user", content="hello") for _ in range(3)])
    path = tmp_path / "records.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2]) + lines[2][: int(len(lines[2]) * keep)])
    with pytest.raises(DatasetError, match=r"records.jsonl, line 3: .*the file seems to be cut off here"):
        dataset.load()


@pytest.mark.parametrize("name", ["document", "figure"])
def test_a_cut_document_is_named(tmp_path: Path, name: str, tiny_checkpoint: Path) -> None:
    dataset = _catalog(tmp_path)[name]
    dataset.save(_content(name, 1, tiny_checkpoint))
    path = tmp_path / str(TYPES[name]["filepath"])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DatasetError, match=path.name):
        dataset.load()


def test_partitions_are_replaced_as_a_whole(tmp_path: Path, tiny_checkpoint: Path) -> None:
    dataset = _catalog(tmp_path)["parts"]
    dataset.save(_content("parts", 1, tiny_checkpoint))
    assert list(dataset.load()) == ["0", "1", "2"]
    dataset.save({"1": pd.DataFrame({"a": [1]})})
    assert list(dataset.load()) == ["1"]
    load: Callable[[], pd.DataFrame] = dataset.load()["1"]
    assert load()["a"].tolist() == [1]
    with pytest.raises(DatasetError, match="outside the dataset directory"):
        dataset.save({"../../out": pd.DataFrame({"a": [1]})})
    assert list(dataset.load()) == ["1"] and not list(tmp_path.parent.glob("out*"))


def test_a_page_is_utf_8_whatever_the_locale(tmp_path: Path) -> None:
    code = (
        "import sys; from persistence_pipeline.datasets import TextDataset, JSONDataset\n"
        "TextDataset(filepath=sys.argv[1] + '/page.html').save('Δ safety')\n"
        "JSONDataset(filepath=sys.argv[1] + '/document.json').save({'Δ': 'ş'})\n"
        "print(TextDataset(filepath=sys.argv[1] + '/page.html').load() == 'Δ safety')"
    )
    ascii_only = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    script = tmp_path / "save.py"
    script.write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, script, tmp_path],
        env=ascii_only,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "True", done.stderr
    assert (tmp_path / "page.html").read_text("utf-8") == "Δ safety"
    assert json.loads((tmp_path / "document.json").read_text("utf-8")) == {"Δ": "ş"}
