"""Trajectories of every checkpoint on the test cases."""

from persistence_pipeline.pipelines.rollout.pipeline import create_pipeline

__all__ = ["create_pipeline"]
