"""The graph in which a run's nodes stand: all that its outputs are made from, and all that is made from them."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from persistence_pipeline.provenance.ledger import Ledger
from persistence_pipeline.study import parse_study

BESIDE = {"judging": ".judge", "emulation": ".play_emulated", "export": ".export_trajectories"}
"""Pipelines beside the study that stand on it, with a node of each by which it is seen that it has run."""
RESULT = "study.summary"
"""What is shown of a study."""


def whole_study(run: Mapping[str, Any], parameters: Mapping[str, Any], ledger: Ledger) -> Pipeline:
    """The pipelines that a run names, without its filters, and the session's study around them.

    Args:
        run: ``run_params`` of Kedro's hooks.
        parameters: All parameters of the session.
        ledger: Says what else has run.
    """
    from kedro.framework.project import pipelines

    from persistence_pipeline.pipelines import compose

    study = parse_study(parameters)
    named = [pipelines[name] for name in run.get("pipeline_names") or ["__default__"]]
    default = "__default__" in (run.get("pipeline_names") or ["__default__"])
    whole = [] if default else [compose.study(*study)]
    package = f"{__name__.partition('.')[0]}.pipelines"
    beside = [
        importlib.import_module(f"{package}.{step}").create_pipeline(*study)
        for step, node in BESIDE.items()
        if ledger.has(node)
    ]
    nodes: dict[str, Node] = {}
    made: set[str] = set()
    for part in (*named, *whole, *beside):
        fitting = [node for node in part.nodes if node.name not in nodes and made.isdisjoint(node.outputs)]
        nodes |= {node.name: node for node in fitting}
        made.update(*(node.outputs for node in fitting))
    return Pipeline(list(nodes.values()))


def above(whole: Pipeline, nodes: Iterable[str]) -> set[str]:
    """Names of the nodes that these stand on, without themselves."""
    made_by = {name: node.name for node in whole.nodes for name in node.outputs}
    parents = {node.name: {made_by[name] for name in node.inputs if name in made_by} for node in whole.nodes}
    return _reached(parents, nodes)


def below(whole: Pipeline, nodes: Collection[str]) -> set[str]:
    """Names of the nodes that stand on these, without themselves."""
    readers: dict[str, set[str]] = {}
    for node in whole.nodes:
        for name in node.inputs:
            readers.setdefault(name, set()).add(node.name)
    children = {
        node.name: set().union(*(readers.get(name, set()) for name in node.outputs)) for node in whole.nodes
    }
    return _reached(children, nodes)


def made_from(whole: Pipeline, nodes: Collection[str]) -> set[str]:
    """Datasets that these nodes, and those that stand on them, make."""
    names = {*nodes, *below(whole, nodes)}
    return {name for node in whole.nodes if node.name in names for name in node.outputs}


def _reached(steps: Mapping[str, set[str]], starts: Iterable[str]) -> set[str]:
    first = set(starts)
    found, waiting = set[str](), list(first)
    while waiting:
        fresh = steps.get(waiting.pop(), set()) - found
        found |= fresh
        waiting += fresh
    return found - first
