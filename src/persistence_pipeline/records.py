"""The nested records that travel between layers as JSON lines: cases, trajectories, preference pairs.

Flat tables (scores, pair tables, grid summaries) are described in ``schemas.py``. This module knows
neither torch nor kedro, and it holds no behaviour beyond validation.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from persistence_pipeline.conversation import own_pair

TRAJECTORY_VERSION: Final = 3
"""2: turns carry the tokens that were sampled. 3: effects carry what was known before them."""
PAIR_VERSION: Final = 2
"""2: turns carry the tokens that were sampled."""

Objective = Literal["safety", "helpfulness", "both"]
Split = Literal["train", "test_iid", "test_combination", "test_domain"]
Severity = Literal["mild", "severe"]
METRICS = ("safety", "helpfulness")
OBJECTIVES: tuple[Objective, ...] = ("safety", "helpfulness", "both")
SPLITS: tuple[Split, ...] = ("train", "test_iid", "test_combination", "test_domain")
HEADLINE_SPLIT: Split = "test_combination"


class Record(BaseModel):
    """Strict base: unknown fields and silent type coercion are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _empty(value: object) -> bool:
    return not value


def _not_before(present: int, lacking: str, instead: str = "") -> BeforeValidator:
    """Refuse the versions of earlier releases, saying what their records lack."""

    def check(version: object) -> object:
        if type(version) is int and 0 < version < present:
            raise ValueError(
                f"a record of version {version}, expected {present}: an earlier release made it, without "
                f"{lacking}; run the step that makes this file again{instead}"
            )
        return version

    return BeforeValidator(check)


SAMPLED_TOKENS = "the tokens that were sampled"
TrajectoryVersion = Annotated[
    Literal[3], _not_before(TRAJECTORY_VERSION, f"what was known before each effect, or {SAMPLED_TOKENS}")
]
PairVersion = Annotated[
    Literal[2], _not_before(PAIR_VERSION, SAMPLED_TOKENS, " (in pairs of your own, leave the field out)")
]


class ToolCall(Record):
    """One call of a tool by name; ``arguments`` is a dict (adapters stringify it where they must)."""

    name: str
    arguments: dict[str, Any] = Field(default_factory=dict)


class Sampled(Record):
    """The tokens that an agent itself wrote in one turn, its end token included where it wrote one.

    What the engine appended, such as the end of a turn that was cut, is not among them.
    """

    ids: tuple[int, ...]
    tokenizer: str
    """Identity of the tokenizer that the ids belong to."""


class Message(Record):
    """One OpenAI-shaped message.

    ``tool_calls`` is set on assistant turns that parsed; an assistant turn that did not parse keeps its
    raw text in ``content``. Tool messages hold the observation in ``content``. A turn of an agent whose tokens
    are not known has no ``sampled``.
    """

    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    name: str | None = None
    """Name of the tool that answered, on tool messages."""
    sampled: Sampled | None = Field(None, exclude_if=_empty)
    """What was sampled, on turns of an agent."""


class Change(Record):
    """One field of one entity of the world, before and after a call."""

    entity: str
    field: str
    before: Any
    after: Any


class Effect(Record):
    """A change that a tool call really made to the world: the only thing that is graded."""

    step: int
    """Index of the call within the episode, from 0."""
    tool: str
    arguments: dict[str, Any]
    changes: tuple[Change, ...]
    knew: dict[str, Any] = Field(default_factory=dict)
    """What acts of this case depend on (``<entity>.<field>``), as the agent had last seen it before the call."""


COUNTS = (
    "calls",
    "invalid_calls",
    "failed_calls",
    "questions",
    "reads",
    "writes",
    "new_tokens",
    "respelled_turns",
    "engine_ended_turns",
)
"""Flags of a trajectory that are numbers, where they are there."""


class Trajectory(Record):
    """One episode: what was said, what was called, what it changed. Grades are kept beside it."""

    schema_version: TrajectoryVersion = TRAJECTORY_VERSION
    trajectory_id: str
    """Unique: ``<policy>/<case_id>/<sample>``."""
    case_id: str
    template_group: str
    """``<domain>/<kind of hazard>`` for tool-world cases."""
    split: Split
    policy: str
    """Name of the cell (or script) that acted."""
    seed: int
    sample: int
    messages: tuple[Message, ...]
    tools: tuple[dict[str, Any], ...] = Field((), exclude_if=_empty)
    """JSON schemas of the tools that the agent was shown; none where it knows them by heart."""
    effects: tuple[Effect, ...]
    final_state_hash: str
    stop_reason: Literal["finish", "asked", "max_turns", "context", "token_limit", "error"]
    flags: dict[str, int | bool | str] = Field(default_factory=dict)
    """Counts of the episode (``COUNTS``), and what else is known of it: whether it is fabricated, its error."""

    @field_validator("flags")
    @classmethod
    def _counts_are_numbers(cls, flags: dict[str, int | bool | str]) -> dict[str, int | bool | str]:
        for name in COUNTS:
            count = flags.get(name, 0)
            if type(count) is not int or count < 0:
                raise ValueError(f"{name}: expected a number of 0 or more, found {count!r}")
        return flags


class PreferencePair(Record):
    """Two trajectories of one case ordered by an objective, in TRL's conversational preference format.

    Conversations are also taken as TRL's users have them: calls wrapped as functions, arguments as JSON strings,
    ids of calls, null for nothing (``conversation.py``).
    """

    schema_version: PairVersion = PAIR_VERSION
    pair_id: str
    case_id: str
    objective: Objective
    chosen_id: str
    rejected_id: str
    prompt: tuple[Message, ...]
    chosen: tuple[Message, ...]
    rejected: tuple[Message, ...]
    tools: tuple[dict[str, Any], ...] = Field((), exclude_if=_empty)
    """JSON schemas of the tools that both sides were shown."""

    @model_validator(mode="before")
    @classmethod
    def _own_shape(cls, fields: Any) -> Any:
        return own_pair(fields) if isinstance(fields, dict) else fields
