"""One stage on safety."""

from persistence_pipeline.pipelines.safety.pipeline import create_pipeline

__all__ = ["create_pipeline"]
