"""Kedro runners of this project: a study over the cores of this machine, or over the machines of a Ray cluster.

``kedro run --runner=persistence_pipeline.runners.SideBySideRunner``, or ``RayRunner``.
"""

from persistence_pipeline.runners.ray_runner import RayRunner
from persistence_pipeline.runners.side_by_side import SideBySideRunner

__all__ = ["RayRunner", "SideBySideRunner"]
