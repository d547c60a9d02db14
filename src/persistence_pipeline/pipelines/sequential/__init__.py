"""Both orders, with the single stages they need."""

from persistence_pipeline.pipelines.sequential.pipeline import create_pipeline

__all__ = ["create_pipeline"]
