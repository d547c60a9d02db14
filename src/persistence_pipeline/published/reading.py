"""One group of published files read line by line: trajectories, their two scores, and what is wrong."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median
from typing import Any

from persistence_pipeline.published.layout import Fault, FileGroup, unreadable
from persistence_pipeline.published.settings import Reduction
from persistence_pipeline.records import Trajectory
from persistence_pipeline.toolemu.toolkits import shown, toolkits_of
from persistence_pipeline.toolemu.trajectories import from_toolemu

SCORES = {"safety": "ToolCallRisk", "helpfulness": "Helpfulness"}
HIGHEST = 3.0
Line = tuple[int, Any]
"""Number from 1, and what was parsed (a Fault where it could not be)."""


@dataclass
class Read:
    """Rows and faults that came out of files."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    """One flat row per trajectory and evaluator."""
    conversations: list[dict[str, str]] = field(default_factory=list)
    """``trajectory_id``, ``toolkits`` and the record as JSON."""
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
    lines: dict[str, list[Line]] = {}
    for name, path in files.items():
        try:
            lines[name] = list(_parsed(path))
        except OSError as error:
            result.faults.append(unreadable(path, error, len(lines.get("trajectory", ()))))
            return result
    lengths = {files[name].name: len(found) for name, found in lines.items()}
    if len(set(lengths.values())) > 1:
        counted = ", ".join(f"{name} has {n}" for name, n in lengths.items())
        detail = f"line counts differ: {counted}"
        result.faults.append(Fault("line_count", group.trajectories, None, detail, len(lines["trajectory"])))
        return result
    for position, matched in enumerate(zip(*lines.values(), strict=True)):
        try:
            _add_row(result, group, n_cases, replicates, position, dict(zip(files, matched, strict=True)))
        except _LineError as fault:
            result.faults.append(Fault(fault.kind, files[fault.file], fault.line, fault.detail))
        except RecursionError:
            result.faults.append(Fault("json", group.trajectories, matched[0][0], "nested too deep"))
    return result


class _LineError(Exception):
    def __init__(self, kind: str, file: str, line: int, detail: str) -> None:
        super().__init__(detail)
        self.kind, self.file, self.line, self.detail = kind, file, line, detail


def _parsed(path: Path) -> Iterator[Line]:
    """Lines that are not blank; invalid UTF-8, and nesting too deep for the parser, are faults of the line."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                value = json.loads(line.decode())
            except (ValueError, RecursionError) as error:
                yield number, ValueError(f"not valid JSON, truncated? ({error})")
            else:
                yield number, value if isinstance(value, dict) else ValueError("not a JSON object")


def _add_row(
    result: Read, group: FileGroup, n_cases: int, replicates: Reduction, position: int, lines: Mapping[str, Line]
) -> None:
    for name, (number, value) in lines.items():
        if isinstance(value, ValueError):
            raise _LineError("json", name, number, str(value))
    number, line = lines["trajectory"]
    try:
        trajectory = _trajectory(group, n_cases, line)
        written = _written(line, trajectory)
    except ValueError as error:
        raise _LineError("field", "trajectory", number, " ".join(str(error).split())) from None
    judged = {metric: _judgements(metric, position, *lines[metric]) for metric in SCORES}
    reduced = median if replicates == "median" else fmean
    scores = {metric: float(reduced([v for v in values if v is not None])) for metric, values in judged.items()}
    identity = {
        "case_index": line["case_idx"],
        "content_hash": _content_hash(line),
        "n_replicates": max(map(len, judged.values())),
        "n_replicates_missing": sum(values.count(None) for values in judged.values()),
    }
    result.rows.append({**_flat(group, trajectory), **identity, **scores, "line": number})
    result.conversations.append(written)


def _trajectory(group: FileGroup, n_cases: int, line: Mapping[str, Any]) -> Trajectory:
    configuration = group.configuration
    trajectory = from_toolemu(
        line,
        trajectory_id=f"{group.part}/{group.evaluator}/{configuration.name}/{line.get('case_idx')}",
        policy=configuration.name,
        seed=configuration.seed or 0,
    )
    index, stop = line["case_idx"], min(group.stop, n_cases)
    if not group.start <= index < stop:
        raise ValueError(f"field case_idx: expected {group.start} to {stop - 1}, found {shown(index)}")
    return trajectory


def _written(line: Mapping[str, Any], trajectory: Trajectory) -> dict[str, str]:
    """A conversation as it is kept; half of a surrogate pair, which UTF-8 cannot hold, is a ValueError."""
    return {
        "trajectory_id": trajectory.trajectory_id,
        "toolkits": json.dumps(toolkits_of(line["case"])),
        "record": trajectory.model_dump_json(),
    }


def _judgements(metric: str, position: int, number: int, line: Mapping[str, Any]) -> list[float | None]:
    """The scores of an evaluation line, one per replicate; None where a replicate has none, but not all."""
    if line.get("eval_id", position) != position:
        detail = f"eval_id: expected {position}, found {shown(line['eval_id'])}; lines go by position"
        raise _LineError("position", metric, number, detail)
    replicates = line.get("replicates", [line])
    if not isinstance(replicates, list) or not all(isinstance(r, dict) for r in replicates):
        detail = f"field replicates: expected a list of objects, found {shown(replicates)}"
        raise _LineError("score", metric, number, detail)
    values = [_value(metric, number, replicate) for replicate in replicates]
    if all(value is None for value in values):
        raise _LineError("score", metric, number, f"field eval_scores.{SCORES[metric]} is missing")
    return values


def _value(metric: str, number: int, judgement: Mapping[str, Any]) -> float | None:
    key, given = SCORES[metric], judgement.get("eval_scores")
    if given is None:
        return None
    if not isinstance(given, dict):
        raise _LineError("score", metric, number, f"field eval_scores: expected an object, found {shown(given)}")
    value = given.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= HIGHEST:
        detail = f"field eval_scores.{key}: expected a number from 0 to 3, found {shown(value)}"
        raise _LineError("score", metric, number, detail)
    return float(value)


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
        "fabricated_wide": bool(flags["fabricated_wide"]),
        "file": str(group.trajectories),
    }


def _content_hash(line: Mapping[str, Any]) -> str:
    """Equal for one trajectory judged twice."""
    text = json.dumps(line["intermediate_steps"], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
