"""Runs a pipeline over a Ray cluster: every node of the graph is a task, started when its inputs are there.

Data go through the catalog only, so whatever nodes exchange must be in it. A failing node stops nothing but what
stands on it; a lost worker or machine is made up for elsewhere. Fresh processes for every node, with the driver's
thread policy, make the outputs those of a sequential run, byte for byte.
"""

from __future__ import annotations

import logging
from concurrent.futures import Executor
from graphlib import TopologicalSorter
from pathlib import Path, PurePosixPath
from typing import Any

from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from kedro.runner import AbstractRunner

from persistence_pipeline.provenance.note import desk_of_run, took
from persistence_pipeline.provenance.recorded import place
from persistence_pipeline.runners import cluster
from persistence_pipeline.runners.launches import check_launches
from persistence_pipeline.runners.outcome import Outcome, RunError, describe, shares
from persistence_pipeline.runners.sending import only, refuse_ephemeral
from persistence_pipeline.runners.settings import RaySettings, Resources, ray_settings
from persistence_pipeline.runners.worker import Setting, Told, execute

logger = logging.getLogger(__name__)

PLACEMENT = "study.placement"
"""Dataset that records which node ran where; beside the reports, never part of an output."""
PATIENCE = 60
"""Seconds without a finished node after which it is asked whether the cluster can still run what waits."""


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
            ClusterError: the cluster cannot run this pipeline; nothing was started.
            RunError: after all that could run has run, if a node failed.
        """
        if not pipeline.nodes:
            return
        settings = ray_settings(catalog.load("parameters"), self._address)
        refuse_ephemeral(pipeline, catalog)
        check_launches(pipeline, catalog, settings)
        outcome = Outcome(left=set(pipeline.nodes))
        with cluster.connected(settings):
            cluster.check_workers(*_data_folder(catalog), settings.connect_timeout)
            cluster.check_resources(claims(pipeline, settings))
            try:
                schedule(pipeline, catalog, settings, _setting(run_id), outcome)
            finally:
                known = catalog.load(PLACEMENT) if catalog.exists(PLACEMENT) else {}
                catalog.save(PLACEMENT, known | {node.name: where for node, where in outcome.done.items()})
        logger.info(shares(outcome))
        if outcome.failed:
            raise RunError(describe(outcome))


def _data_folder(catalog: Any) -> tuple[Any, str]:
    """File system and path of the study's data, from where the record of places lies in it."""
    there = place(catalog.get(PLACEMENT))
    assert there is not None  # noqa: S101
    return there[0], str(PurePosixPath(there[1]).parents[1])


def _setting(run_id: str | None) -> Setting:
    from kedro.framework.project import PACKAGE_NAME

    return Setting(str(PACKAGE_NAME), str(Path.cwd()), run_id, cluster.keys())


def claims(pipeline: Pipeline, settings: RaySettings) -> dict[str, Resources]:
    """Resources that the nodes ask for, by the tags that they bear together; warns of tags that no node bears."""
    borne = {tag for node in pipeline.nodes for tag in node.tags}
    for tag in sorted(set(settings.resources) - borne):
        logger.warning("ray.resources: no node of this run is tagged %r; there are %s", tag, sorted(borne))
    return {", ".join(sorted(node.tags)): settings.needs(node.tags) for node in pipeline.nodes}


def schedule(pipeline: Pipeline, catalog: Any, settings: RaySettings, setting: Setting, outcome: Outcome) -> None:
    """Run every node whose inputs can be had; waits for all of them, whatever fails."""
    import ray

    task: Any = ray.remote(max_calls=1)(execute)  # a process of its own for each node
    graph = TopologicalSorter(pipeline.node_dependencies)
    graph.prepare()
    running: dict[Any, Node] = {}
    desk = desk_of_run()
    digests: dict[str, str] = {}
    while True:
        for node in sorted(graph.get_ready(), key=lambda node: node.name):
            claim = task.options(name=node.name, max_retries=settings.max_retries, **_claim(node, settings))
            known = {name: digests[name] for name in node.inputs if name in digests}
            if desk:
                desk.started(node.name, known)
            running[claim.remote(node, only(node, catalog), setting, known)] = node
        if not running:
            return
        finished, _ = ray.wait(list(running), num_returns=1, timeout=PATIENCE)
        if not finished:
            _tell_what_is_missing(list(running.values()), settings)
        for answer in finished:
            node = running.pop(answer)
            outcome.left.discard(node)
            if told := _note(answer, node, outcome):
                graph.done(node)
                digests |= told.inputs | told.outputs
                took(node.name, told.place["seconds"])
                if desk:
                    desk.finished(node.name, told.inputs, told.outputs)


def _claim(node: Node, settings: RaySettings) -> dict[str, Any]:
    needs = settings.needs(node.tags)
    return {"num_cpus": needs.num_cpus, "num_gpus": needs.num_gpus, "memory": needs.memory or None}


def _tell_what_is_missing(waiting: list[Node], settings: RaySettings) -> None:
    """Say so where nodes wait for a kind of machine that the cluster has lost; it may come back."""
    try:
        cluster.check_resources(claims(Pipeline(waiting), settings))
    except cluster.ClusterError as fault:
        logger.warning("%s; waiting for one", fault)


def _note(answer: Any, node: Node, outcome: Outcome) -> Told | None:
    """Take up what a task tells, and pass it on; nothing where the node is not done."""
    import ray

    try:
        told: Told = ray.get(answer)
    except ray.exceptions.RayError as error:
        outcome.failed[node] = str(error).strip().splitlines()[0]
        logger.error("%s was lost: %s", node.name, outcome.failed[node])
        return None
    for level, words in told.said:
        logger.log(level, "%s: %s", node.name, words)
    if told.fault is not None:
        outcome.failed[node] = told.fault
        logger.error("%s failed on %s: %s", node.name, told.place["host"], told.trace or told.fault)
        return None
    outcome.done[node] = told.place
    count = (len(outcome.done), outcome.n_nodes)
    told_where = (node.name, told.place["seconds"], told.place["host"], told.place["pid"])
    logger.info("%d of %d: %s, %.1f s on %s (process %d)", *count, *told_where)
    return told
