"""The published study, read from a clone of its repository and re-analysed."""

from persistence_pipeline.pipelines.published.pipeline import create_pipeline

__all__ = ["create_pipeline"]
