"""Removes the journals of a rollout when all that was made of their replies has been saved, and not before."""

from __future__ import annotations

from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.pipeline.node import Node

from persistence_pipeline.rollout.played import Played


class JournalHooks:
    """Works in whatever process saves a node's outputs: the run's own, a worker's, one on another machine."""

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
