"""Both objectives at once."""

from persistence_pipeline.pipelines.simultaneous.pipeline import create_pipeline

__all__ = ["create_pipeline"]
