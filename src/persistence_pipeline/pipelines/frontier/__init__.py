"""Aggregation, frontier fit, persistence, audits."""

from persistence_pipeline.pipelines.frontier.pipeline import create_pipeline

__all__ = ["create_pipeline"]
