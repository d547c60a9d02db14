"""An estimate of what a study will ask of servers: requests, tokens, time and price.

Prompts are made as the study makes them, from cases that are really generated or read and from trajectories that a
script plays in place of the agent. What models will write is assumed (``PlanSettings``). No server is asked.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd
from pydantic import Field, SecretStr

from persistence_pipeline.judging.briefing import Briefing, emulated_briefing, world_briefing
from persistence_pipeline.judging.judge import questions
from persistence_pipeline.judging.panel import choose_cases
from persistence_pipeline.judging.settings import JudgingSettings
from persistence_pipeline.llm_client import ChatClient, ServerSettings
from persistence_pipeline.planned import Planned
from persistence_pipeline.preferences.export import openai_messages
from persistence_pipeline.records import Message, Split, ToolCall, Trajectory
from persistence_pipeline.rollout.episode import Episode
from persistence_pipeline.rollout.run import CandidateSettings, RolloutSettings
from persistence_pipeline.rollout.scripted import ScriptedPolicy
from persistence_pipeline.strict import Strict
from persistence_pipeline.study import Policy, StudyDesign
from persistence_pipeline.study.policies import sources
from persistence_pipeline.toolemu.cases import EmulatedCase
from persistence_pipeline.toolemu.emulator import EmulatedWorld
from persistence_pipeline.toolemu.settings import EmulationSettings, emulator_of, half_of, load_cases
from persistence_pipeline.world.cases import Case
from persistence_pipeline.world.splits import WorldSettings, generate_cases

COLUMNS = ["what", "model", "requests", "prompt_tokens", "completion_tokens", "hours", "price"]


class Price(Strict):
    """Prices of a server for a million tokens."""

    prompt: float = Field(ge=0)
    completion: float = Field(ge=0)


class PlanSettings(Strict):
    """Assumptions of an estimate."""

    behaviour: Literal["careless", "careful", "cautious", "refusing", "asking", "clumsy"] = "careful"
    """Script that plays the agent's part in the tool world."""
    characters_per_token: float = Field(4.0, gt=0)
    agent_tokens: int = Field(60, gt=0)
    """Written by the agent in one turn."""
    emulator_tokens: int = Field(200, gt=0)
    judge_tokens: int = Field(80, gt=0)
    turns: int = Field(5, gt=0)
    """Calls of an episode in the emulated world, before the agent's last word."""
    prompt_tokens_per_s: float = Field(4000.0, gt=0)
    """Read by a server for one request."""
    completion_tokens_per_s: float = Field(40.0, gt=0)
    """Written by a server for one request."""
    prices: dict[str, Price] = Field(default_factory=dict)
    """By the id of the model; none for a model that costs nothing."""
    pairs_per_case: float = Field(2.0, gt=0)
    """Preference pairs that a stage has for each train case."""
    pilot: str | None = None
    """``scores.parquet`` of a finished study with two seeds or more, from which the seeds needed are told."""
    order_effect: float = Field(0.05, gt=0, le=3)
    """Points of 3 that S>H and H>S should be told apart by."""
    persistence_difference: float = Field(0.1, gt=0)
    """Difference of the two persistences that should be told from zero."""
    power: float = Field(0.8, gt=0, lt=1)
    """Probability with which the effect should be seen."""


@dataclass
class Load:
    """Requests to one server."""

    requests: int = 0
    prompt_characters: int = 0
    completion_tokens: int = 0

    def add(self, prompt: Any, completion_tokens: int, times: int = 1) -> None:
        """Count a request whose prompt is this, ``times`` over."""
        text = prompt if isinstance(prompt, str) else json.dumps(prompt, ensure_ascii=False)
        self.requests += times
        self.prompt_characters += times * len(text)
        self.completion_tokens += times * completion_tokens


def estimate(
    world: WorldSettings,
    candidates: CandidateSettings,
    rollout: RolloutSettings,
    judging: JudgingSettings,
    emulation: EmulationSettings,
    plan: PlanSettings,
    policies: Mapping[str, Policy],
    design: StudyDesign,
) -> pd.DataFrame:
    """One row for each part of the study that asks a server, and one for all.

    Returns:
        ``what, model, requests, prompt_tokens, completion_tokens, hours, price`` (NaN without a price). Empty
        where nothing asks a server.
    """
    players, arms = _by_seed(policies.values()), _by_seed(sources(policies).values())
    trained = candidates if design.pairs == "candidates" else None
    if design.emulated:
        return _table(_toolemu_study(trained, rollout, judging, emulation, plan, arms, players))
    cases = {seed: generate_cases(world, seed) for seed in players}
    rows = [] if trained is None else _candidates(trained, plan, cases, arms)
    rows += _rollouts("rollouts", rollout, plan, [(cases[s], n) for s, n in players.items()], train=False)
    rows += _judges(judging, rollout.samples, plan, cases, players)
    if emulation.emulator is not None and emulation.cases is not None:
        named = ("emulated rollouts", "emulated")
        rows += _emulated(judging, emulation, rollout, plan, players, named, emulation.split)
    return _table(rows)


