"""Every name a user may run is a folder under ``pipelines/``; ``kedro run`` alone runs all orderings."""

from __future__ import annotations

import warnings

from kedro.framework.project import find_pipelines
from kedro.pipeline import Pipeline


def register_pipelines() -> dict[str, Pipeline]:
    """Map pipeline names to pipelines."""
    from persistence_pipeline.pipelines import compose, grid

    # Datasets of other namespaces are named in full on purpose.
    warnings.filterwarnings("ignore", message="One or more dataset names contain '.' characters")
    pipelines: dict[str, Pipeline] = find_pipelines(raise_errors=True)
    pipelines["__default__"] = compose.study(grid.active_cells())
    return pipelines
