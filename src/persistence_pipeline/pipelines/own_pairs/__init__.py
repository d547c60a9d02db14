"""The study's stages trained on pairs of one's own."""

from persistence_pipeline.pipelines.own_pairs.pipeline import create_pipeline

__all__ = ["create_pipeline"]