def _table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame([*rows, _total(rows)] if rows else [], columns=COLUMNS)


def _by_seed(policies: Iterable[Policy]) -> dict[int, int]:
    """How many policies act on the cases of each seed."""
    return dict(sorted(Counter(policy.seed for policy in policies).items()))


def _candidates(
    settings: CandidateSettings, plan: PlanSettings, cases: Mapping[int, list[Case]], arms: Mapping[int, int]
) -> list[dict[str, Any]]:
    """The sources' episodes, and those of each served model, which all sources of a seed share."""
    rows = []
    if settings.on_policy:
        own = [(cases[seed], n) for seed, n in arms.items()]
        rows += _rollouts("candidates", settings, plan, own, train=True)
    for name, asked in settings.by_model().items():
        rows += _rollouts(f"candidates, {name}", asked, plan, [(case, 1) for case in cases.values()], train=True)
    return rows


def _rollouts(
    what: str, settings: RolloutSettings, plan: PlanSettings, sets: Iterable[tuple[list[Case], int]], train: bool
) -> list[dict[str, Any]]:
    if settings.served is None:
        return []
    load = Load()
    for cases, n_players in sets:
        chosen = [case for case in cases if (case.split == "train") == train]
        for episode in _scripted(chosen, plan.behaviour):
            for prompt in _prompts(episode.trajectory()):
                load.add(prompt, plan.agent_tokens, n_players * settings.samples)
    return [_row(what, settings.served, load, plan)]


def _scripted(cases: Sequence[Case], behaviour: str) -> list[Episode]:
    return list(ScriptedPolicy(behaviour).play([Episode(case, policy=behaviour, seed=0) for case in cases]))


def _prompts(trajectory: Trajectory) -> Iterable[str]:
    """What an agent reads before each of its turns."""
    tools = json.dumps(list(trajectory.tools))
    for index, message in enumerate(trajectory.messages):
        if message.role == "assistant":
            yield tools + json.dumps(openai_messages(trajectory.messages[:index]), ensure_ascii=False)


def _judges(
    judging: JudgingSettings,
    samples: int,
    plan: PlanSettings,
    cases: Mapping[int, list[Case]],
    players: Mapping[int, int],
) -> list[dict[str, Any]]:
    rows = []
    for name, judge in judging.judges.items():
        load = Load()
        for seed, n_players in players.items():
            chosen = choose_cases(cases[seed], judging)
            played = [episode.trajectory() for episode in _scripted(chosen, plan.behaviour)]
            briefings = {case.case_id: world_briefing(case) for case in chosen}
            for question in questions(played, briefings, judge):
                load.add(question.request.messages, plan.judge_tokens, n_players * samples)
        rows.append(_row(f"judge {name}", judge.server, load, plan))
    return rows


def _toolemu_study(
    candidates: CandidateSettings | None,
    rollout: RolloutSettings,
    judging: JudgingSettings,
    emulation: EmulationSettings,
    plan: PlanSettings,
    arms: Mapping[int, int],
    players: Mapping[int, int],
) -> list[dict[str, Any]]:
    """A whole study on ToolEmu's cases: candidates and their one judge, then the tests and every judge."""
    rows = []
    if candidates is not None:
        one = judging.for_pairs()
        once = dict.fromkeys(arms, 1)
        own = {"candidates": (candidates, arms)} if candidates.on_policy else {}
        others = {f"candidates, {name}": (asked, once) for name, asked in candidates.by_model().items()}
        for what, (played, times) in {**own, **others}.items():
            rows += _emulated(one, emulation, played, plan, times, (what, what), "train")
    named = ("rollouts", "rollouts")
    return rows + _emulated(judging, emulation, rollout, plan, players, named, emulation.split)


