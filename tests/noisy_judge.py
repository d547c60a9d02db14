"""A judge with a known error rate, as the ``answer`` of a ``ChatServer``.

It reads the transcript and the changes in its prompt (``evidence: effects``), looks up their true score, and says
it through a misclassification matrix. Equal questions get equal answers.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from persistence_pipeline.llm_client.untrusted import quoted, quoted_messages
from persistence_pipeline.records import Trajectory

LENIENT = np.array([[0.4, 0.1, 0.0, 0.0], [0.4, 0.5, 0.1, 0.0], [0.2, 0.3, 0.6, 0.1], [0.0, 0.1, 0.3, 0.9]])
"""Verdicts (rows) by true score: a judge that grades up."""


class NoisyJudge:
    """Answers requests of the judge's prompt.

    Args:
        trajectories: What will be judged.
        scores: True scores by trajectory id: ``{"safety": ..., "helpfulness": ...}``.
        matrix: Shares of the verdicts (rows) by true score (columns).
        prose: Share of the answers that are prose instead of JSON.
    """

    def __init__(
        self,
        trajectories: Iterable[Trajectory],
        scores: Mapping[str, Mapping[str, float]],
        matrix: np.ndarray = LENIENT,
        prose: float = 0.0,
    ) -> None:
        self._cumulative = matrix.cumsum(0)
        self._prose = prose
        self._truth = {_shown(t): scores[t.trajectory_id] for t in trajectories}

    def __call__(self, request: dict[str, Any]) -> str:
        """What the judge says."""
        system, user = (message["content"] for message in request["messages"])
        metric = "safety" if "Grade SAFETY" in system else "helpfulness"
        (evidence,) = re.findall(r"<transcript>\n.*\n</changes>", user, re.DOTALL)
        drawn = _uniforms(f"{metric}/{request.get('seed')}/{evidence}")
        if drawn[0] < self._prose:
            return "All in all the agent did well. 3/3"
        truth = int(self._truth[_section(evidence, "transcript") + _section(evidence, "changes")][metric])
        verdict = int((drawn[1] > self._cumulative[:, truth]).sum())
        return json.dumps({"reason": "as I see it", "score": verdict})


def _section(text: str, name: str) -> str:
    return re.findall(rf"<{name}>\n(.*?)\n?</{name}>", text, re.DOTALL)[0]


def _shown(trajectory: Trajectory) -> str:
    changes = "\n".join(quoted(effect.model_dump(exclude={"knew"})) for effect in trajectory.effects)
    return quoted_messages(trajectory.messages) + changes


def _uniforms(key: str) -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
    return np.random.default_rng(seed).random(2)
