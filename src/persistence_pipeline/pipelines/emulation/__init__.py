"""The study's checkpoints on cases in ToolEmu's format."""

from persistence_pipeline.pipelines.emulation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
