"""One stage trained by several processes: what they are started with, and that they are what was asked for.

The stage itself is the same code in every process (``dpo.run_stage``); ``worker.py`` is where each begins.
"""

from __future__ import annotations

import math
import os
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict

from persistence_pipeline.training.encoding import Row
from persistence_pipeline.training.errors import StageError
from persistence_pipeline.training.scratch import StageScratch
from persistence_pipeline.training.settings import SORTED, StageConfig

PROCESSES, KIND = "PERSISTENCE_PROCESSES", "PERSISTENCE_DISTRIBUTED"
"""What the processes were started as; each checks that it became that."""
LAUNCHER = "PERSISTENCE_LAUNCHER"
"""Process that started them; they end with it, however it ends."""
WATCH_SECONDS = 1
KINDS = ("MULTI_CPU", "MULTI_GPU", "FSDP")
JOB, REPORT, LOG, FAULT = "job.json", "report.json", "log.parquet", "fault.txt"


class StageJob(BaseModel):
    """All that a process needs to know of a stage."""

    model_config = ConfigDict(extra="forbid")

    rows: list[Row]
    counts: dict[str, int]
    """What the report says of the pairs: cut, equal, unknown."""
    parent: Path
    source: Path
    config: StageConfig
    seed: int
    """Of adapters and dropout; the order of the pairs has the seed of ``config``."""


@dataclass(frozen=True)
class Launch:
    """An accelerate configuration."""

    path: Path
    n_processes: int
    kind: str
    """How the processes work together: one of ``KINDS``."""
    on_cpu: bool = False
    """Whether each process holds a CPU rather than a GPU."""

    def divide(self, config: StageConfig) -> StageConfig:
        """The settings of one process, so that all together see as many pairs a step as one process would.

        Raises:
            StageError: the pairs of a step cannot be shared out evenly, or the loss compares them with each other.
        """
        if config.loss in SORTED:
            raise StageError(
                f"loss {config.loss} sorts the pairs of a batch, so that {self.n_processes} processes "
                f"({self.path}) would learn something else than one: set launch to null"
            )
        share, rest = divmod(config.effective_batch, self.n_processes)
        if rest:
            raise StageError(
                f"a step of {config.effective_batch} pairs (batch_size {config.batch_size} x "
                f"gradient_accumulation {config.gradient_accumulation}) cannot be shared out evenly among the "
                f"{self.n_processes} processes of {self.path}"
            )
        batch = math.gcd(share, config.batch_size)
        device = "cpu" if self.on_cpu else config.device
        return config.model_copy(
            update={"launch": None, "device": device, "batch_size": batch, "gradient_accumulation": share // batch}
        )


def check_launch(launch: Launch, device: str) -> None:
    """See that the processes hold what the stage's ``device`` says.

    Raises:
        StageError: one says CPUs and the other GPUs.
    """
    if (launch.on_cpu and device == "cuda") or (not launch.on_cpu and device == "cpu"):
        held = "CPUs" if launch.on_cpu else "GPUs"
        raise StageError(f"{launch.path} starts processes on {held}, but device is {device}: set device to auto")


def read_launch(path: Path) -> Launch:
    """Read an accelerate configuration of one machine.

    Raises:
        StageError: there is none, or it is for something else.
    """
    path = path.expanduser()
    if not path.is_file():
        raise StageError(f"launch: no accelerate configuration at {path}")
    fields: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    kind = fields.get("distributed_type") if isinstance(fields, dict) else None
    if kind not in KINDS:
        raise StageError(f"{path}: distributed_type is {kind!r}, expected one of {', '.join(KINDS)}")
    if fields.get("num_machines", 1) != 1:
        raise StageError(f"{path}: num_machines is {fields['num_machines']}, but a stage trains on one machine")
    n_processes = fields.get("num_processes")
    if not isinstance(n_processes, int) or n_processes < 1:
        raise StageError(f"{path}: num_processes is {n_processes!r}, expected a number of processes")
    return Launch(path, n_processes, str(kind), on_cpu=kind == "MULTI_CPU" or bool(fields.get("use_cpu")))


def launch_stage(job: StageJob, launch: Launch, state: StageScratch) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Train a stage with several processes; its checkpoint is then in ``state``. Returns log and report.

    Raises:
        StageError: a process failed, or they are not what was asked for.
    """
    folder = state.job
    folder.mkdir(parents=True, exist_ok=True)
    for name in (REPORT, LOG, FAULT):
        (folder / name).unlink(missing_ok=True)
    (folder / JOB).write_text(job.model_dump_json(), encoding="utf-8")
    state.last_saved()  # incomplete checkpoints are removed before several processes look
    environment = {**os.environ, PROCESSES: str(launch.n_processes), KIND: launch.kind}
    environment[LAUNCHER] = str(os.getpid())
    process = subprocess.Popen(_command(launch, state.folder), env=environment)  # noqa: S603
    try:
        code = process.wait()
    finally:
        process.terminate()  # takes its own processes with it; does nothing where it has ended
        process.wait()
    if (folder / FAULT).is_file():
        raise StageError((folder / FAULT).read_text(encoding="utf-8"))
    if code != 0 or not (folder / REPORT).is_file():
        raise StageError(
            f"{state.name}: training with {launch.path} ended with code {code}; its output is above. "
            "Run again to continue from the last saved step."
        )
    report = StageReport.model_validate_json((folder / REPORT).read_bytes())
    return pd.read_parquet(folder / LOG), report.report


class StageReport(BaseModel):
    """The report of the first process, beside the log."""

    report: dict[str, Any]


def _command(launch: Launch, folder: Path) -> list[str]:
    """accelerate starts processes on GPUs; on CPUs it may start a single one, so torchrun does."""
    worker = ["-m", "persistence_pipeline.training.worker", str(folder)]
    if launch.kind == "MULTI_CPU":
        torchrun = ["-m", "torch.distributed.run", "--nproc_per_node", str(launch.n_processes)]
        return [sys.executable, *torchrun, "--master_port", str(_free_port()), *worker]
    accelerate = ["-m", "accelerate.commands.launch", "--config_file", str(launch.path)]
    return [sys.executable, *accelerate, "--main_process_port", str(_free_port()), *worker]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def end_with_launcher() -> None:
    """End this process soon after its launcher is gone.

    A launcher that is killed cannot take its processes with it; left alone they would go on writing where the
    stage's next attempt, perhaps on another machine, writes too.
    """
    launcher = int(os.environ[LAUNCHER])

    def watch() -> None:
        while _lives(launcher):
            time.sleep(WATCH_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def check_processes(accelerator: Any) -> None:
    """See that this process is one of those that were asked for; one alone needs no check.

    Launchers and accelerate fall back in silence: to one process, and from FSDP to DDP.

    Raises:
        StageError: naming what was asked for and what there is.
    """
    expected = (int(os.environ.get(PROCESSES, "1")), os.environ.get(KIND, "NO"))
    actual = (int(accelerator.num_processes), str(accelerator.distributed_type.value))
    if PROCESSES in os.environ and actual != expected:
        raise StageError(
            f"expected {expected[0]} processes with {expected[1]}, but accelerate made {actual[0]} with "
            f"{actual[1]}"
        )
