"""Checkpoints with their cards, pairs as datasets, trajectories as Inspect logs: to hand to others."""

from persistence_pipeline.pipelines.export.pipeline import create_pipeline

__all__ = ["create_pipeline"]
