"""A study's nodes side by side on this machine's cores, under one bar.

Kedro's ParallelRunner, whose processes are fresh ones: with the driver's thread policy the outputs are those of a
sequential run, byte for byte.
"""

from __future__ import annotations

import logging
import os
import traceback
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from multiprocessing import active_children, get_context, parent_process
from threading import Thread
from typing import Any

from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from kedro.runner import ParallelRunner
from kedro.runner.task import Task


class NodeError(RuntimeError):
    """A node failed in its process; the message says which and why."""


class SideBySideRunner(ParallelRunner):
    """Runs as many nodes at once as there are cores, or ``max_workers``."""

    def _get_executor(self, max_workers: int) -> Executor:
        return _Pool(max_workers, get_context("spawn"), initializer=_begin)

    def _run(self, pipeline: Pipeline, catalog: Any, hook_manager: Any = None, run_id: str | None = None) -> None:
        from rich import get_console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
        level = self._logger.level
        with Progress(*columns, console=get_console()) as self._bar:
            if self._bar.console.is_terminal:  # the bar says it
                self._logger.setLevel(logging.WARNING)
            self._all = self._bar.add_task("", total=len(pipeline.nodes))
            try:
                super()._run(pipeline, catalog, hook_manager, run_id)
            finally:
                self._logger.setLevel(level)

    def _release_datasets(self, node: Node, catalog: Any, load_counts: dict[Any, Any], pipeline: Pipeline) -> None:
        """Kedro calls it for each node that is done."""
        self._bar.update(self._all, advance=1, description=f"done: {node.name}")
        super()._release_datasets(node, catalog, load_counts, pipeline)


class _Pool(ProcessPoolExecutor):
    """Begins nothing more once a node has failed; ends with what runs where it is stopped."""

    def submit(self, fn: Any, /, *args: Any, **named: Any) -> Future[Any]:
        return super().submit(_attempt, fn)

    def __exit__(self, kind: type[BaseException] | None, error: Any, trace: Any) -> None:
        if kind is not None and not issubclass(kind, Exception):
            for process in active_children():
                process.terminate()
        self.shutdown(wait=True, cancel_futures=True)


def _begin() -> None:
    """In a new process: leave the telling to the bar, and end with the run, however that ends."""
    logging.disable(logging.INFO)
    Thread(target=_end_with_the_run, daemon=True).start()


def _end_with_the_run() -> None:
    run = parent_process()
    if run is not None:
        run.join()
        os._exit(1)


def _attempt(task: Task) -> Node:
    """Run one node; an error travels as its words, for its class may need more than Python to be read."""
    from persistence_pipeline.input_errors import in_words

    try:
        return task.execute()
    except Exception as error:
        raise NodeError(f"{task.node.name}: {in_words(error) or traceback.format_exc()}") from None
