"""What the trajectory browser is given: steps with their effects, grades with reasons, a cap that is told."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from persistence_pipeline.records import Effect, Message, ToolCall, Trajectory
from persistence_pipeline.report.browser import ReportSettings, browser_data, episode_steps
from persistence_pipeline.rollout.episode import Episode
from persistence_pipeline.rollout.scripted import ScriptedPolicy
from persistence_pipeline.world.cases import Case
from persistence_pipeline.world.making import maker
from persistence_pipeline.world.scoring import score

CELLS = {"llama_s0": "refusing", "llama_b0p1_s0_safety": "careful", "llama_b0p1_s0_helpfulness": "careless"}


def _cases(n: int = 6) -> list[Case]:
    made = maker("files/look", "compact")
    cases = []
    for index in range(n):
        split = "test_combination" if index % 2 else "test_iid"
        shared = {"twin_id": f"s0.{index}", "split": split, "seed": 0}
        cases += [made.build(f"by id {index}", variant, **shared) for variant in ("mendable", "benign")]
    return cases


def _play(cases: list[Case], cell: str, behaviour: str) -> list[Trajectory]:
    episodes = [Episode(case, policy=cell, seed=0) for case in cases]
    return [episode.trajectory() for episode in ScriptedPolicy(behaviour).play(episodes)]


def _study() -> tuple[list[Case], dict[str, list[Trajectory]], pd.DataFrame]:
    cases = _cases()
    played = {cell: _play(cases, cell, behaviour) for cell, behaviour in CELLS.items()}
    tables = []
    for cell, trajectories in played.items():
        ordering = cell.rpartition("_")[2] if "b0p1" in cell else "source"
        beta = float("nan") if ordering == "source" else 0.1
        provenance = {"cell": cell, "source": "llama", "ordering": ordering, "beta": beta}
        tables.append(score(cases, trajectories, provenance))
    return cases, played, pd.concat(tables, ignore_index=True)


def test_every_trajectory_is_there_with_its_grade_and_reasons() -> None:
    cases, played, scores = _study()
    data = browser_data(cases, played, scores, ReportSettings())
    assert [cell["ordering"] for cell in data["cells"]] == ["source", "safety", "helpfulness"]
    assert data["cells"][0]["beta"] is None
    assert len(data["trajectories"]) == len(scores) == data["total"]["trajectories"]
    for cell, case, sample, stop, steps, grades, facts in data["trajectories"]:
        identity = f"{data['cells'][cell]['name']}/{data['cases'][case]['case_id']}/{sample}"
        (row,) = scores[scores["trajectory_id"] == identity].to_dict("records")
        assert (grades[0][0], grades[0][1]) == (row["safety"], row["helpfulness"])
        assert data["texts"][grades[0][2]] == row["reasons"]
        counted = dict(zip(data["facts"]["names"], data["facts"]["values"][facts], strict=True))
        assert counted["harms"] == row["n_harms"] and counted["told"] == int(row["told"])
        assert data["texts"][stop] == row["stop_reason"] and len(steps) == row["n_calls"]
    json.dumps(data, allow_nan=False)


def test_steps_carry_observations_and_effects() -> None:
    (case,) = _cases(1)[:1]
    (trajectory,) = _play([case], "careful", "careful")
    steps = episode_steps(trajectory)
    steps = steps[next(i for i, step in enumerate(steps) if step["tool"] == "file_info") :]
    assert [step["tool"] for step in steps[:3]] == ["file_info", "copy_file", "delete_file"]
    deleted = case.goals[0].any_of[0][0].entity
    assert steps[0]["observation"] == f"{deleted} single" and "changes" not in steps[0]
    assert steps[2]["changes"] == [f"{deleted}: there before, gone now"]
    assert steps[2]["knew"] == {f"copy on record of {deleted}": "copied"}
    assert steps[-1] == {"tool": "finish", "arguments": {}}


def test_turns_without_a_call_and_several_calls_a_turn() -> None:
    calls = (ToolCall(name="a", arguments={}), ToolCall(name="b", arguments={"x": 1}))
    effect = Effect(step=1, tool="b", arguments={"x": 1}, changes=(), knew={"f1.copies": "single"})
    messages = (
        Message(role="user", content="do"),
        Message(role="assistant", content="both", tool_calls=calls),
        Message(role="tool", content="1"),
        Message(role="tool", content="2"),
        Message(role="user", content="go on"),
        Message(role="assistant", content="<b>hm</b>"),
    )
    base = _play(_cases(1)[:1], "p", "refusing")[0]
    late = Effect(step=9, tool="z", arguments={}, changes=())
    steps = episode_steps(base.model_copy(update={"messages": messages, "effects": (effect, late)}))
    assert steps[0] == {"text": "both", "tool": "a", "arguments": {}, "observation": "1"}
    assert steps[1]["observation"] == "2" and steps[1]["knew"] == {"copy on record of f1": "single"}
    assert steps[2] == {"role": "user", "text": "go on"}
    assert steps[3] == {"text": "<b>hm</b>"}
    assert steps[4]["text"] == "(call not among the messages)" and steps[4]["knew"] == {}


def test_too_much_leaves_out_whole_twins_and_keeps_the_headline() -> None:
    cases, played, scores = _study()
    whole = browser_data(cases, played, scores, ReportSettings())
    room = len(json.dumps(whole)) / 1e6 / 2
    data = browser_data(cases, played, scores, ReportSettings(browser_megabytes=room))
    assert len(json.dumps(data, ensure_ascii=False, separators=(",", ":"))) / 1e6 <= room
    assert 0 < len(data["cases"]) < data["total"]["cases"] == len(cases)
    twins = [case["twin_id"] for case in data["cases"]]
    assert all(twins.count(twin) == 2 for twin in twins)
    assert "test_combination" in {case["split"] for case in data["cases"]}
    held = {case["case_id"] for case in data["cases"]}
    assert set(data["left"]) == {case.case_id for case in cases} - held and whole["left"] == []
    n = len(data["cases"])
    assert len(data["trajectories"]) == n * len(CELLS), "a case is shown with all its cells or not at all"
    assert data["total"]["trajectories"] == len(scores)


def test_a_missing_score_says_why() -> None:
    cases, played, scores = _study()
    scores.loc[0, ["safety", "helpfulness"]] = float("nan")
    scores["missing_reason"] = scores["missing_reason"].astype(object)
    scores.loc[0, "missing_reason"] = "the judge was down"
    data = browser_data(cases, played, scores, ReportSettings())
    grade = data["trajectories"][0][5][0]
    assert grade[:2] == [None, None] and data["texts"][grade[2]] == "not graded: the judge was down"


def test_two_evaluators_stand_side_by_side() -> None:
    cases, played, scores = _study()
    judged = scores.assign(evaluator="judge", safety=1.0)
    data = browser_data(cases, played, pd.concat([scores, judged.iloc[:1]]), ReportSettings())
    assert data["evaluators"] == ["state", "judge"]
    assert data["trajectories"][0][5][1][0] == 1.0 and data["trajectories"][1][5][1] is None


@pytest.mark.parametrize("megabytes", [0, -1])
def test_no_room_is_refused(megabytes: float) -> None:
    with pytest.raises(ValueError, match="browser_megabytes"):
        ReportSettings(browser_megabytes=megabytes)
