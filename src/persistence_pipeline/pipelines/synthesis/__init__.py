"""Cases, source policies, candidate rollouts, their scores, preference pairs."""

from persistence_pipeline.pipelines.synthesis.pipeline import create_pipeline, origins

__all__ = ["create_pipeline", "origins"]
