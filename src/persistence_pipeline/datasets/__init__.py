"""Kedro datasets of this project: checkpoints and JSON-lines records."""

from persistence_pipeline.datasets.checkpoint import CheckpointDataset
from persistence_pipeline.datasets.json_lines import JsonLinesDataset

__all__ = ["CheckpointDataset", "JsonLinesDataset"]
