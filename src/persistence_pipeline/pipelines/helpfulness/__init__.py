"""One stage on helpfulness."""

from persistence_pipeline.pipelines.helpfulness.pipeline import create_pipeline

__all__ = ["create_pipeline"]
