"""What a node takes along into another process, on this machine or on a cluster's."""

from __future__ import annotations

from typing import Any

from kedro.io import CatalogConfigResolver, DataCatalog
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from persistence_pipeline.provenance.recorded import is_parameter


class SendingError(RuntimeError):
    """A dataset cannot leave its process."""


def refuse_ephemeral(pipeline: Pipeline, catalog: Any) -> None:
    """Refuse datasets that live in one process's memory: the next node may run elsewhere.

    Raises:
        SendingError: naming them.
    """
    names = sorted(name for name in pipeline.all_outputs() if _in_memory(name, catalog))
    if names:
        raise SendingError(
            f"datasets without an entry in the catalog cannot travel between processes: {', '.join(names)}; "
            "add them to conf/base/catalog.yml"
        )


def _in_memory(name: str, catalog: Any) -> bool:
    dataset = catalog.get(name, fallback_to_runtime_pattern=True)
    return bool(dataset._EPHEMERAL or getattr(dataset, "_SINGLE_PROCESS", False))  # what Kedro's runners look at


def only(node: Node, catalog: Any) -> Any:
    """The catalog of one node: what is sent must not grow with the study."""
    names = {*node.inputs, *node.outputs}
    given = {name: catalog.get(name) for name in names if is_parameter(name)}
    entries = {name: catalog.config_resolver.resolve_pattern(name) for name in names - given.keys()}
    patterns = DataCatalog.default_runtime_patterns
    return DataCatalog(given, CatalogConfigResolver(entries, default_runtime_patterns=patterns))
