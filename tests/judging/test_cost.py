"""The estimate before the work, against what the work then asks; the estimate itself asks nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from chat_server import ChatServer
from judging.three_parts import ThreeParts
from persistence_pipeline.judging.cost import PlanSettings, asked, estimate
from persistence_pipeline.judging.emulated import judge_emulated
from persistence_pipeline.judging.panel import judge_world
from persistence_pipeline.judging.settings import JudgingSettings
from persistence_pipeline.pipelines.toolemu import judge_candidates
from persistence_pipeline.rollout.episode import Episode
from persistence_pipeline.rollout.run import CandidateSettings, RolloutSettings
from persistence_pipeline.rollout.scripted import ScriptedPolicy
from persistence_pipeline.study import Policy, StudyDesign
from persistence_pipeline.toolemu.rollout import play_candidates, play_emulated
from persistence_pipeline.toolemu.settings import EmulationSettings, half_of, load_cases
from persistence_pipeline.world.splits import WorldSettings, generate_cases
from toolemu.toolemu_files import case, write_files

SOURCE = Policy(source="m", seed=0)
CELL = Policy(source="m", seed=0, ordering="safety", parent="m_s0", factors={"beta": 0.1})
WORLD = WorldSettings(
    held_out_domain="servers",
    held_out_combinations=["files/look"],
    twins_per_group={"train": 1, "test_iid": 1, "test_combination": 2, "test_domain": 1},
    phrasing="natural",
    conflict_share=0.5,
)


def parts(server: ChatServer, folder: Path, **judge: Any) -> dict[str, Any]:
    """Every setting of a study whose agent, tools and judge are served."""
    address = {"base_url": server.base_url, "model": "tiny", "concurrency": 2}
    asked = [case(**{"User Instruction": f"Delete newsletter {number}."}) for number in range(4)]
    cases, toolkits = write_files(folder, asked)
    files = {"cases": str(cases), "toolkits": str(toolkits), "journals": str(folder / "j")}
    return {
        "world": WORLD,
        "candidates": CandidateSettings(samples=3, served=address),
        "rollout": RolloutSettings(samples=1, max_turn_tokens=32, served=address),
        "judging": JudgingSettings(
            judges={"j": {"server": address, **judge}},
            splits=["test_combination"],
            calibrate_on=["test_combination"],
            journals=str(folder / "j"),
        ),
        "emulation": EmulationSettings(**files, emulator={"server": address}),
        "plan": PlanSettings(turns=1),
        "policies": {SOURCE.name: SOURCE, CELL.name: CELL},
        "design": StudyDesign(),
    }


def prompt_characters(requests: list[dict[str, Any]]) -> int:
    return sum(len(json.dumps(request["messages"], ensure_ascii=False)) for request in requests)


def test_judging_costs_what_was_estimated(tmp_path: Path) -> None:
    """One judged player is the half of source and cell; the script plays both."""
    cases = generate_cases(WORLD, 0)
    chosen = [case for case in cases if case.split == "test_combination"]
    episodes = ScriptedPolicy("careful").play([Episode(case, policy="p", seed=0) for case in chosen])
    trajectories = [episode.trajectory() for episode in episodes]
    with ChatServer(ThreeParts()) as server:
        study = parts(server, tmp_path, temperature=1.0, replicates=2)
        rows = estimate(**study).set_index("what")
        assert not server.requests
        judge_world(cases, trajectories, study["judging"], CELL.provenance())
        assert rows.loc["judge j", "requests"] == 2 * len(server.requests) == 2 * 4 * len(chosen)
        assert rows.loc["judge j", "prompt_tokens"] == pytest.approx(
            2 * prompt_characters(server.requests) / 4, rel=0.01
        )
        assert rows.loc["judge j", "completion_tokens"] == 80 * rows.loc["judge j", "requests"]


def test_an_emulated_study_costs_what_was_estimated(tmp_path: Path) -> None:
    with ChatServer(ThreeParts()) as server:
        study = parts(server, tmp_path)
        rows = estimate(**study).set_index("what")
        assert not server.requests
        cases = half_of(load_cases(study["emulation"], 0), "test_iid")
        (tmp_path / "checkpoint").mkdir()
        for player in ("m_s0", CELL.name):
            played = play_emulated(
                tmp_path / "checkpoint", cases, study["emulation"], study["rollout"], policy=player, seed=0
            )
            provenance = {**CELL.provenance(), "cell": player}
            judge_emulated(cases, played, study["judging"], study["emulation"], provenance)
        assert rows.loc["emulated rollouts", "requests"] == server.answer.played["agent"] == 8
        assert rows.loc["emulator, emulated", "requests"] == server.answer.played["tools"] == 4
        assert rows.loc["judge j, emulated", "requests"] == 2 * 2 * len(cases)


def test_a_whole_study_on_toolemu_cases_costs_what_was_estimated(tmp_path: Path) -> None:
    """Candidates of two models on one half, judged by one judge; tests on the other, by both."""
    with ChatServer(ThreeParts()) as server:
        study = parts(server, tmp_path)
        judge = study["judging"].judges["j"]
        two = study["judging"].model_copy(update={"judges": {"j": judge, "k": judge}, "pairs_by": "j"})
        address = {"base_url": server.base_url, "model": "tiny", "concurrency": 2}
        asked = CandidateSettings(samples=3, served=address, models={"other": address})
        study |= {"design": StudyDesign(cases="toolemu"), "judging": two, "candidates": asked}
        rows = estimate(**study).set_index("what")["requests"].to_dict()
        assert not server.requests
        (tmp_path / "checkpoint").mkdir()
        cases = load_cases(study["emulation"], 0)
        played = play_candidates(
            tmp_path / "checkpoint", cases, study["emulation"], study["candidates"], policy="m_s0", seed=0
        )
        _, scores = judge_candidates(cases, played, two, study["emulation"], CELL)
    assert set(scores["evaluator"]) == {"j"} and scores["trajectory_id"].is_unique
    assert {t.split for t in played} == {"train"} and {t.policy for t in played} == {"m_s0", "other"}
    assert rows["candidates"] + rows["candidates, other"] == server.answer.played["agent"] == 2 * 2 * 3 * 2
    assert rows["judge j, candidates"] == 2 * 3 * 2 and "judge k, candidates" not in rows
    assert rows["emulator, rollouts"] == 2 * 2 and rows["rollouts"] == 2 * 2 * 2
    assert rows["judge j, rollouts"] == rows["judge k, rollouts"] == 2 * 2 * 2
    study["design"] = StudyDesign(cases="toolemu", pairs="published")
    assert not any("candidates" in what for what in estimate(**study)["what"])


def test_a_pool_is_asked_once_a_seed_and_a_source_once_each(tmp_path: Path) -> None:
    with ChatServer(ThreeParts()) as server:
        study = parts(server, tmp_path)
    address = {"base_url": "http://h/v1", "model": "tiny"}
    once = estimate(**study).set_index("what")["requests"]
    study["candidates"] = CandidateSettings(samples=3, on_policy=False, models={"a": address, "b": address})
    both = [p.model_copy(update={"source": name}) for name in ("m", "n") for p in (SOURCE, CELL)]
    study["policies"] = {policy.name: policy for policy in both}
    rows = estimate(**study).set_index("what")["requests"].to_dict()
    assert "candidates" not in rows
    assert rows["candidates, a"] == rows["candidates, b"] == once["candidates"]
    study["candidates"] = CandidateSettings(samples=3, served=address)
    assert estimate(**study).set_index("what")["requests"]["candidates"] == 2 * once["candidates"]


def test_rollouts_are_counted_by_turns_and_players(tmp_path: Path) -> None:
    with ChatServer(ThreeParts()) as server:
        rows = estimate(**parts(server, tmp_path)).set_index("what")
    cases = generate_cases(WORLD, 0)
    turns = {True: 0, False: 0}
    for case_ in cases:
        (episode,) = ScriptedPolicy("careful").play([Episode(case_, policy="p", seed=0)])
        turns[case_.split == "train"] += sum(m.role == "assistant" for m in episode.messages)
    assert rows.loc["candidates", "requests"] == 3 * turns[True]
    assert rows.loc["rollouts", "requests"] == 2 * turns[False]


def test_hours_and_price_follow_from_the_assumptions(tmp_path: Path) -> None:
    with ChatServer(ThreeParts()) as server:
        study = parts(server, tmp_path)
    prices = {"tiny": {"prompt": 2.0, "completion": 10.0}}
    study["plan"] = PlanSettings(turns=1, prices=prices, prompt_tokens_per_s=1000, completion_tokens_per_s=10)
    rows = estimate(**study)
    first, total = rows.iloc[0], rows.iloc[-1]
    seconds = (first["prompt_tokens"] / 1000 + first["completion_tokens"] / 10) / 2
    assert first["hours"] == pytest.approx(seconds / 3600)
    assert first["price"] == pytest.approx((2 * first["prompt_tokens"] + 10 * first["completion_tokens"]) / 1e6)
    assert total["what"] == "all" and total["price"] == pytest.approx(rows["price"].iloc[:-1].sum())
    assert total["requests"] == rows["requests"].iloc[:-1].sum()
    planned = {(row.what, row.quantity): row for row in asked(rows)}
    assert planned["all", "price"].value == total["price"] and planned["all", "hours"].unit == "h"
    assert planned[f"{first['what']}, tiny", "requests"].value == first["requests"]


def test_a_study_without_servers_costs_nothing(tmp_path: Path) -> None:
    with ChatServer(ThreeParts()) as server:
        study = parts(server, tmp_path)
    study |= {
        "candidates": CandidateSettings(samples=1),
        "rollout": RolloutSettings(samples=1),
        "judging": study["judging"].model_copy(update={"judges": {}}),
        "emulation": EmulationSettings(journals="j"),
    }
    rows = estimate(**study)
    assert isinstance(rows, pd.DataFrame) and rows.empty
    assert [(row.quantity, row.value) for row in asked(rows)] == [("requests", 0)]
