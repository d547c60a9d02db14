"""Runs a pipeline over a Ray cluster: every node of the graph is a task, started when its inputs are there.

Data go through the catalog only, so whatever nodes exchange must be in it. A failing node stops nothing but what
stands on it; a lost worker or machine is made up for elsewhere. Fresh processes for every node, with the driver's
thread policy, make the outputs those of a sequential run, byte for byte.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, time
from typing import Any

from kedro.io import MemoryDataset
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from kedro.runner import AbstractRunner

from persistence_pipeline.hooks import _is_input_error
from persistence_pipeline.runners import cluster
from persistence_pipeline.runners.settings import RaySettings, ray_settings

logger = logging.getLogger(__name__)

PLACEMENT = "study.placement"
"""Dataset that records which node ran where; beside the reports, never part of an output."""


class RunFault(RuntimeError):
    """Nodes failed; the message says which, what is missing because of it, and how to go on."""


@dataclass
class Outcome:
    """What became of the nodes."""

    done: dict[Node, dict[str, Any]] = field(default_factory=dict)
    """Where each ran: ``host, machine`` (Ray's id), ``pid, started`` (seconds since 1970), ``seconds``."""
    failed: dict[Node, BaseException] = field(default_factory=dict)
    left: set[Node] = field(default_factory=set)
    """Never started, because an input is missing."""


class RayRunner(AbstractRunner):
    """Runs each node as a Ray task.

    Args:
        address: Of the cluster; wins over the parameter ``ray.address`` and over RAY_ADDRESS.
        is_async: Kedro's; must stay False.

    Raises:
        ValueError: for asynchronous loading and saving.
    """

    def __init__(self, address: str | None = None, is_async: bool = False) -> None:
        if is_async:
            raise ValueError("RayRunner loads and saves within each task: is_async must be False")
        super().__init__(is_async=False)
        self._address = address

    def _get_executor(self, max_workers: int) -> Executor | None:
        return None

    def _run(self, pipeline: Pipeline, catalog: Any, hook_manager: Any = None, run_id: str | None = None) -> None:
        """Check, run, record; ``hook_manager`` stays here, workers register the project's hooks themselves.

        Raises:
            ClusterFault: the cluster cannot run this pipeline; nothing was started.
            RunFault: after all that could run has run, if a node failed.
        """
        if not pipeline.nodes:
            return
        settings = ray_settings(catalog.load("parameters"), self._address)
        refuse_ephemeral(pipeline, catalog)
        used = {tag for node in pipeline.nodes for tag in node.tags}
        with cluster.connected(settings):
            cluster.check_workers(data_folder(catalog), settings.connect_timeout)
            cluster.check_resources({tag: claim for tag, claim in settings.resources.items() if tag in used})
            outcome = schedule(pipeline, catalog, settings, run_id)
        catalog.save(PLACEMENT, placements(outcome))
        logger.info(shares(outcome))
        if outcome.failed:
            self._suggest_resume_scenario(pipeline, outcome.done, catalog)
            raise RunFault(describe(outcome))


def refuse_ephemeral(pipeline: Pipeline, catalog: Any) -> None:
    """Refuse datasets that live in one process's memory: the next node may run elsewhere.

    Raises:
        ClusterFault: naming them.
    """
    names = sorted(name for node in pipeline.nodes for name in node.outputs if _in_memory(name, catalog))
    if names:
        raise cluster.ClusterFault(
            f"datasets without an entry in the catalog cannot travel between machines: {', '.join(names)}; "
            "add them to conf/base/catalog.yml"
        )


def _in_memory(name: str, catalog: Any) -> bool:
    return isinstance(catalog.get(name, fallback_to_runtime_pattern=True), MemoryDataset)


def data_folder(catalog: Any) -> Path | None:
    """The folder of the study's data; None where it is not a local path."""
    record = getattr(catalog.get(PLACEMENT), "_filepath", None)
    if record is None or not Path(str(record)).is_absolute():
        return None
    return Path(str(record)).parents[1]


def schedule(pipeline: Pipeline, catalog: Any, settings: RaySettings, run_id: str | None) -> Outcome:
    """Run every node whose inputs can be had; waits for all of them, whatever fails."""
    import ray
    from kedro.framework.project import PACKAGE_NAME

    task: Any = ray.remote(max_calls=1)(execute)  # a process of its own for each node
    shared = ray.put(catalog)
    needed_by = pipeline.node_dependencies
    outcome = Outcome(left=set(needed_by))
    running: dict[Any, Node] = {}
    while True:
        for node in ready(outcome.left, needed_by, outcome.done):
            needs = settings.needs(node.tags)
            claim = task.options(
                name=node.name,
                num_cpus=needs.num_cpus,
                num_gpus=needs.num_gpus,
                memory=needs.memory or None,
                max_retries=settings.max_retries,
            )
            running[claim.remote(node, shared, PACKAGE_NAME, str(Path.cwd()), run_id)] = node
            outcome.left.discard(node)
        if not running:
            return outcome
        (finished,), _ = ray.wait(list(running), num_returns=1)
        _note(finished, running.pop(finished), outcome, len(needed_by))


def ready(left: Collection[Node], needed_by: Mapping[Node, set[Node]], done: Collection[Node]) -> list[Node]:
    """Nodes that wait for nothing any more, in a fixed order."""
    return sorted((node for node in left if needed_by[node] <= set(done)), key=lambda node: node.name)


def _note(finished: Any, node: Node, outcome: Outcome, n_nodes: int) -> None:
    """Take up the result of a task, and say so in one line."""
    import ray

    try:
        outcome.done[node] = ray.get(finished)
    except ray.exceptions.RayTaskError as error:
        cause = error.cause if isinstance(error.cause, Exception) else error
        outcome.failed[node] = cause
        logger.error("%s failed: %s", node.name, cause if _is_input_error(cause) else str(error).strip())
    except ray.exceptions.RayError as error:
        outcome.failed[node] = error
        logger.error("%s was lost: %s", node.name, str(error).strip().splitlines()[0])
    else:
        placed = outcome.done[node]
        told = (len(outcome.done), n_nodes, node.name, placed["seconds"], placed["host"], placed["pid"])
        logger.info("%d of %d: %s, %.1f s on %s (process %d)", *told)


def execute(node: Node, catalog: Any, package: str, project: str, run_id: str | None) -> dict[str, Any]:
    """On a worker: run one node between loading and saving; returns where and how long.

    Paths in the parameters (``scratch``) are relative to the project, where the worker sees it.
    """
    import ray
    from kedro.runner.task import Task

    started, clock = time(), perf_counter()
    if Path(project).is_dir():
        os.chdir(project)
    Task._bootstrap_subprocess(package)
    Task(node=node, catalog=catalog, is_async=False, run_id=run_id, parallel=True).execute()
    seconds = perf_counter() - clock
    machine = ray.get_runtime_context().get_node_id()
    where = {"host": socket.gethostname(), "machine": machine, "pid": os.getpid()}
    return {**where, "started": started, "seconds": seconds}


def placements(outcome: Outcome) -> dict[str, dict[str, Any]]:
    """Where each finished node ran, by its name."""
    return {node.name: outcome.done[node] for node in sorted(outcome.done, key=lambda node: node.name)}


def shares(outcome: Outcome) -> str:
    """How much each machine did, in one line."""
    hosts = sorted({place["host"] for place in outcome.done.values()})
    by_host = {host: [p["seconds"] for p in outcome.done.values() if p["host"] == host] for host in hosts}
    told = [f"{host} {len(seconds)} nodes in {sum(seconds):.0f} s" for host, seconds in by_host.items()]
    return f"{len(outcome.done)} nodes done: {', '.join(told)}"


def describe(outcome: Outcome) -> str:
    """What failed, what is missing because of it, and the option that goes on from there."""
    total = len(outcome.done) + len(outcome.failed) + len(outcome.left)
    lines = [f"{len(outcome.failed)} of {total} nodes failed, {len(outcome.done)} are done:"]
    lines += [f"  {node.name}: {_told(error)}" for node, error in _by_name(outcome.failed.items())]
    if outcome.left:
        names = ", ".join(sorted(node.name for node in outcome.left))
        lines.append(f"{len(outcome.left)} did not run because of that: {names}")
    resume = ",".join(sorted(node.name for node in outcome.failed))
    lines.append(f'Mend the cause, then repeat the command with --from-nodes="{resume}"')
    return "\n".join(lines)


def _by_name(items: Iterable[tuple[Node, BaseException]]) -> list[tuple[Node, BaseException]]:
    return sorted(items, key=lambda item: item[0].name)


def _told(error: BaseException) -> str:
    """The error's message, its further lines set in below the node's name."""
    lines = [line for line in str(error).strip().splitlines() if line.strip()] or [type(error).__name__]
    return "\n    ".join(lines)
