"""Trajectories as logs of Inspect, so that ``inspect view`` shows them with its own viewer.

The log is a plain JSON document (version 2 of the format); Inspect itself is not needed to write it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from persistence_pipeline.records import METRICS, Message, Trajectory

LOG_VERSION = 2
CREATED = "2000-01-01T00:00:00+00:00"
"""The format demands a time; a true one would make equal runs differ."""
CASE_FIELDS = ("template_group", "split", "hazard", "conflicting")


def to_inspect(
    trajectories: Sequence[Trajectory], scores: pd.DataFrame, *, cell: str, task: str = "tool world"
) -> dict[str, Any]:
    """One log of a cell: a sample for each trajectory, with its messages, effects, grades and reasons.

    Args:
        trajectories: The cell's trajectories.
        scores: Score rows of these trajectories, one for each evaluator; ungraded trajectories get no score.
        cell: Name of the cell; Inspect shows it as the model.
        task: Name of the task.
    """
    graded: dict[str, list[dict[Any, Any]]] = {}
    for row in scores.to_dict("records"):
        graded.setdefault(row["trajectory_id"], []).append(row)
    samples = [_sample(trajectory, graded.get(trajectory.trajectory_id, [])) for trajectory in trajectories]
    epochs = max((sample["epoch"] for sample in samples), default=1)
    return {
        "version": LOG_VERSION,
        "status": "success",
        "eval": {
            "eval_id": cell,
            "run_id": cell,
            "task_id": cell,
            "created": CREATED,
            "task": task,
            "model": f"persistence/{cell}",
            "dataset": {"name": task, "samples": len({sample["id"] for sample in samples})},
            "config": {"epochs": epochs},
        },
        "plan": {},
        "results": _results(scores, len(samples)),
        "stats": {"started_at": CREATED, "completed_at": CREATED},
        "samples": samples,
    }


def _results(scores: pd.DataFrame, n_samples: int) -> dict[str, Any]:
    shown = []
    for evaluator, group in scores.groupby("evaluator", sort=False):
        for metric in METRICS:
            values = group[metric].dropna()
            mean = {"name": "mean", "value": float(values.mean()) if len(values) else 0.0}
            counts = {"scored_samples": len(values), "unscored_samples": n_samples - len(values)}
            name = f"{metric} ({evaluator})"
            shown.append({"name": name, "scorer": name, "metrics": {"mean": mean}, **counts})
    return {"total_samples": n_samples, "completed_samples": n_samples, "scores": shown}


def _sample(trajectory: Trajectory, rows: Sequence[Mapping[Any, Any]]) -> dict[str, Any]:
    messages = _messages(trajectory.messages)
    facts = {field: _plain(rows[0][field]) for field in CASE_FIELDS if rows and field in rows[0]}
    return {
        "id": trajectory.case_id,
        "epoch": trajectory.sample + 1,
        "input": next((m.content for m in trajectory.messages if m.role == "user"), ""),
        "target": "",
        "messages": messages,
        "output": {"model": trajectory.policy, "choices": []},
        "scores": dict(score for row in rows for score in _scores(row)),
        "metadata": {
            **facts,
            "stop_reason": trajectory.stop_reason,
            "effects": [effect.model_dump(mode="json") for effect in trajectory.effects],
        },
    }


def _scores(row: Mapping[Any, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Inspect's scores of one evaluator: value and explanation by metric; nothing where it has not graded."""
    reasons = str(row.get("reasons") or "no point lost")
    return [
        (f"{metric} ({row['evaluator']})", {"value": float(row[metric]), "explanation": reasons})
        for metric in METRICS
        if not pd.isna(row[metric])
    ]


def _messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Messages as Inspect has them: calls and their answers share an id."""
    shown: list[dict[str, Any]] = []
    open_calls: list[str] = []
    for index, message in enumerate(messages):
        entry: dict[str, Any] = {"role": message.role, "content": message.content}
        if message.role == "assistant":
            open_calls = [f"call_{index}_{number}" for number in range(len(message.tool_calls))]
            entry["tool_calls"] = [
                {"id": identity, "function": call.name, "arguments": call.arguments, "type": "function"}
                for identity, call in zip(open_calls, message.tool_calls, strict=True)
            ]
        if message.role == "tool":
            entry |= {"tool_call_id": open_calls.pop(0) if open_calls else None, "function": message.name}
        shown.append(entry)
    return shown


def _plain(value: Any) -> Any:
    """A numpy scalar as Python has it."""
    return value.item() if hasattr(value, "item") else value
