"""Cross-table checks that stop a study before anything is trained."""

from persistence_pipeline.pipelines.validation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
