"""LLM judges of the study's trajectories, and how far they can be trusted."""

from persistence_pipeline.pipelines.judging.pipeline import create_pipeline

__all__ = ["create_pipeline"]
