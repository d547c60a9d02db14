"""Kedro runners of this project: a study over the machines of a Ray cluster.

``kedro run --runner=persistence_pipeline.runners.RayRunner``
"""

from persistence_pipeline.runners.ray_runner import RayRunner

__all__ = ["RayRunner"]
