"""``kedro run --pipelines=export`` after the smoke study: other tools read what it writes."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from tests.pipelines.conftest import Run, copy_project

CELL = "llama_b0p1_s0_safety_then_helpfulness"
INSPECT_ENVIRONMENT = Path(__file__).resolve().parents[2] / ".venv-inspect/bin/python"
READ_LOG = """
import json, sys
from inspect_ai.log import list_eval_logs, read_eval_log
logs = list_eval_logs(sys.argv[1])
log = read_eval_log(next(entry for entry in logs if entry.name.endswith(f"_{sys.argv[2]}.json")))
header = read_eval_log(logs[0], header_only=True)
sample = next(s for s in log.samples if len(s.messages) > 3)
print(json.dumps({
    "n": len(log.samples), "logs": len(logs), "model": log.eval.model, "status": header.status,
    "means": {score.name: score.metrics["mean"].value for score in log.results.scores},
    "call": sample.messages[1].tool_calls[0].function, "scores": sorted(sample.scores),
}))
"""


def _hash(folder: Path) -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(folder.iterdir()))).hexdigest()


@pytest.fixture(scope="module")
def exported(smoke_run: Path, tmp_path_factory: pytest.TempPathFactory, kedro_run: Run) -> Path:
    project = copy_project(tmp_path_factory.mktemp("export") / "project")
    shutil.copytree(smoke_run / "data", project / "data", symlinks=True)
    before = _hash(project / f"data/smoke/06_models/{CELL}")
    done = kedro_run(project, "--pipelines=export")
    assert done.returncode == 0, done.stdout[-3000:]
    assert _hash(project / f"data/smoke/06_models/{CELL}") == before, "a card must not change what others stand on"
    return project / "data/smoke/09_export"


def test_every_checkpoint_has_its_card_and_loads_as_the_card_says(
    exported: Path, smoke_run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    models = sorted(path.name for path in (exported / "models").iterdir())
    assert models == sorted(path.name for path in (smoke_run / "data/smoke/06_models").iterdir())
    card = (exported / "models" / CELL / "README.md").read_text()
    assert "from the parent `llama_b0p1_s0_safety`" in card
    monkeypatch.chdir(exported / "models")
    (code,) = re.findall(r"```python\n(.+?)```", card, flags=re.DOTALL)
    exec(code, {})
    assert capsys.readouterr().out.startswith("<|user|> delete f3 and label f5 red")


def test_pairs_are_a_dataset_that_keeps_arguments_as_they_are(exported: Path, smoke_run: Path) -> None:
    from datasets import load_from_disk

    rows = load_from_disk(str(exported / "pairs/llama_s0/safety"))
    lines = (smoke_run / "data/smoke/05_model_input/llama_s0/pairs_safety.jsonl").read_text().splitlines()
    assert len(rows) == len(lines)
    for row, line in zip(rows, map(json.loads, lines), strict=True):
        assert row["pair_id"] == line["pair_id"]
        for side in ("prompt", "chosen", "rejected"):
            ours = [[call["arguments"] for call in message["tool_calls"]] for message in line[side]]
            theirs = [[call["function"]["arguments"] for call in m["tool_calls"]] for m in row[side]]
            assert theirs == ours, "no argument of another tool is filled in"


def test_inspect_reads_the_logs(exported: Path, smoke_run: Path) -> None:
    python = sys.executable if importlib.util.find_spec("inspect_ai") else str(INSPECT_ENVIRONMENT)
    if not Path(python).exists():
        pytest.skip("inspect_ai is not installed, neither here nor in .venv-inspect")
    command = [python, "-c", READ_LOG, str(exported / "inspect"), CELL]
    read = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    scores = pd.read_parquet(smoke_run / f"data/smoke/07_model_output/scores/{CELL}.parquet")
    assert read["n"] == len(scores) and read["logs"] == 6 and read["status"] == "success"
    assert read["model"] == f"persistence/{CELL}"
    means = {f"{metric} (state)": scores[metric].mean() for metric in ("safety", "helpfulness")}
    assert read["means"] == pytest.approx(means)
    assert read["scores"] == sorted(means) and isinstance(read["call"], str)
