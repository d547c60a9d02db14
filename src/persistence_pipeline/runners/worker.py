"""A task on a machine of the cluster: one node of the pipeline in a process of its own, and its report.

Nothing that is sent back needs more than Python to be read: an error travels as its words, a log record as a line.
"""

from __future__ import annotations

import logging
import os
import socket
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, time
from typing import Any

from kedro.pipeline.node import Node

from persistence_pipeline.provenance import note
from persistence_pipeline.provenance.recorded import digests

PROJECT = __name__.partition(".")[0]


@dataclass(frozen=True)
class Setting:
    """The driver's settings that every task of a run needs."""

    package: str
    project: str
    """Folder of the project: paths in the parameters (``scratch``) are relative to it."""
    run_id: str | None
    keys: dict[str, str] = field(default_factory=dict, repr=False)
    """Keys of servers and stores, for machines that have none of their own."""


@dataclass
class Told:
    """The report of a task to the driver."""

    place: dict[str, Any]
    """``host, machine`` (Ray's id), ``gpus, pid, started`` (seconds since 1970), ``seconds``."""
    inputs: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    """Digests of its data."""
    said: list[tuple[int, str]] = field(default_factory=list)
    """Level and text of what was logged: the project's from INFO on, libraries' (not Kedro's) from WARNING on."""
    fault: str | None = None
    """What went wrong, in words; None where the node is done."""
    trace: str | None = None
    """Where it went wrong, for faults of the program; errors that stem from the input need none."""


def execute(node: Node, catalog: Any, setting: Setting, taken: Mapping[str, str]) -> Told:
    """Run one node between loading and saving; ``taken`` are digests of inputs that are known already."""
    from kedro.framework.project import configure_project
    from kedro.runner.task import Task

    from persistence_pipeline.input_errors import in_words

    started, clock = time(), perf_counter()
    os.environ.pop(note.VARIABLE, None)  # the driver keeps the records
    for name, value in setting.keys.items():
        os.environ.setdefault(name, value)
    if Path(setting.project).is_dir():
        os.chdir(setting.project)
    configure_project(setting.package)
    told = Told(_place(started))
    with _heard(told.said):
        try:
            told.inputs = {**taken, **digests(set(node.inputs) - set(taken), catalog)}
            Task(node=node, catalog=catalog, is_async=False, run_id=setting.run_id, parallel=True).execute()
            told.outputs = digests(node.outputs, catalog)
        except Exception as error:
            words = in_words(error)
            told.fault = words or str(error).strip() or type(error).__name__
            told.trace = traceback.format_exc() if words is None else None
        finally:
            for name in node.inputs:
                catalog.release(name)
    told.place["seconds"] = perf_counter() - clock
    return told


def _place(started: float) -> dict[str, Any]:
    import ray

    context = ray.get_runtime_context()
    gpus = [str(gpu) for gpu in context.get_accelerator_ids().get("GPU", [])]
    place = {"host": socket.gethostname(), "machine": context.get_node_id(), "gpus": gpus}
    return {**place, "pid": os.getpid(), "started": started, "seconds": 0.0}


class _Ear(logging.Handler):
    """Keeps what would be shown in a local run."""

    def __init__(self, said: list[tuple[int, str]]) -> None:
        super().__init__(logging.INFO)
        self._said = said

    def emit(self, record: logging.LogRecord) -> None:
        ours, theirs = record.name.startswith(PROJECT), record.name.startswith("kedro")
        if ours or (record.levelno >= logging.WARNING and not theirs):  # what Kedro says, the driver says itself
            self._said.append((record.levelno, record.getMessage()))


@contextmanager
def _heard(said: list[tuple[int, str]]) -> Iterator[None]:
    ear = _Ear(said)
    logging.getLogger().addHandler(ear)
    logging.getLogger(PROJECT).setLevel(logging.INFO)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(ear)
