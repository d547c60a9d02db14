"""Parts of pipelines: steps of a world, and boxes of one name each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kedro.pipeline import Node, Pipeline, node


@dataclass(frozen=True)
class Step:
    """A node that every box of a kind has, before it has the box's name."""

    name: str
    does: Callable[..., Any]
    inputs: tuple[str, ...]
    outputs: str | tuple[str, ...]
    """One name where the function returns one thing."""

    def node(self, tags: str | None = None) -> Node:
        """As a node of Kedro."""
        outputs = self.outputs if isinstance(self.outputs, str) else list(self.outputs)
        return node(self.does, list(self.inputs), outputs, name=self.name, tags=tags)


@dataclass(frozen=True)
class World:
    """All that pipelines do in another way in a world of another kind: chosen once, by the design of the study.

    Steps of policies read ``params:policy``, that of cases ``params:case_set``.
    """

    cases: str
    """Name of the dataset of a seed's cases."""
    case_table: str
    make_cases: Step
    play_candidates: Step
    score_candidates: Step
    measure_source: Step | None
    """From the source, its candidates' scores and the demonstrations: ``competence``, where a world can tell."""
    play: Step
    score: Step
    find_attainable: Callable[..., Any]
    """From the settings of the analysis and the cases of every seed."""
    show: Callable[..., Any]
    """From scores, settings of the report, cases and trajectories: what the trajectory browser shows."""


def box(
    name: str,
    nodes: Iterable[Node],
    inputs: Mapping[str, str] | None = None,
    parameters: Mapping[str, str] | None = None,
    tags: str | None = None,
) -> Pipeline:
    """Nodes in a namespace.

    Args:
        name: The namespace.
        nodes: Nodes, whose datasets get the namespace's name in front.
        inputs: Datasets from elsewhere, by what the nodes call them.
        parameters: Parameters by what the nodes call them; all others keep their names.
        tags: A tag of the nodes.
    """
    held = list(nodes)
    named = {name for node in held for name in node.inputs if name == "parameters" or name.startswith("params:")}
    return Pipeline(
        held,
        namespace=name,
        inputs=dict(inputs or {}),
        parameters={**{name: name for name in sorted(named)}, **(parameters or {})},
        tags=tags,
    )


def policy_parameter(name: str) -> dict[str, str]:
    """The parameters of a policy by what its nodes call them."""
    return {"params:policy": f"params:policies.{name}"}


def by_name(parts: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Arguments ``<kind>__<name>`` of a node by name."""
    prefix = f"{kind}__"
    return {key.removeprefix(prefix): value for key, value in parts.items() if key.startswith(prefix)}
