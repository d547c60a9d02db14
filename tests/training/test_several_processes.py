"""A stage trained by two processes equals one process; processes that are not what was asked for stop it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import _stage
import numpy as np
import psutil
import pytest
import yaml

from persistence_pipeline.training import launch
from persistence_pipeline.training.dpo import StageError, StageResult, train_stage
from persistence_pipeline.training.launch import KIND, LAUNCHER, PROCESSES, check_processes, read_launch
from persistence_pipeline.training.settings import StageConfig
from tiny import make_pairs

CONF = Path(__file__).resolve().parents[2] / "conf" / "gpu"
TWICE = {"epochs": 2, "lora": {"r": 4, "alpha": 8, "dropout": 0.0}}


def stage(**change: Any) -> StageConfig:
    return _stage.stage(**{**TWICE, **change})


@pytest.fixture
def launch_file(tmp_path: Path) -> Callable[..., str]:
    """Writes an accelerate configuration and returns its path."""

    def write(**fields: Any) -> str:
        path = tmp_path / "accelerate.yaml"
        path.write_text(yaml.safe_dump({"distributed_type": "MULTI_CPU", "num_processes": 2} | fields))
        return str(path)

    return write


def _weights(checkpoint: Path) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    return load_file(checkpoint / "model.safetensors")


@pytest.fixture(scope="module")
def one(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> StageResult:
    """The stage in one process: two epochs of six steps, the last of one pair."""
    folder = tmp_path_factory.mktemp("stages") / "one"
    return train_stage(make_pairs(41), tiny_checkpoint, tiny_checkpoint, stage(), folder)


def _assert_equal(one: StageResult, two: StageResult, source: Path, steps: int = 12) -> None:
    """Same pairs a step in the same order in both epochs, so the same losses, log-probabilities and weights."""
    assert len(one.log) == len(two.log) == steps
    moved = np.abs(one.log["rewards_margin"]) > 1e-4  # before, rounding says which side is ahead
    for column in one.log.columns:
        rows = moved if column == "accuracy" else slice(None)
        np.testing.assert_allclose(one.log[column][rows], two.log[column][rows], atol=1e-4, err_msg=column)
    assert moved.sum() >= steps - 2
    before, first, second = map(_weights, (source, one.checkpoint, two.checkpoint))
    assert set(first) == set(second)
    assert max(np.abs(first[name] - before[name]).max() for name in first) > 1e-3
    assert max(np.abs(first[name] - second[name]).max() for name in first) < 1e-6
    assert one.report == pytest.approx(two.report, abs=1e-4)


def test_two_processes_learn_what_one_learns(
    one: StageResult, tiny_checkpoint: Path, launch_file: Callable[..., str], tmp_path: Path
) -> None:
    two = train_stage(
        make_pairs(41), tiny_checkpoint, tiny_checkpoint, stage(launch=launch_file()), tmp_path / "two"
    )
    _assert_equal(one, two, tiny_checkpoint)
    assert not (tmp_path / "two" / "trainer").exists()


def test_two_processes_with_the_weights_in_shards_learn_what_one_learns(
    one: StageResult, tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shipped FSDP configuration, with the processes started on CPUs."""
    _set_environment(monkeypatch, CONF / "accelerate_fsdp.yaml")
    monkeypatch.delenv("ACCELERATE_MIXED_PRECISION")
    command = launch._command
    monkeypatch.setattr(launch, "_command", lambda asked, folder: _on_cpus(command(asked, folder)))
    config = stage(launch=str(CONF / "accelerate_fsdp.yaml"), device="auto")
    two = train_stage(make_pairs(41), tiny_checkpoint, tiny_checkpoint, config, tmp_path / "two")
    _assert_equal(one, two, tiny_checkpoint)


def _on_cpus(command: list[str]) -> list[str]:
    port = command[command.index("--main_process_port") + 1]
    torchrun = ["-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", port]
    return [command[0], *torchrun, str(Path(__file__).parent / "_fsdp_worker.py"), command[-1]]


