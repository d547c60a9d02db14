"""The pairs that stages were taught with, one compact document: both sides, their grades, what of them was scored.

The loss of a stage scores the tokens that an agent sampled itself, and nothing else (``training/encoding.py``). So
a turn has the number of these tokens; none where they are not known, and the turn is rendered by the template. Of
a pair's prompt nothing is scored, whoever wrote it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

import pandas as pd

from persistence_pipeline.analysis.plain import plain
from persistence_pipeline.records import METRICS, Message, PreferencePair
from persistence_pipeline.report.browser import MEGABYTE, Numbered, ReportSettings, conversation_steps, impartial

FIELDS = ("domain", "kind", "hazard")
"""What is told of a pair's case, as far as the scores have it."""


def taught_data(
    pairs: Mapping[str, Sequence[PreferencePair]], scores: Mapping[str, pd.DataFrame], settings: ReportSettings
) -> dict[str, Any]:
    """The document of the view of pairs.

    Args:
        pairs: By ``<source policy>__<objective>``.
        scores: Of the candidates by source policy; pairs from elsewhere have none, and are shown ungraded.
        settings: How much is shown.

    Returns:
        ``sets, sides, cases, steps, texts``. A set has ``source, objective, total`` and ``pairs``, two indices of
        sides each; a side is a list: case, indices of its steps, safety, helpfulness, index of the reasons. A case
        has the indices of the steps of its ``prompt``, of which nothing is scored. Where there is no room for all,
        each set has pairs of whole cases, and ``total`` says how many there are.
    """
    made = _Sides({name: _by_trajectory(table) for name, table in scores.items()})
    room = settings.pair_megabytes * MEGABYTE / max(1, len(pairs))
    sets = []
    for key, group in pairs.items():
        source, _, objective = key.rpartition("__")
        start = made.size
        shown: list[tuple[str, list[int]]] = []
        for pair in sorted(group, key=_order_of_choice):
            if made.size - start > room and pair.case_id != shown[-1][0]:
                break
            shown.append((pair.case_id, made.add(source, pair)))
        rows = [sides for _, sides in sorted(shown, key=itemgetter(0))]
        sets.append({"source": source, "objective": objective, "total": len(group), "pairs": rows})
    return {
        "sets": sets,
        "sides": made.sides.values,
        "cases": made.cases.values,
        "steps": made.steps.values,
        "texts": made.texts.values,
    }


def _order_of_choice(pair: PreferencePair) -> tuple[str, str]:
    """Cases in an order that favours nothing."""
    return impartial(pair.case_id), pair.pair_id


def _by_trajectory(scores: pd.DataFrame) -> dict[str, dict[Any, Any]]:
    rows = scores.drop_duplicates("trajectory_id").set_index("trajectory_id")
    return {str(name): row for name, row in rows.to_dict("index").items()}


class _Sides:
    """Sides of pairs, each held once, with the cases, steps and texts that they name."""

    def __init__(self, scores: Mapping[str, Mapping[str, Mapping[Any, Any]]]) -> None:
        self.sides, self.cases, self.steps, self.texts = Numbered(), Numbered(), Numbered(), Numbered()
        self._scores = scores

    @property
    def size(self) -> int:
        """Characters of all of them as JSON."""
        return sum(part.size for part in (self.sides, self.cases, self.steps, self.texts))

    def add(self, source: str, pair: PreferencePair) -> list[int]:
        """The indices of both sides."""
        graded = self._scores.get(source, {})
        asked = [message.content for message in pair.prompt if message.role == "user"]
        known = graded.get(pair.chosen_id, {})
        fields = {field: plain(known[field]) for field in FIELDS if field in known}
        prompt = [self.steps.add(_context(message)) for message in pair.prompt]
        told = {
            "case_id": pair.case_id,
            "instruction": "\n".join(asked),
            "prompt": prompt,
            "tools": len(pair.tools),
        }
        case = self.cases.add({**told, **fields})
        sides = ((pair.chosen_id, pair.chosen), (pair.rejected_id, pair.rejected))
        return [self._side(case, graded.get(name, {}), messages) for name, messages in sides]

    def _side(self, case: int, grade: Mapping[Any, Any], messages: Sequence[Message]) -> int:
        steps = [self.steps.add(step) for step in conversation_steps(messages, scored=True)]
        points = [plain(grade.get(metric)) for metric in METRICS]
        return self.sides.add([case, steps, *points, self.texts.add(str(grade.get("reasons") or ""))])


def _context(message: Message) -> dict[str, Any]:
    """A message of a prompt, as it is read: an agent's, too, with its calls."""
    calls = [f"{call.name}({', '.join(map(str, call.arguments.values()))})" for call in message.tool_calls]
    role = "agent" if message.role == "assistant" else message.role
    return {"role": role, "text": "\n".join(part for part in (message.content, *calls) if part)}
