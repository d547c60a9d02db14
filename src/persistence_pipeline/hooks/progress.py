"""While a run works and at its end: seconds by node, the result, where the report is."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from persistence_pipeline.collecting import collect_and_set_aside
from persistence_pipeline.provenance.note import seconds_of_run, took
from persistence_pipeline.provenance.recorded import shown_place
from persistence_pipeline.session import reporting_folder

logger = logging.getLogger(__name__)

TIMES_SHOWN = 40


class ProgressHooks:
    """Times each node, and ends a run with a short table and the path of the report."""

    def __init__(self) -> None:
        self._started: dict[str, float] = {}
        self._reporting = ""

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Find the folder of this environment's reports: a path or a URL."""
        self._reporting = reporting_folder(Path(context.project_path), context.config_loader)

    @hook_impl
    def before_node_run(self, node: Node) -> None:
        """Start the clock of a node."""
        self._started[node.name] = perf_counter()

    @hook_impl
    def after_node_run(self, node: Node) -> None:
        """Free what the node has left, before another one loads its models; stop its clock."""
        collect_and_set_aside()
        took(node.name, perf_counter() - self._started[node.name])

    @hook_impl
    def after_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> None:
        """Print the times, the result and where the report lies."""
        from persistence_pipeline.report.kit.tables import table_console

        console = table_console()
        if seconds := seconds_of_run():
            console.print(_times_table(seconds))
            self._write(seconds)
        outputs = pipeline.all_outputs()
        if "study.summary" in outputs:
            from persistence_pipeline.report.terminal import console_table

            console.print(console_table(catalog.load("study.summary"), console.width))
        for name in ("study.report", "judging.report", "published.report"):
            if name in outputs:
                console.print(f"Report: {shown_place(catalog[name])}", style="bold", soft_wrap=True)

    def _write(self, seconds: Mapping[str, float]) -> None:
        """Times of the last run, beside the report; never part of a cached output."""
        import fsspec

        try:
            with fsspec.open(f"{self._reporting}/times.json", "w", encoding="utf-8") as file:
                json.dump(seconds, file, indent=1, sort_keys=True)
        except OSError as error:
            logger.warning("times were not written: %s", error)


def _times_table(seconds: Mapping[str, float]) -> Any:
    from rich.table import Table

    table = Table(title="Seconds by node", title_justify="left", header_style="bold")
    table.add_column("node")
    table.add_column("seconds", justify="right")
    slowest = sorted(seconds.items(), key=lambda item: -item[1])
    for name, spent in slowest[:TIMES_SHOWN]:
        table.add_row(name, f"{spent:.1f}")
    if slowest[TIMES_SHOWN:]:
        rest = slowest[TIMES_SHOWN:]
        table.add_row(f"{len(rest)} more (times.json)", f"{sum(spent for _, spent in rest):.1f}")
    table.add_section()
    table.add_row("all nodes", f"{sum(seconds.values()):.1f}")
    return table
