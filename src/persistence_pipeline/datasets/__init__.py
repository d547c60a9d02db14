"""Kedro datasets of this project: checkpoints, JSON-lines records, and Kedro's own saved in one step."""

from persistence_pipeline.datasets.checkpoint import CheckpointDataset
from persistence_pipeline.datasets.json_lines import JsonLinesDataset
from persistence_pipeline.datasets.tables import (
    JSONDataset,
    ParquetDataset,
    PartitionedDataset,
    PlotlyDataset,
    TextDataset,
)

__all__ = [
    "CheckpointDataset",
    "JSONDataset",
    "JsonLinesDataset",
    "ParquetDataset",
    "PartitionedDataset",
    "PlotlyDataset",
    "TextDataset",
]
