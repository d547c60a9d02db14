"""An estimate of what a study will ask of servers, before it asks."""

from persistence_pipeline.pipelines.plan.pipeline import create_pipeline

__all__ = ["create_pipeline"]
