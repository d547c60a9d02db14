"""Stages of several processes: a task must hold what its processes will use, before anything starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kedro.pipeline import Pipeline

from persistence_pipeline.runners.cluster import ClusterError
from persistence_pipeline.runners.settings import RaySettings, Resources
from persistence_pipeline.training.launch import Launch, read_launch
from persistence_pipeline.training.settings import StageSettings


def check_launches(pipeline: Pipeline, catalog: Any, settings: RaySettings) -> None:
    """Refuse stages that start more or fewer processes than their task holds GPUs (or CPUs, without GPUs).

    Raises:
        ClusterError: naming the parameter, the launch, and the claim to make.
        StageError: the launch's file is not one.
    """
    stages = {
        (name, frozenset(node.tags))
        for node in pipeline.nodes
        for name in node.inputs
        if name.startswith("params:training.")
    }
    for name, tags in sorted(stages, key=lambda stage: stage[0]):
        chosen: StageSettings = catalog.load(name)
        if chosen.launch:
            _compare(name, read_launch(Path(chosen.launch)), sorted(tags), settings.needs(tags))


def _compare(name: str, launch: Launch, tags: list[str], claim: Resources) -> None:
    kind, held = ("num_cpus", claim.num_cpus) if launch.on_cpu else ("num_gpus", claim.num_gpus)
    if launch.n_processes != held:
        raise ClusterError(
            f"{name} starts {launch.n_processes} processes ({launch.path}), but nodes tagged {', '.join(tags)} "
            f"hold {kind} {held:g}: set ray.resources.{tags[0]}.{kind} to {launch.n_processes}"
        )
