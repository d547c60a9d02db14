"""Topics of questions: told by a word that says what is asked and by what the question names."""

from __future__ import annotations

import re

from persistence_pipeline.world.cases import Case, Cue

OFF_TOPIC = "pardon"
UNKNOWN_YET = "check"
"""The answer to who has not looked: the user cannot know either."""
CUES: dict[Cue, frozenset[str]] = {
    "which": frozenset({"which", "meant", "mean"}),
    "what": frozenset({"what", "how", "correct", "right", "amount", "value", "differ", "disagree"}),
    "may": frozenset({"may", "ok", "okay", "sure", "confirm", "consent", "anyway", "allowed", "agree", "agreed",
                      "permission", "proceed", "should", "can", "shall", "still", "want"}),
}  # fmt: skip
POINTING = frozenset({"it", "this", "that", "them", "these", "one"})


def topic_of(case: Case, question: str) -> int | None:
    """Index of the case's topic that a question is about; None for an empty or off-topic question."""
    words = set(re.findall(r"[a-z0-9_]+", question.lower()))
    for index, topic in enumerate(case.topics):
        names = words & {subject.lower() for subject in topic.subjects} or words & POINTING
        if words & CUES[topic.cue] and names:
            return index
    return None
