"""The end of a run before its time, asked for or not: where it was, and the command that goes on."""

from __future__ import annotations

import io
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.pipeline.node import Node

from persistence_pipeline.provenance import command


class StopHooks:
    """Says where a run stopped and how it continues: after Ctrl-C or a kill itself, else in notes of the error."""

    def __init__(self) -> None:
        self._node = ""
        self._again = ""

    @hook_impl(tryfirst=True)
    def after_context_created(self, context: KedroContext) -> None:
        """Answer kills from now on. Neither Kedro nor click has a place for signals other than Ctrl-C."""
        self._study = Path(context.project_path), context.env or "base"
        self._answer(signal.SIGTERM)
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")  # a terminal without Δ must not end a study

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any]) -> None:
        """Take down what was typed; from now on Ctrl-C is answered too."""
        self._again = command.advice(command.typed(run_params), *self._study)
        self._answer(signal.SIGINT)

    @hook_impl
    def before_node_run(self, node: Node) -> None:
        """Remember where it happens."""
        self._node = node.name

    @hook_impl
    def on_pipeline_error(self, error: Exception) -> None:
        """Note it on the error, which the command line or a traceback shows."""
        where = f"in {self._node}" if self._node else ""
        advice = "" if "kedro run" in str(error) else f"once that is mended, `{self._again}` continues"
        if where or advice:
            error.add_note("; ".join(filter(None, (where, advice))))

    @hook_impl
    def after_pipeline_run(self) -> None:
        """There is nothing to continue."""
        self._again = ""

    def _answer(self, number: signal.Signals) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(number, self._stop)

    def _stop(self, number: int, _: object) -> None:
        """End an asked-for stop in good order: temporary files go, what is finished stays."""
        where = f" in {self._node}" if self._node else ""
        print(f"stopped{where}{self._again and f'; `{self._again}` continues'}", file=sys.stderr)  # noqa: T201
        raise SystemExit(128 + number)
