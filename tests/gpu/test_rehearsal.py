"""``python -m bench gpu`` on a CPU at tiny sizes: killed in the middle, begun again, and what stops it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from bench.gpu.card import CardError, require_bfloat16, require_cuda, require_memory
from bench.gpu.report import Report
from tests.projects import HANGS

ROOT = Path(__file__).resolve().parents[2]


def command(out: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "bench", "gpu", "--out", str(out), *arguments]


def start(out: Path, *arguments: str) -> subprocess.Popen[str]:
    """In a session of its own, so that all of it can be killed at once."""
    return subprocess.Popen(
        command(out, "--tiny", "--device=cpu", *arguments),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def points(out: Path, part: str) -> dict[str, Any]:
    """What has been measured of a part so far."""
    path = out / f"{part}.json"
    content = json.loads(path.read_text()) if path.is_file() else {}
    return {name: point["measured"] for name, point in content.get("points", {}).items() if "measured" in point}


def children(process: int) -> list[int]:
    """Processes that a process has started."""
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process)], capture_output=True, text=True, check=False
    )
    return [int(number) for number in listed.stdout.split()]


@pytest.mark.slow
def test_a_machine_that_is_taken_away_leaves_what_was_measured_and_is_continued(tmp_path: Path) -> None:
    out = tmp_path / "out"
    killed = start(out, "rollouts")
    deadline = time.monotonic() + HANGS
    while not points(out, "rollouts") and killed.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    for process in (killed.pid, *children(killed.pid)):
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    killed.wait()
    before = points(out, "rollouts")
    assert before and json.loads((out / "rollouts.json").read_text())["status"] == "running"
    again = start(out, "stage", "rollouts", "pretrained")
    said, _ = again.communicate(timeout=HANGS)
    assert again.returncode == 0, said
    after = points(out, "rollouts")
    assert {name: after[name] for name in before} == before, "what was measured stands"
    assert set(after) == {"tiny, one at a time", "tiny, batch 2", "tiny, batch 4"}
    assert after["tiny, batch 4"]["times_padded"] > 0 and after["tiny, batch 4"]["tokens_a_second"] > 0
    (stage,) = points(out, "stage").values()
    assert len(stage["steps"]) == 2 and 0 < stage["share_of_matrix_rate"] < 1
    gathered = json.loads((out / "gpu.json").read_text())
    assert {name: part["status"] for name, part in gathered.items()} == {
        "stage": "done",
        "rollouts": "done",
        "pretrained": "skipped",
    }
    assert gathered["pretrained"]["reason"] == "no pretrained weights are named (--pretrained)"
    assert gathered["stage"]["machine"]["device"] == "cpu"
    done = subprocess.run(
        command(out, "--tiny", "--device=cpu", "stage"), cwd=ROOT, capture_output=True, text=True, timeout=HANGS
    )
    assert done.stdout.strip() == "stage: done already (--again measures anew)"


def test_a_part_that_overruns_its_box_is_stopped_and_says_so(tmp_path: Path) -> None:
    process = start(tmp_path, "rollouts", "--box=1")
    said, _ = process.communicate(timeout=HANGS)
    assert process.returncode == 1 and "rollouts: overran: stopped after 1 s" in said
    assert json.loads((tmp_path / "rollouts.json").read_text())["status"] == "overran"


def test_a_cpu_is_refused_at_full_size(tmp_path: Path) -> None:
    done = subprocess.run(
        command(tmp_path, "--device=cpu"), cwd=ROOT, capture_output=True, text=True, timeout=HANGS
    )
    assert done.returncode == 1 and done.stderr == "bench gpu: a CPU only rehearses: add --tiny\n"


def test_a_machine_without_cuda_is_refused_in_one_line(tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    done = subprocess.run(command(tmp_path), cwd=ROOT, capture_output=True, text=True, timeout=HANGS)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1 and line.startswith("bench gpu: ")
    assert "built without CUDA" in line or "no NVIDIA driver" in line
    assert not list(tmp_path.glob("*.json"))


@pytest.mark.parametrize(
    ("cuda", "driver", "message"),
    [
        (None, "580.159.04", "this torch is built without CUDA"),
        ("13.0", None, "no NVIDIA driver answers here"),
        ("13.0", "535.54.03", "CUDA 13.0, which needs NVIDIA driver 580.65 or newer; this machine has 535.54.03"),
        (
            "13.0",
            "580.159.04",
            "torch sees no GPU, though driver 580.159.04 answers: look at CUDA_VISIBLE_DEVICES",
        ),
    ],
)
def test_what_torch_and_driver_lack_is_said(cuda: str | None, driver: str | None, message: str) -> None:
    with pytest.raises(CardError, match=re.escape(message)):
        require_cuda(cuda, driver, seen=False)


def test_a_card_without_bfloat16_is_refused() -> None:
    with pytest.raises(CardError, match=r"^Tesla T4 has no bfloat16: compute capability 7.5, 8.0 is needed$"):
        require_bfloat16("Tesla T4", (7, 5))
    require_bfloat16("NVIDIA A100", (8, 0))


def test_what_is_predicted_not_to_fit_is_refused_before_anything_is_loaded() -> None:
    with pytest.raises(CardError, match=r"^a stage is predicted to take 1000000.0 GiB, \d+\.\d GiB are free$"):
        require_memory("cpu", "a stage", 1e6 * 2**30)
    require_memory("cpu", "a stage", 1.0)


def test_a_report_keeps_what_it_holds(tmp_path: Path) -> None:
    first = Report(tmp_path / "part.json")
    first.predict("one", seconds=1.0)
    first.note("one", steps=[1])
    again = Report(tmp_path / "part.json")
    assert not again.done("one") and again.content["points"]["one"]["so_far"] == {"steps": [1]}
    again.measure("one", seconds=2.0)
    assert Report(tmp_path / "part.json").content["points"] == {
        "one": {"predicted": {"seconds": 1.0}, "measured": {"seconds": 2.0}}
    }
    assert [path.name for path in tmp_path.iterdir()] == ["part.json"]
