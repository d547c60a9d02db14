"""A study's nodes side by side on this machine's cores, under one bar.

As Kedro's ParallelRunner, without its manager of shared memory, which outlives a killed run. Fresh processes, with
the driver's thread policy, make the outputs those of a sequential run, byte for byte.
"""

from __future__ import annotations

import logging
import os
import traceback
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from multiprocessing import active_children, get_context, parent_process, set_start_method
from threading import Thread
from typing import Any

from kedro.framework import project
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from kedro.runner import AbstractRunner
from kedro.runner.task import Task

from persistence_pipeline.runners.sending import only, refuse_ephemeral


class NodeError(RuntimeError):
    """A node failed in its process; the message says which and why."""


class SideBySideRunner(AbstractRunner):
    """Runs as many nodes at once as there are cores.

    Args:
        max_workers: Fewer, or more.
        is_async: Kedro's; must stay False.

    Raises:
        ValueError: for asynchronous loading and saving.
    """

    def __init__(self, max_workers: int | None = None, is_async: bool = False) -> None:
        if is_async:
            raise ValueError("SideBySideRunner loads and saves within each task: is_async must be False")
        super().__init__(is_async=False)
        self._max_workers = max_workers or os.cpu_count() or 1

    def _get_required_workers_count(self, pipeline: Pipeline) -> int:
        return min(self._max_workers, max(1, len(pipeline.nodes)))

    def _get_executor(self, max_workers: int) -> Executor:
        return _Pool(max_workers, self._tell)

    def _run(self, pipeline: Pipeline, catalog: Any, hook_manager: Any = None, run_id: str | None = None) -> None:
        """Run under the bar; ``hook_manager`` stays here, workers register the project's hooks themselves."""
        from rich import get_console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        refuse_ephemeral(pipeline, catalog)
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

    def _tell(self, ended: Future[Node]) -> None:
        """Move the bar on, once a node is done."""
        if not ended.cancelled() and ended.exception() is None:
            self._bar.update(self._all, advance=1, description=f"done: {ended.result().name}")


class _Pool(ProcessPoolExecutor):
    """Begins nothing more once a node has failed; ends with what runs where it is stopped."""

    def __init__(self, max_workers: int, tell: Callable[[Future[Node]], None]) -> None:
        super().__init__(max_workers, get_context("spawn"), initializer=_begin, initargs=(project.PACKAGE_NAME,))
        self._tell = tell

    def submit(self, fn: Any, /, *args: Any, **named: Any) -> Future[Any]:
        """Kedro hands in its tasks one by one; each takes along no more of the catalog than it needs."""
        fn.catalog, fn.hook_manager = only(fn.node, fn.catalog), None
        future = super().submit(_attempt, fn)
        future.add_done_callback(self._tell)
        return future

    def __exit__(self, kind: type[BaseException] | None, error: Any, trace: Any) -> None:
        if kind is not None and not issubclass(kind, Exception):
            for process in active_children():
                process.terminate()
        self.shutdown(wait=True, cancel_futures=True)


def _begin(package: str | None) -> None:
    """In a new process: the project's hooks, without the telling, which is the bar's; it ends as the run does."""
    os.environ["TQDM_DISABLE"] = "1"  # read where tqdm is loaded, which is later
    if package is not None:
        project.configure_project(package)
        # Kedro's tasks configure a spawned process anew, each time; the second time its logging runs in a circle.
        set_start_method("fork", force=True)
    logging.disable(logging.INFO)
    logging.getLogger("kedro_viz").setLevel(logging.ERROR)  # here it warns of every dataset
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
