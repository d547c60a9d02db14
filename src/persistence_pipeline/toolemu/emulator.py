"""A world whose tools a language model plays: for cases that have specifications of tools and no implementation.

Calls that do not fit their tool's schema are answered here and reach no model. What the model answers becomes an
observation and nothing else: it changes no state that could be graded, so such episodes need a judge.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from persistence_pipeline.json_values import JsonError, storable_text, strict_json
from persistence_pipeline.llm_client import ChatClient, ChatReply, ChatRequest, RequestRefusedError, ServerSettings
from persistence_pipeline.llm_client.answers import json_object
from persistence_pipeline.llm_client.prompts import render
from persistence_pipeline.records import Effect, Message
from persistence_pipeline.rollout.episode import StopReason
from persistence_pipeline.strict import Strict
from persistence_pipeline.toolemu.arguments import argument_fault
from persistence_pipeline.toolemu.cases import EmulatedCase, EmulatedTool
from persistence_pipeline.toolemu.toolkits import SYSTEM_PROMPT
from persistence_pipeline.world.state import Observation

ANSWER_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"observation": {"type": "object"}},
    "required": ["observation"],
}


class EmulatorSettings(Strict):
    """The served model that plays the tools, and how."""

    server: ServerSettings
    mode: Literal["standard", "adversarial"] = "standard"
    """``adversarial``: the state of the world is such that the risks of the case are real."""
    temperature: float = Field(0.0, ge=0)
    max_tokens: int = Field(1024, gt=0)
    attempts: int = Field(3, gt=0)
    """Answers that are asked for until one can be read; then the episode is missing."""


class EmulatedWorld:
    """One episode's world.

    Args:
        case: The case to play.
        settings: How the model plays.
        client: Its server.
        replicate: Tells apart episodes of one case, which may otherwise ask the same.
    """

    def __init__(self, case: EmulatedCase, settings: EmulatorSettings, client: ChatClient, replicate: str) -> None:
        self.case = case
        self.tools: dict[str, EmulatedTool] = {tool.name: tool for tool in case.tools}
        self.opening = (
            Message(role="system", content=SYSTEM_PROMPT),
            Message(role="user", content=case.instruction),
        )
        self.shown_tools = tuple(tool.schema for tool in case.tools)
        self.effects: tuple[Effect, ...] = ()
        self.stop_reason: StopReason | None = None
        self.counts = {"calls": 0, "invalid_calls": 0, "failed_calls": 0, "questions": 0, "reads": 0, "writes": 0}
        self._settings = settings
        self._client = client
        self._replicate = replicate
        self._past: list[dict[str, Any]] = []
        self._fault = ""

    @property
    def flags(self) -> Mapping[str, int | bool | str]:
        """Flags: the agent made no valid call; why the episode broke off."""
        made = self.counts["calls"] - self.counts["invalid_calls"]
        return {"refused": not made, **({"error": self._fault} if self._fault else {})}

    def call(self, name: str, arguments: Mapping[str, Any]) -> Observation:
        """Answer a call: by its schema where it does not fit, else by the model."""
        self.counts["calls"] += 1
        tool = self.tools.get(name)
        if tool is None:
            return self._invalid(f"unknown tool {name!r}; there are {', '.join(self.tools)}")
        fault = argument_fault(tool.function, arguments)
        if fault is not None:
            return self._invalid(fault)
        observation = self._played(name, dict(arguments))
        if observation is not None:
            self.counts["failed_calls"] += "error" in observation
            self.remember(name, arguments, observation)
        return observation or {}

    def remember(self, name: str, arguments: Mapping[str, Any], observation: Observation) -> None:
        """Let a call and its answer be part of what happened."""
        self._past.append({"call": name, "arguments": dict(arguments), "observation": observation})

    def reject(self) -> Observation:
        """Answer a turn that did not parse as a tool call."""
        self.counts["calls"] += 1
        return self._invalid("the call could not be read: write one call with a JSON object of arguments")

    def speak(self) -> Observation:
        """The agent's word to the user ends the episode: there is no one to answer."""
        self.stop_reason = "finish"
        return {}

    def render(self, observation: Observation) -> str:
        """Text of an observation."""
        return json.dumps(observation, ensure_ascii=False)

    def state_hash(self) -> str:
        """There is no state."""
        return ""

    def _invalid(self, fault: str) -> Observation:
        self.counts["invalid_calls"] += 1
        return {"error": fault}

    def _played(self, name: str, arguments: dict[str, Any]) -> Observation | None:
        """What the model answers; None, and the end of the episode, where no answer can be read."""
        for attempt in range(self._settings.attempts):
            try:
                reply = self._client.ask(self.request(name, arguments, attempt))
            except RequestRefusedError as error:
                self._break_off(f"the emulator gave no answer: {error}")
                return None
            observation = read_observation(reply)
            if observation is not None:
                return observation
        self._break_off(f"the emulator's answer to {name} could not be read ({self._settings.attempts} times)")
        return None

    def _break_off(self, fault: str) -> None:
        self._fault = fault
        self.stop_reason = "error"

    def request(self, name: str, arguments: Mapping[str, Any], attempt: int = 0) -> ChatRequest:
        """The request to the model about a call."""
        settings = self._settings
        shown = render(
            __package__, "user", case=self.case, past=self._past, call={"call": name, "arguments": dict(arguments)}
        )
        messages = [
            {"role": "system", "content": render(__package__, "system", mode=settings.mode, case=self.case)},
            {"role": "user", "content": shown},
        ]
        return ChatRequest(
            messages,
            max_tokens=settings.max_tokens,
            temperature=settings.temperature,
            seed=attempt,
            schema=ANSWER_SCHEMA,
            replicate=f"{self._replicate}/{attempt}",
            about=self.case.case_id,
        )


def read_observation(reply: ChatReply) -> Observation | None:
    """The observation in a model's answer: a JSON object under ``observation``; None where there is none.

    Half of a surrogate pair becomes U+FFFD; what else could not be saved and read back equal is no observation.
    """
    value = json_object(reply.content)
    observation = value.get("observation") if value is not None else None
    if not isinstance(observation, dict):
        return None
    try:
        readable: Observation = strict_json(storable_text(json.dumps(observation, ensure_ascii=False)))
    except (JsonError, RecursionError):
        return None
    return readable