def _set_environment(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    """What ``accelerate launch`` makes of a configuration, for the processes that it starts."""
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser
    from accelerate.utils.launch import prepare_multi_gpu_env

    parsed = launch_command_parser().parse_args(["--config_file", str(file), "worker.py"])
    arguments, *_ = _validate_launch_command(parsed)
    for variable, value in prepare_multi_gpu_env(arguments).items():
        monkeypatch.setenv(variable, value)


def test_a_fault_in_a_process_comes_back(
    tiny_checkpoint: Path, launch_file: Callable[..., str], tmp_path: Path
) -> None:
    config = stage(launch=launch_file(), learning_rate=1e30, lora=None)
    with pytest.raises(StageError, match="lower the learning rate"):
        train_stage(make_pairs(16), tiny_checkpoint, tiny_checkpoint, config, tmp_path / "stage")


def test_accumulated_batches_learn_what_one_batch_learns(
    one: StageResult, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    config = stage(batch_size=3, gradient_accumulation=3)
    whole = train_stage(make_pairs(41), tiny_checkpoint, tiny_checkpoint, stage(batch_size=9), tmp_path / "whole")
    parts = train_stage(make_pairs(41), tiny_checkpoint, tiny_checkpoint, config, tmp_path / "parts")
    _assert_equal(whole, parts, tiny_checkpoint, steps=10)


@pytest.mark.parametrize(
    ("batch", "accumulation", "processes", "expected"),
    [(8, 1, 2, (4, 1)), (1, 8, 4, (1, 2)), (2, 4, 8, (1, 1)), (2, 6, 4, (1, 3)), (4, 2, 1, (4, 2))],
)
def test_a_step_is_shared_out(
    launch_file: Callable[..., str], batch: int, accumulation: int, processes: int, expected: tuple[int, int]
) -> None:
    divided = read_launch(Path(launch_file(num_processes=processes))).divide(
        stage(batch_size=batch, gradient_accumulation=accumulation)
    )
    assert (divided.batch_size, divided.gradient_accumulation) == expected
    assert divided.launch is None
    assert divided.effective_batch * processes == batch * accumulation


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"distributed_type": "MULTI_GPU"}, "starts processes on GPUs, but device is cpu: set device to auto"),
        ({"num_processes": 3}, "a step of 8 pairs .* cannot be shared out evenly among the 3 processes"),
        ({"num_processes": 0}, "num_processes is 0"),
        ({"distributed_type": "DEEPSPEED"}, "distributed_type is 'DEEPSPEED', expected one of MULTI_CPU"),
        ({"num_machines": 2}, "num_machines is 2, but a stage trains on one machine"),
    ],
)
def test_a_launch_that_cannot_be_is_refused(
    tiny_checkpoint: Path, launch_file: Callable[..., str], tmp_path: Path, fields: dict[str, Any], expected: str
) -> None:
    config = stage(launch=launch_file(**fields))
    with pytest.raises(StageError, match=expected):
        train_stage(make_pairs(8), tiny_checkpoint, tiny_checkpoint, config, tmp_path / "stage")


def test_a_loss_that_compares_pairs_is_not_shared_out(launch_file: Callable[..., str]) -> None:
    with pytest.raises(
        StageError, match=r"loss aot sorts the pairs of a batch, so that 2 processes .* launch to null"
    ):
        read_launch(Path(launch_file())).divide(stage(loss="aot"))


def test_a_missing_configuration_is_named(tiny_checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"no accelerate configuration at nowhere\.yaml"):
        train_stage(make_pairs(8), tiny_checkpoint, tiny_checkpoint, stage(launch="nowhere.yaml"), tmp_path / "s")


@pytest.mark.parametrize(("processes", "kind"), [(1, "NO"), (2, "MULTI_CPU")])
def test_a_silent_fallback_stops_the_stage(monkeypatch: pytest.MonkeyPatch, processes: int, kind: str) -> None:
    monkeypatch.setenv(PROCESSES, "2")
    monkeypatch.setenv(KIND, "FSDP")
    found = SimpleNamespace(num_processes=processes, distributed_type=SimpleNamespace(value=kind))
    with pytest.raises(
        StageError, match=f"expected 2 processes with FSDP, but accelerate made {processes} with {kind}"
    ):
        check_processes(found)


@pytest.mark.parametrize(("name", "kind"), [("ddp", "MULTI_GPU"), ("fsdp", "FSDP")])
def test_the_shipped_configurations_are_accelerates(monkeypatch: pytest.MonkeyPatch, name: str, kind: str) -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    path = CONF / f"accelerate_{name}.yaml"
    assert read_launch(path).kind == kind
    config = load_config_from_file(str(path))
    assert config.distributed_type.value == kind
    assert bool(config.fsdp_config) == (kind == "FSDP")


def test_the_shipped_fsdp_configuration_shards_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    from accelerate.utils import FullyShardedDataParallelPlugin

    _set_environment(monkeypatch, CONF / "accelerate_fsdp.yaml")
    plugin = FullyShardedDataParallelPlugin()
    assert plugin.fsdp_version == 2
    assert plugin.reshard_after_forward is True
    assert not plugin.activation_checkpointing and not plugin.cpu_ram_efficient_loading
    assert plugin.state_dict_type.name == "FULL_STATE_DICT"
    assert plugin.auto_wrap_policy.__name__ == "transformer_auto_wrap_policy"


def test_a_process_ends_with_its_launcher_however_that_ends() -> None:
    """A second attempt must never meet the first one's processes."""
    watch = (
        "import time; from persistence_pipeline.training.launch import end_with_launcher; "
        "end_with_launcher(); print(1, flush=True); time.sleep(99)"
    )
    launcher = (
        "import os, subprocess, sys, time\n"
        f"os.environ[{LAUNCHER!r}] = str(os.getpid())\n"
        f"subprocess.Popen([sys.executable, '-c', {watch!r}])\n"
        "time.sleep(99)"
    )
    started = subprocess.Popen([sys.executable, "-c", launcher], stdout=subprocess.PIPE)
    assert started.stdout and started.stdout.readline() == b"1\n"
    (watching,) = psutil.Process(started.pid).children()
    started.kill()
    started.wait()
    gone, _ = psutil.wait_procs([watching], timeout=600)
    assert gone
