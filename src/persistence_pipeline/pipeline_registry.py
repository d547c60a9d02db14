"""Every name a user may run is a folder under ``pipelines/``; ``kedro run`` alone runs all orderings."""

from __future__ import annotations

import warnings

from kedro.framework import project
from kedro.pipeline import Pipeline


def register_pipelines() -> dict[str, Pipeline]:
    """Map pipeline names to pipelines."""
    # Datasets of other namespaces are named in full on purpose.
    warnings.filterwarnings("ignore", message="One or more dataset names contain '.' characters")
    pipelines: dict[str, Pipeline] = project.find_pipelines(raise_errors=True)
    # A run that names its pipelines must not pay for all others; Kedro itself skips their folders.
    named = getattr(project.pipelines, "_requested_pipelines", None)
    if named is None or "__default__" in named:
        from persistence_pipeline.pipelines import compose, grid

        pipelines["__default__"] = compose.study(grid.active_cells())
    return pipelines
