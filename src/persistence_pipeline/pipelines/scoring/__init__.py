"""Grades of every test trajectory."""

from persistence_pipeline.pipelines.scoring.pipeline import create_pipeline

__all__ = ["create_pipeline"]
