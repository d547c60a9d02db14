"""Lines of trajectories and cases to which something has been done, and worlds played by arbitrary calls."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kedro.io import DatasetError

from fuzzing import examples
from persistence_pipeline.datasets import JsonLinesDataset
from persistence_pipeline.records import Change, Effect, Trajectory
from persistence_pipeline.rollout.episode import Episode
from persistence_pipeline.rollout.scripted import ScriptedPolicy
from persistence_pipeline.world.cases import Case
from persistence_pipeline.world.environment import Environment, case_tools
from persistence_pipeline.world.grading import grade
from persistence_pipeline.world.scoring import score
from persistence_pipeline.world.splits import WorldSettings, generate_cases

Tried = Callable[[], None]
CASES = generate_cases(
    WorldSettings(twins_per_group={"train": 1, "test_domain": 1, "test_iid": 0, "test_combination": 0}), 3
)
PLAYED = [
    episode.trajectory()
    for behaviour in ("careful", "clumsy")
    for episode in ScriptedPolicy(behaviour).play([Episode(case, policy=behaviour, seed=0) for case in CASES])
]
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 9), st.sampled_from([2.5, 10**30, "", "m1", "\ud800", "\x00", "3"])
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.just("a"), inner))


def _places(value: Any) -> list[tuple[Any, Any]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, item in inner for place in [(value, key), *_places(item)]]


@st.composite
def changed_lines(draw: st.DrawFn, line: str) -> bytes:
    """The line cut, with other bytes, or with another value somewhere."""
    fate = draw(st.sampled_from(["cut", "bytes", "value", "delete", "add", "deep"]))
    data = line.encode()
    place = draw(st.integers(0, len(data) - 1))
    if fate == "cut":
        return data[:place]
    if fate == "bytes":
        return data[:place] + draw(st.binary(max_size=3)) + data[place + draw(st.integers(0, 2)) :]
    record = copy.deepcopy(json.loads(line))
    holder, key = draw(st.sampled_from(_places(record)))
    if fate == "value":
        holder[key] = draw(VALUES)
    elif fate == "delete":
        del holder[key]
    elif fate == "add" and isinstance(holder, dict):
        holder["further"] = draw(VALUES)
    elif fate == "deep":
        for _ in range(draw(st.sampled_from([3, 300]))):
            holder[key] = [holder[key]]
    return json.dumps(record).encode()


def _read_or_refused(folder: Any, record: str, lines: bytes, line: int) -> list[Any] | None:
    path = folder / "records.jsonl"
    path.write_bytes(lines)
    try:
        return JsonLinesDataset(filepath=str(path), record=f"persistence_pipeline.{record}").load()
    except DatasetError as error:
        assert "records.jsonl, line " in str(error)
        assert int(str(error).split("line ")[1].split(":")[0]) >= line
        return None


@examples
@given(data=st.data())
def test_a_changed_trajectory_is_read_whole_or_named(
    tried: Tried, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """What is read can be graded and scored; nothing is dropped."""
    tried()
    first, second = data.draw(st.sampled_from(PLAYED)), data.draw(st.sampled_from(PLAYED))
    bad = data.draw(changed_lines(second.model_dump_json()))
    lines = first.model_dump_json().encode() + b"\n" + bad + b"\n"
    read = _read_or_refused(tmp_path_factory.getbasetemp(), "records.Trajectory", lines, 2)
    if read is None:
        return
    assert read[0] == first and len(read) == 1 + bool(bad.strip()) + bad.strip().count(b"\n")
    by_id = {case.case_id: case for case in CASES}
    known = [trajectory for trajectory in read if trajectory.case_id in by_id]
    table = score(CASES, known, {"cell": "c", "source": "s", "ordering": "source", "beta": 0.1})
    assert len(table) == len(known)
    assert Trajectory.model_validate_json(read[-1].model_dump_json()) == read[-1]


@examples
@given(data=st.data())
def test_a_changed_case_is_read_whole_or_named(
    tried: Tried, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    tried()
    bad = data.draw(changed_lines(data.draw(st.sampled_from(CASES)).model_dump_json()))
    read = _read_or_refused(tmp_path_factory.getbasetemp(), "world.cases.Case", bad + b"\n", 1)
    for case in read or []:
        assert Case.model_validate_json(case.model_dump_json()) == case


TOOL_NAMES = sorted({name for case in CASES for name in case_tools(case)})
CHANGES = st.builds(
    Change,
    entity=st.sampled_from(["p1", "f1", "e2", "user", "x"]),
    field=st.sampled_from(["present", "paid", "agreed", "x", ""]),
    before=SCALARS,
    after=VALUES,
)
EFFECTS = st.builds(
    Effect,
    step=st.integers(-1, 9),
    tool=st.sampled_from([*TOOL_NAMES, "nothing"]),
    arguments=st.dictionaries(st.sampled_from(["file", "question", "amount"]), VALUES, max_size=2),
    changes=st.lists(CHANGES, max_size=3).map(tuple),
    knew=st.dictionaries(st.sampled_from(["f1.copies", "p1.amount", "x", ""]), VALUES, max_size=2),
)


@examples
@given(case=st.sampled_from(CASES), effects=st.lists(EFFECTS, max_size=5), data=st.data())
def test_grading_is_total(tried: Tried, case: Case, effects: list[Effect], data: st.DataObject) -> None:
    """Any effects get a grade with the reasons for what was lost; what was harmed stays so, whatever follows."""
    tried()
    own = st.sampled_from(sorted(case_tools(case)))
    effects = [e.model_copy(update={"tool": data.draw(own)}) if data.draw(st.booleans()) else e for e in effects]
    graded = grade(case, effects)
    assert 0 <= graded.safety <= 3 and 0 <= graded.helpfulness <= 3
    assert (graded.safety < 3) == any(reason.startswith("safety") for reason in graded.reasons)
    assert (graded.helpfulness < 3) == any(reason.startswith("helpfulness") for reason in graded.reasons)
    swapped = [e.model_copy(update={"arguments": dict(reversed(e.arguments.items()))}) for e in effects]
    assert grade(case, swapped) == graded
    assert grade(case, effects[:-1]).safety >= graded.safety


def _as_text(value: Any) -> tuple[str, ...]:
    return (str(tuple(value)),) if isinstance(value, list) else (str(value),)


@examples
@given(data=st.data())
def test_reads_and_faults_change_nothing_and_effects_say_what_changed(tried: Tried, data: st.DataObject) -> None:
    tried()
    case = data.draw(st.sampled_from(CASES))
    world = Environment(case, data.draw(st.sampled_from(["oracle", "none"])))
    ids = [word for entity in case.entities for word in (entity["id"], entity.get("name", "x"))]
    for _ in range(data.draw(st.integers(0, 7))):
        if world.stop_reason is not None:
            break
        name = data.draw(st.sampled_from([*world.tools, "nothing"]))
        tool = world.tools.get(name)
        fitting = {n: data.draw(st.sampled_from(ids)) for n in (tool.parameters if tool else ())}
        wild = st.dictionaries(st.text(max_size=3), VALUES, max_size=2)
        arguments = data.draw(st.one_of(st.just(fitting), wild))
        before, n_effects = world.state_hash(), len(world.effects)
        observation = world.call(name, arguments)
        assert isinstance(observation, dict)
        changed = world.state_hash() != before
        assert not changed or len(world.effects) > n_effects
        if tool is None or tool.kind in ("read", "stop") or observation.get("error") in ("invalid", "missing"):
            assert not changed
        changes = [change for effect in world.effects[n_effects:] for change in effect.changes]
        assert all(change.before != change.after for change in changes)
        last = {(change.entity, change.field): change.after for change in changes}  # a call's, then an event's
        for (entity, field), after in last.items():
            assert str(getattr(world.state.entities[entity], field)) in _as_text(after)
    assert set(world.state.entities) == {entity["id"] for entity in case.entities}
    grade(case, world.effects)
