"""A study's nodes side by side: equal bytes, one bar, an error in words, and nothing left behind by a stop."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import psutil
import pytest
from kedro.framework.project import configure_project
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline, node
from tests.projects import HANGS, Run, hashes, start_kedro

from persistence_pipeline.runners.side_by_side import NodeError, SideBySideRunner
from persistence_pipeline.strict import SettingError

RUNNER = "--runner=persistence_pipeline.runners.SideBySideRunner"
FILE = "persistence_pipeline.datasets.JSONDataset"
CELLS = ("llama_b0p1_s0_safety", "llama_b0p1_s0_both")


@pytest.mark.slow
def test_the_same_bytes_as_one_after_the_other(spoiled: Path, kedro_run: Run) -> None:
    times = "data/smoke/08_reporting/times.json"
    before = hashes(spoiled)
    nodes = [f"{cell}.{name}" for cell in CELLS for name in ("train_cell", "roll_out")]
    done = kedro_run(spoiled, RUNNER, f"--nodes={','.join(nodes)}")
    assert done.returncode == 0 and "4/4" in done.stdout, done.stdout[-3000:]
    assert "not made by a run here" not in done.stdout, "records are kept in the workers, too"
    assert sorted(json.loads((spoiled / times).read_text())) == sorted(nodes) and "all nodes" in done.stdout
    assert {**hashes(spoiled), times: ""} == {**before, times: ""}
    assert not list(spoiled.glob("data/smoke/.scratch/runs/*"))


def _half(number: float) -> float:
    from tqdm import tqdm

    for _ in tqdm(range(2)):
        time.sleep(0.1)
    return number / 2


def _refuse(number: float) -> float:
    raise SettingError(("training", "safety"), f"not {number:g}")


def test_an_error_comes_in_words_and_what_stands_on_it_is_not_run(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    configure_project("persistence_pipeline")
    files = {name: {"type": FILE, "filepath": str(tmp_path / f"{name}.json")} for name in "abc"}
    catalog = DataCatalog.from_config(files)
    catalog["params:given"] = MemoryDataset(8.0)
    steps = [
        node(_half, "params:given", "a", name="first"),
        node(_refuse, "a", "b", name="second"),
        node(_half, "b", "c", name="third"),
    ]
    with pytest.raises(NodeError, match=r"^second: training\.safety: not 4$"):
        SideBySideRunner(max_workers=2).run(Pipeline(steps), catalog)
    assert catalog.load("a") == 4 and not (tmp_path / "c.json").exists()
    assert "it/s" not in capfd.readouterr().err, "no bar beside the run's own"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_run_leaves_no_process(spoiled: Path, number: signal.Signals) -> None:
    run = start_kedro(spoiled, RUNNER, "--nodes=llama.warm_start_source", "--params=warm_start.steps=50000")
    try:
        log = spoiled / "data/smoke/.scratch"
        begun = time.time()
        while not any(path.stat().st_mtime > begun for path in log.rglob("*.safetensors")):
            assert run.poll() is None and time.time() < begun + HANGS
            time.sleep(0.2)
        workers = psutil.Process(run.pid).children(recursive=True)
        assert workers
    finally:
        run.send_signal(number)
        output, _ = run.communicate(timeout=HANGS)
    assert run.returncode == (128 + number if number == signal.SIGTERM else -number), output[-2000:]
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert not alive
