"""Staged DPO: one checkpoint per trained policy."""

from persistence_pipeline.pipelines.training.pipeline import create_pipeline

__all__ = ["create_pipeline"]
