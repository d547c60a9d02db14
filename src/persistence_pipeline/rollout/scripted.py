"""Plays a scripted behaviour through episodes: demonstrations for the warm start, yardsticks for tests."""

from __future__ import annotations

import random
from collections.abc import Iterable

from persistence_pipeline.rollout.episode import Episode, Turn
from persistence_pipeline.world.behaviours import BEHAVIOURS
from persistence_pipeline.world.cases import Case
from persistence_pipeline.world.kinds import Script
from persistence_pipeline.world.state import Observation


class ScriptedPolicy:
    """Plays one behaviour by name; slips of ``clumsy`` come from the episode's seed and case."""

    def __init__(self, behaviour: str) -> None:
        if behaviour not in BEHAVIOURS:
            raise ValueError(f"unknown behaviour {behaviour!r}; known: {list(BEHAVIOURS)}")
        self._script = BEHAVIOURS[behaviour]

    def play(self, episodes: list[Episode]) -> Iterable[Episode]:
        """Drive the episodes one after another."""
        for episode in episodes:
            rng = random.Random(f"{episode.seed}/{episode.case.case_id}/{episode.sample}")
            if not isinstance(episode.case, Case):
                raise TypeError(f"{episode.case.case_id}: scripts play cases of the tool world")
            _drive(episode, self._script(episode.case, rng))
            yield episode


def _drive(episode: Episode, script: Script) -> None:
    observation: Observation | None = None
    while not episode.done:
        try:
            call = next(script) if observation is None else script.send(observation)
        except StopIteration:
            episode.stop("max_turns")
            return
        episode.take(Turn(call=call))
        observation = episode.last_observation
