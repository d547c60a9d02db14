"""One episode: the transcript between an agent and a world, and the trajectory it becomes.

A world executes calls: the tool world by default, or anything with the same few methods. A policy drives episodes:
it reads ``messages``, writes one turn with ``take``, and goes on until ``done``. A turn ends at the end of its
tool call, so an agent can never write its own observation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from persistence_pipeline.json_values import storable_text
from persistence_pipeline.records import Effect, Message, Sampled, Split, ToolCall, Trajectory
from persistence_pipeline.world.cases import Case
from persistence_pipeline.world.environment import Answering, Environment
from persistence_pipeline.world.phrasing import opening, render_observation, shown_schemas
from persistence_pipeline.world.state import Observation

StopReason = Literal["finish", "asked", "max_turns", "context", "token_limit", "error"]


class Task(Protocol):
    """A case, as an episode needs it."""

    @property
    def case_id(self) -> str: ...
    @property
    def template_group(self) -> str: ...
    @property
    def split(self) -> Split: ...
    @property
    def instruction(self) -> str: ...


class World(Protocol):
    """The environment that executes an agent's calls."""

    counts: dict[str, int]

    @property
    def tools(self) -> Mapping[str, Any]:
        """Tools that can be called, by name; each has a ``schema`` in the OpenAI function form."""
        ...

    @property
    def opening(self) -> Sequence[Message]:
        """The messages that the agent is given at first, the instruction last."""
        ...

    @property
    def shown_tools(self) -> Sequence[dict[str, Any]]:
        """Schemas that the agent is shown; none where it knows its tools by heart."""
        ...

    @property
    def effects(self) -> Sequence[Effect]: ...
    @property
    def stop_reason(self) -> StopReason | None: ...
    @property
    def flags(self) -> Mapping[str, int | bool | str]:
        """Flags of the trajectory beside the counts."""
        ...

    def call(self, name: str, arguments: Mapping[str, Any]) -> Observation:
        """Execute one call."""
        ...

    def reject(self) -> Observation:
        """Answer a turn that did not parse as a call."""
        ...

    def speak(self) -> Observation:
        """Answer a turn in which the agent spoke to the user and meant no call."""
        ...

    def render(self, observation: Observation) -> str:
        """Text of an observation."""
        ...

    def state_hash(self) -> str: ...


@dataclass(frozen=True)
class Turn:
    """One turn of an agent: a call, or text that did not parse as one."""

    call: ToolCall | None
    text: str = ""
    """The raw text where it is not a call, else what was said before the call."""
    new_tokens: int = 0
    spoken: bool = False
    """Without a call: the agent meant none and spoke to the user. A broken attempt at a call is not ``spoken``."""
    sampled: Sampled | None = None
    """The tokens that the agent wrote, where they are known."""
    dialect: str = ""
    """What the turn was read as, where it was sampled here."""
    ended_by_engine: bool = False
    """The agent wrote no end of its turn: it was cut, or its call was taken."""
    respelled: bool = False
    """The canonical rendering of the turn has other tokens than were sampled."""

    @property
    def message(self) -> Message:
        """The turn as the transcript has it; U+FFFD stands for what is no text."""
        calls = () if self.call is None else (self.call,)
        return Message(role="assistant", content=storable_text(self.text), tool_calls=calls, sampled=self.sampled)


class Policy(Protocol):
    """Plays episodes to their end."""

    def play(self, episodes: list[Episode]) -> Iterable[Episode]:
        """Drive every episode until it is done; yields each as it ends, in any order."""
        ...


