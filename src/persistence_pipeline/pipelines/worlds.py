"""The world that a study's policies act in, and the boxes of pipelines that depend on it."""

from __future__ import annotations

from persistence_pipeline.pipelines.parts import World
from persistence_pipeline.pipelines.tool_world import TOOL_WORLD
from persistence_pipeline.pipelines.toolemu import TOOLEMU
from persistence_pipeline.study import StudyDesign, seed_name

WORLDS = {"tool_world": TOOL_WORLD, "toolemu": TOOLEMU}


def world_of(design: StudyDesign) -> World:
    """The world of a study."""
    return WORLDS[design.cases]


def cases_of(design: StudyDesign, seed: int) -> str:
    """Dataset of a seed's cases."""
    return f"{seed_name(seed)}.{WORLDS[design.cases].cases}"
