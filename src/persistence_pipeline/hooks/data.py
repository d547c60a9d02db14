"""Hooks on the data of a run: locks on its datasets, half-written files, journals of rollouts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from persistence_pipeline.hooks.locks import DataLock
from persistence_pipeline.provenance.recorded import is_parameter, place
from persistence_pipeline.rollout.played import Played


class LockHooks:
    """Lets no two runs work on the same data at once, and clears away what a killed one left half-written."""

    def __init__(self) -> None:
        self._lock: DataLock | None = None

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Find the lock of this environment's data: beside the trainers' state, which is in files always."""
        scratch = Path(context.project_path) / context.config_loader["parameters"]["scratch"]
        self._lock = DataLock(scratch / "lock")

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> None:
        """Take the datasets that the run writes and reads."""
        if self._lock is None:
            return
        written = pipeline.all_outputs()
        self._lock.acquire(written, {name for name in pipeline.inputs() if not is_parameter(name)})
        from persistence_pipeline.datasets._atomic import remove_leftovers

        for files, path in filter(None, (place(catalog.get(name)) for name in written)):
            if "file" in files.protocol:  # an object store replaces whole objects itself
                remove_leftovers(Path(path))

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Let other runs have them."""
        self._release()

    @hook_impl
    def on_pipeline_error(self) -> None:
        """Let other runs have them."""
        self._release()

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()


class JournalHooks:
    """Removes the journals of a rollout when all that was made of their replies has been saved, and not before.

    Works in whatever process saves a node's outputs: the run's own, a worker's, one on another machine.
    """

    def __init__(self) -> None:
        self._unsaved: dict[str, set[str]] = {}
        self._played: dict[str, list[Played]] = {}

    @hook_impl
    def before_node_run(self, node: Node) -> None:
        """Remember what is to be saved."""
        self._unsaved[node.name] = set(node.outputs)
        self._played[node.name] = []

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any, node: Node) -> None:
        """With the last of a node's outputs, its journals may go."""
        left = self._unsaved.get(node.name, set())
        left.discard(dataset_name)
        if isinstance(data, Played):
            self._played[node.name].append(data)
        if not left:
            for played in self._played.pop(node.name, []):
                played.remove_journals()