class Episode:
    """A running episode of one case.

    Args:
        case: What is to be done.
        policy: Name of the cell or script that acts.
        seed: Seed of the rollout.
        sample: Index among the samples of this case.
        user: Who answers questions in the tool world.
        max_turns: Calls after which the episode is stopped.
        world: What executes the calls; None: the tool world, whose cases are ``Case``.
    """

    def __init__(
        self,
        case: Task,
        *,
        policy: str,
        seed: int,
        sample: int = 0,
        user: Answering = "oracle",
        max_turns: int = 16,
        world: World | None = None,
    ) -> None:
        self.case = case
        self.policy = policy
        self.seed = seed
        self.sample = sample
        self.environment: World = _tool_world(case, user) if world is None else world
        self.messages: list[Message] = list(self.environment.opening)
        self.tools = tuple(self.environment.shown_tools)
        self.stop_reason: StopReason | None = None
        self.last_observation: Observation = {}
        self._max_turns = max_turns
        self._new_tokens = 0
        self._dialect = ""
        self._engine_ended = self._respelled = 0
        self._error = ""
        self._unreadable: list[str] = []

    @property
    def done(self) -> bool:
        """True if the episode has ended."""
        return self.stop_reason is not None

    def take(self, turn: Turn) -> Message | None:
        """Write a turn into the transcript; returns the observation, or None where the episode has ended."""
        self.messages.append(turn.message)
        self._count(turn)
        if turn.call is None:
            observation = self.environment.speak() if turn.spoken else self.environment.reject()
        else:
            observation = self.environment.call(turn.call.name, turn.call.arguments)
        self.last_observation = observation
        self.stop_reason = self.environment.stop_reason
        if self.done:
            return None
        name = turn.call.name if turn.call else None
        seen = storable_text(self.environment.render(observation))
        message = Message(role="tool", content=seen, name=name)
        self.messages.append(message)
        if self.environment.counts["calls"] >= self._max_turns:
            self.stop("max_turns")
            return None
        return message

    def _count(self, turn: Turn) -> None:
        self._new_tokens += turn.new_tokens
        self._dialect = turn.dialect or self._dialect
        self._engine_ended += turn.ended_by_engine
        self._respelled += turn.respelled

    def take_unreadable(self, reason: str, written: str = "") -> None:
        """Write a turn that the agent's server could not read: an invalid call, with the reason among the flags.

        Args:
            reason: What the server said.
            written: What the agent wrote, where that is known.
        """
        self._unreadable.append(storable_text(reason))
        self.take(Turn(None, written))

    def stop(self, reason: StopReason) -> None:
        """End the episode from outside."""
        self.stop_reason = reason

    def fail(self, reason: str) -> None:
        """End the episode as one that could not be played; it will have no score, for this reason."""
        self.stop("error")
        self._error = storable_text(reason)

    def trajectory(self) -> Trajectory:
        """The record of an ended episode.

        Raises:
            RuntimeError: if the episode is still running.
        """
        if self.stop_reason is None:
            raise RuntimeError(f"episode of {self.case.case_id} is still running")
        return Trajectory(
            trajectory_id=f"{self.policy}/{self.case.case_id}/{self.sample}",
            case_id=self.case.case_id,
            template_group=self.case.template_group,
            split=self.case.split,
            policy=self.policy,
            seed=self.seed,
            sample=self.sample,
            messages=tuple(self.messages),
            tools=self.tools,
            effects=tuple(self.environment.effects),
            final_state_hash=self.environment.state_hash(),
            stop_reason=self.stop_reason,
            flags={
                **self.environment.counts,
                "new_tokens": self._new_tokens,
                "fabricated": False,
                **self.environment.flags,
                **self._sampling_flags(),
                **({"error": self._error} if self._error else {}),
                **self._unreadable_flags(),
            },
        )

    def _sampling_flags(self) -> dict[str, int | bool | str]:
        if not self._dialect:
            return {}
        counts = {"engine_ended_turns": self._engine_ended, "respelled_turns": self._respelled}
        return {"dialect": self._dialect, **counts}

    def _unreadable_flags(self) -> dict[str, int | bool | str]:
        if not self._unreadable:
            return {}
        return {"unreadable_turns": len(self._unreadable), "unreadable": self._unreadable[-1]}


class ToolWorld(Environment):
    """The tool world as agents meet it: in the phrasing of the case."""

    @property
    def opening(self) -> Sequence[Message]:
        """The instruction, and how to act where the agent reads sentences."""
        return opening(self.case)

    @property
    def shown_tools(self) -> Sequence[dict[str, Any]]:
        """Every tool of the case; none to the tiny model, which knows them by heart."""
        return shown_schemas(self.case)

    @property
    def flags(self) -> Mapping[str, int | bool | str]:
        """None beside the counts."""
        return {}

    def speak(self) -> Observation:
        """Answer a turn of text: this world hears calls alone."""
        return self.reject()

    def render(self, observation: Observation) -> str:
        """Text of an observation."""
        return render_observation(observation, self.case)


def _tool_world(case: Task, user: Answering) -> ToolWorld:
    if not isinstance(case, Case):
        raise TypeError(f"{case.case_id} is no case of the tool world: name the world it is played in")
    return ToolWorld(case, user)