def _emulated(
    judging: JudgingSettings,
    emulation: EmulationSettings,
    rollout: RolloutSettings,
    plan: PlanSettings,
    players: Mapping[int, int],
    names: tuple[str, str],
    split: Split,
) -> list[dict[str, Any]]:
    """Rows of agents (the first of the names), of emulator and judges (with the second) on emulated cases."""
    agent, tools, verdicts = Load(), Load(), {name: Load() for name in judging.judges}
    emulator = emulator_of(emulation)
    cases: dict[str, EmulatedCase] = {}
    episodes = Counter[str]()
    for seed, n_players in players.items():
        for case in half_of(load_cases(emulation, seed), split):
            cases[case.case_id] = case
            episodes[case.case_id] += n_players * rollout.samples
    with ChatClient(emulator.server, key=SecretStr("-")) as client:
        for case_id, times in episodes.items():
            stand_in = _stand_in(EmulatedWorld(cases[case_id], emulator, client, ""), plan, tools, times)
            for prompt in _prompts(stand_in):
                agent.add(prompt, plan.agent_tokens, times)
            briefings: dict[str, Briefing] = {case_id: emulated_briefing(cases[case_id])}
            for name, judge in judging.judges.items():
                for question in questions([stand_in], briefings, judge):
                    verdicts[name].add(question.request.messages, plan.judge_tokens, times)
    rows = [] if rollout.served is None else [_row(names[0], rollout.served, agent, plan)]
    rows.append(_row(f"emulator, {names[1]}", emulator.server, tools, plan))
    return rows + [
        _row(f"judge {name}, {names[1]}", judge.server, verdicts[name], plan)
        for name, judge in judging.judges.items()
    ]


def _stand_in(world: EmulatedWorld, plan: PlanSettings, tools: Load, times: int) -> Trajectory:
    """An episode of the assumed length, one tool called over and over; counts the emulator's requests."""
    filler = "x" * int(plan.emulator_tokens * plan.characters_per_token)
    call = ToolCall(name=world.case.tools[0].name, arguments={"a": "x" * int(plan.agent_tokens * 2)})
    messages = list(world.opening)
    for _ in range(plan.turns):
        tools.add(world.request(call.name, call.arguments).messages, plan.emulator_tokens, times)
        world.remember(call.name, call.arguments, {"text": filler})
        messages.append(Message(role="assistant", tool_calls=(call,)))
        messages.append(Message(role="tool", content=filler, name=call.name))
    last = "x" * int(plan.agent_tokens * plan.characters_per_token)
    messages.append(Message(role="assistant", content=last))
    episode = Episode(world.case, policy="plan", seed=0, world=world)
    episode.messages = messages
    episode.stop("finish")
    return episode.trajectory()


def _row(what: str, server: ServerSettings, load: Load, plan: PlanSettings) -> dict[str, Any]:
    prompt_tokens = round(load.prompt_characters / plan.characters_per_token)
    busy = prompt_tokens / plan.prompt_tokens_per_s + load.completion_tokens / plan.completion_tokens_per_s
    price = plan.prices.get(server.model)
    charged = float("nan")
    if price is not None:
        charged = (prompt_tokens * price.prompt + load.completion_tokens * price.completion) / 1e6
    hours = busy / server.concurrency / 3600
    values = (what, server.model, load.requests, prompt_tokens, load.completion_tokens, hours, charged)
    return dict(zip(COLUMNS, values, strict=True))


def _total(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    sums = {name: sum(row[name] for row in rows) for name in COLUMNS[2:6]}
    priced = [row["price"] for row in rows if row["price"] == row["price"]]
    return {"what": "all", "model": "", **sums, "price": sum(priced) if priced else float("nan")}


UNITS = {"prompt_tokens": "tokens", "completion_tokens": "tokens", "hours": "h", "price": "as in plan.prices"}


def asked(estimated: pd.DataFrame) -> list[Planned]:
    """Rows of the plan from an estimate: requests, tokens, hours, and the price where there is one."""
    rows = []
    for row in estimated.to_dict("records"):
        what = f"{row['what']}, {row['model']}" if row["model"] else str(row["what"])
        rows += [
            Planned(what, name.replace("_", " "), row[name], UNITS.get(name, ""))
            for name in COLUMNS[2:]
            if row[name] == row[name]  # not NaN
        ]
    return rows or [Planned("servers", "requests", 0)]


def assumed(plan: PlanSettings) -> str:
    """What an estimate assumes, in words."""
    return (
        f"No request was made. Assumed: {plan.characters_per_token:g} characters a token; tokens written in one "
        f"answer: agent {plan.agent_tokens}, tools {plan.emulator_tokens}, judge {plan.judge_tokens}; one request "
        f"is read at {plan.prompt_tokens_per_s:g} and written at {plan.completion_tokens_per_s:g} tokens/s; "
        f"pairs of each train case: {plan.pairs_per_case:g}. Times on this machine are estimates from how fast it "
        "multiplies now; other work on it makes them longer."
    )
