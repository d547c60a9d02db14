"""One group of published files read line by line: trajectories, their two scores, and what is wrong."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median
from typing import Any

from persistence_pipeline.published.layout import POOL, Fault, FileGroup
from persistence_pipeline.published.settings import Reduction
from persistence_pipeline.published.toolemu import from_toolemu
from persistence_pipeline.records import Trajectory

SCORES = {"safety": "ToolCallRisk", "helpfulness": "Helpfulness"}
HIGHEST = 3.0
Line = tuple[int, Any]
"""Number from 1, and what was parsed (a Fault where it could not be)."""


@dataclass
class Read:
    """What came out of files."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    """One flat row per trajectory and evaluator."""
    conversations: list[dict[str, str]] = field(default_factory=list)
    """``trajectory_id``, ``toolkits`` and the record as JSON, of the pool."""
    faults: list[Fault] = field(default_factory=list)


def read_group(group: FileGroup, n_cases: int, replicates: Reduction) -> Read:
    """Read the three files of a group.

    A faulty line costs its trajectory; files of different lengths cost the whole group, because lines belong
    together by position only.

    Args:
        group: The files.
        n_cases: Number of cases of the study; indices run from 0.
        replicates: How several judgements of one trajectory become one score.
    """
    result = Read()
    files = {"trajectory": group.trajectories, "safety": group.safety, "helpfulness": group.helpfulness}
    lines = {name: list(_parsed(path)) for name, path in files.items()}
    lengths = {files[name].name: len(found) for name, found in lines.items()}
    if len(set(lengths.values())) > 1:
        counted = ", ".join(f"{name} has {n}" for name, n in lengths.items())
        detail = f"line counts differ: {counted}"
        result.faults.append(Fault("line_count", group.trajectories, None, detail, max(lengths.values())))
        return result
    for position, matched in enumerate(zip(*lines.values(), strict=True)):
        try:
            _add_row(result, group, n_cases, replicates, position, dict(zip(files, matched, strict=True)))
        except _LineFault as fault:
            result.faults.append(Fault(fault.kind, files[fault.file], fault.line, fault.detail))
    return result


class _LineFault(Exception):
    def __init__(self, kind: str, file: str, line: int, detail: str) -> None:
        super().__init__(detail)
        self.kind, self.file, self.line, self.detail = kind, file, line, detail


def _parsed(path: Path) -> Iterator[Line]:
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, text in enumerate(file, 1):
            if not text.strip():
                continue
            try:
                value = json.loads(text)
            except ValueError as error:
                yield number, error
            else:
                yield number, value if isinstance(value, dict) else ValueError("not a JSON object")


def _add_row(
    result: Read, group: FileGroup, n_cases: int, replicates: Reduction, position: int, lines: Mapping[str, Line]
) -> None:
    for name, (number, value) in lines.items():
        if isinstance(value, ValueError):
            raise _LineFault("json", name, number, f"not valid JSON, truncated? ({value})")
    number, line = lines["trajectory"]
    configuration = group.configuration
    try:
        trajectory = from_toolemu(
            line,
            trajectory_id=f"{group.part}/{group.evaluator}/{configuration.name}/{line.get('case_idx')}",
            policy=configuration.name,
            seed=configuration.seed or 0,
        )
    except ValueError as error:
        raise _LineFault("field", "trajectory", number, str(error)) from None
    index = line["case_idx"]
    if not group.start <= index < min(group.stop, n_cases):
        expected = f"{group.start} to {min(group.stop, n_cases) - 1}"
        raise _LineFault("field", "trajectory", number, f"field case_idx: expected {expected}, found {index}")
    scores = {metric: _score(metric, position, *lines[metric], replicates) for metric in SCORES}
    n_replicates = max(len(lines[metric][1].get("replicates") or [None]) for metric in SCORES)
    identity = {"case_index": index, "content_hash": _content_hash(line), "n_replicates": n_replicates}
    result.rows.append({**_flat(group, trajectory), **identity, **scores, "line": number})
    if group.part == POOL:
        kits = json.dumps(line["case"].get("Toolkits", []))
        written = {"toolkits": kits, "record": trajectory.model_dump_json()}
        result.conversations.append({"trajectory_id": trajectory.trajectory_id, **written})


def _score(metric: str, position: int, number: int, line: Mapping[str, Any], replicates: Reduction) -> float:
    """The score of an evaluation line; several judgements are reduced to one."""
    if line.get("eval_id", position) != position:
        detail = f"eval_id: expected {position}, found {line['eval_id']!r}; lines go by position"
        raise _LineFault("position", metric, number, detail)
    judgements = line.get("replicates", [line])
    if not isinstance(judgements, list):
        raise _LineFault("score", metric, number, "field replicates: expected a list")
    key = SCORES[metric]
    values = [(j.get("eval_scores") or {}).get(key) for j in judgements if isinstance(j, dict)]
    given = [value for value in values if value is not None]
    if not given:
        raise _LineFault("score", metric, number, f"field eval_scores.{key} is missing")
    for value in given:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= HIGHEST:
            detail = f"field eval_scores.{key}: expected a number from 0 to 3, found {value!r}"
            raise _LineFault("score", metric, number, detail)
    return float(median(given) if replicates == "median" else fmean(given))


def _flat(group: FileGroup, trajectory: Trajectory) -> dict[str, Any]:
    configuration, flags = group.configuration, trajectory.flags
    return {
        "trajectory_id": trajectory.trajectory_id,
        "case_id": trajectory.case_id,
        "template_group": trajectory.template_group,
        "domain": trajectory.template_group.partition("/")[2],
        "part": group.part,
        "configuration": configuration.name,
        "source": configuration.source,
        "ordering": configuration.ordering,
        "beta": configuration.beta,
        "seed": -1 if configuration.seed is None else configuration.seed,
        "trained_on": configuration.trained_on,
        "evaluator": group.evaluator,
        "stop_reason": trajectory.stop_reason,
        "n_calls": int(flags["calls"]),
        "n_invalid": int(flags["invalid_calls"]),
        "n_failed": int(flags["failed_calls"]),
        "n_tokens": int(flags["new_tokens"]),
        "n_characters": int(flags["characters"]),
        "n_observation_characters": int(flags["observation_characters"]),
        "fabricated": bool(flags["fabricated"]),
        "file": str(group.trajectories),
    }


def _content_hash(line: Mapping[str, Any]) -> str:
    """Equal for one trajectory judged twice."""
    text = json.dumps(line["intermediate_steps"], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
