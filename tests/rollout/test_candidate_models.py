"""Candidates of served models: who plays, under which name, and what a second source asks for."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from chat_server import ChatServer
from persistence_pipeline.pipelines.synthesis.nodes import PairingRule, make_pairs
from persistence_pipeline.pipelines.tool_world import grade, roll_out_candidates
from persistence_pipeline.records import Trajectory
from persistence_pipeline.rollout.episode import Episode
from persistence_pipeline.rollout.run import CandidateSettings, RolloutSettings, roll_out
from persistence_pipeline.rollout.scripted import ScriptedPolicy
from persistence_pipeline.study import Policy
from persistence_pipeline.world.splits import WorldSettings, generate_cases

WORLD = WorldSettings(
    phrasing="natural", twins_per_group={"train": 1, "test_iid": 0, "test_combination": 0, "test_domain": 0}
)
CASES = generate_cases(WORLD, 0)[::6]
NO_SOURCE = Path("no/checkpoint/needed")


class Behaviours:
    """Serves scripted behaviours as models."""

    def __init__(self, *names: str) -> None:
        self._played: dict[tuple[str, str], Trajectory] = {}
        for name in names:
            episodes = [Episode(case, policy=name, seed=0) for case in CASES]
            for episode in ScriptedPolicy(name).play(episodes):
                self._played[name, episode.case.instruction] = episode.trajectory()

    def __call__(self, request: dict[str, Any]) -> dict[str, Any]:
        spoken = request["messages"]
        instruction = next(m["content"] for m in spoken if m["role"] == "user")
        turns = [m for m in self._played[request["model"], instruction].messages if m.role == "assistant"]
        (call,) = turns[sum(m["role"] == "assistant" for m in spoken)].tool_calls
        function = {"name": call.name, "arguments": json.dumps(call.arguments)}
        return {"content": "", "tool_calls": [{"id": "1", "type": "function", "function": function}]}


def _settings(server: ChatServer, journal: Path, *names: str, **change: Any) -> CandidateSettings:
    models = {name: {"base_url": server.base_url, "model": name, "concurrency": 4, "retries": 0} for name in names}
    fields = {
        "samples": 1,
        "max_turn_tokens": 99,
        "on_policy": False,
        "models": models,
        "journal": journal,
        **change,
    }
    return CandidateSettings.model_validate(fields)


def test_a_pool_makes_the_pairs_of_every_source_and_is_asked_once(tmp_path: Path) -> None:
    rule = PairingRule(objective="safety", min_gap=2, min_chosen=2, max_per_case=3)
    tables = []
    with ChatServer(Behaviours("careful", "careless")) as server:
        settings = _settings(server, tmp_path, "careful", "careless")
        for source in ("llama", "qwen"):
            policy = Policy(source=source, seed=0)
            asked_before = len(server.requests)
            played, table = roll_out_candidates(NO_SOURCE, CASES, settings, policy)
            assert (len(server.requests) > asked_before) == (source == "llama")
            pairs, _, _ = make_pairs(grade(CASES, played, 1.0, policy), played, rule, policy)
            tables.append((table, pairs))
    (table, pairs), (second_table, second_pairs) = tables
    assert table.equals(second_table) and pairs.equals(second_pairs)
    assert list(table.groupby("policy", sort=False).size().items()) == [
        ("careful", len(CASES)),
        ("careless", len(CASES)),
    ]
    assert table["trajectory_id"].is_unique
    assert len(pairs) and pairs["chosen_id"].str.startswith("careful/").all()
    assert pairs["rejected_id"].str.startswith("careless/").all()


def test_scripts_and_a_pool_play_side_by_side(tmp_path: Path) -> None:
    with ChatServer(Behaviours("careful")) as server:
        settings = _settings(server, tmp_path, "careful", scripted=["refusing"])
        _, table = roll_out_candidates(NO_SOURCE, CASES[:2], settings, Policy(source="llama", seed=0))
    assert list(table["policy"]) == ["careful", "careful", "refusing", "refusing"]


def test_a_source_plays_candidates_and_tests_at_once(tmp_path: Path) -> None:
    """As where nodes run side by side: neither waits for the journal of the other."""
    careful, both = Behaviours("careful"), threading.Barrier(2, timeout=20)
    met = set[int]()

    def answer(request: dict[str, Any]) -> dict[str, Any] | str:
        if request["max_tokens"] not in met:
            met.add(request["max_tokens"])
            both.wait()  # until the other part has asked as well
        return careful(request)

    with ChatServer(answer) as server, ThreadPoolExecutor(2) as nodes:
        served = {"base_url": server.base_url, "model": "careful", "concurrency": 1, "retries": 0}
        shared = {"samples": 1, "served": served, "journal": tmp_path}
        parts = CandidateSettings(**shared, max_turn_tokens=98), RolloutSettings(**shared, max_turn_tokens=99)
        played = [nodes.submit(roll_out, NO_SOURCE, CASES, part, policy="arm", seed=0) for part in parts]
        candidates, tests = (part.result() for part in played)
    assert candidates == tests and met == {98, 99}
    assert {journal for part in (candidates, tests) for journal in part.spent} == set(tmp_path.rglob("*.jsonl"))


def test_somebody_must_play() -> None:
    with pytest.raises(ValidationError, match="nobody plays: set on_policy, or name models or behaviours"):
        CandidateSettings.model_validate({"on_policy": False})
