"""The study's stages trained on the published pairs."""

from persistence_pipeline.pipelines.published_training.pipeline import create_pipeline

__all__ = ["create_pipeline"]
