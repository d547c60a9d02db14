"""Every name a user may run is a folder under ``pipelines/``; ``kedro run`` alone runs all orderings."""

from __future__ import annotations

import warnings

from kedro.framework import project
from kedro.pipeline import Pipeline

from persistence_pipeline.suggestions import check_pipelines


def register_pipelines() -> dict[str, Pipeline]:
    """Map pipeline names to pipelines."""
    # Datasets of other namespaces are named in full on purpose.
    warnings.filterwarnings("ignore", message="One or more dataset names contain '.' characters")
    named = getattr(project.pipelines, "_requested_pipelines", None)
    check_pipelines(named)
    pipelines: dict[str, Pipeline] = project.find_pipelines(raise_errors=True)
    # A run that names its pipelines must not pay for all others; Kedro itself skips their folders.
    if named is None or "__default__" in named:
        from persistence_pipeline.pipelines import compose, grid

        pipelines["__default__"] = compose.study(grid.active_cells())
    return pipelines
