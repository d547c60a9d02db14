"""A trajectory in ToolEmu's format as our record.

The agent's text is kept, its call is taken out of it and made a tool call, and what ToolEmu answered becomes a
tool message. Where an agent wrote on past its call and invented the answer, that text stays in its turn and the
trajectory is flagged as fabricated.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from persistence_pipeline.json_values import storable
from persistence_pipeline.records import Message, ToolCall, Trajectory
from persistence_pipeline.rollout.episode import StopReason
from persistence_pipeline.toolemu.cases import case_id
from persistence_pipeline.toolemu.toolkits import shown, toolkits_of

CHARACTERS_PER_TOKEN = 4
"""Rough, for English text: the published files hold no token counts."""
OBSERVATION = "Observation: "
"""What the published training data put before an observation."""
OUT_OF_MEMORY = "[OOM]"
"""ToolEmu's mark, in place of a tool's name, of a turn during which the agent's model ran out of memory."""

_FABRICATED = re.compile(r"^Observation:", re.MULTILINE)
_FABRICATED_WIDE = re.compile(r"^[ \t>*_#`\[-]*Observation[ \t\d*_`\]]*:", re.MULTILINE)
"""The same with Markdown around it or a number behind it: ``**Observation:**``, ``### Observation 2:``."""
_THINKING = re.compile(r"(</?think>)", re.IGNORECASE)
_CALL = re.compile(r"^\W*Action\W*:", re.MULTILINE)
_NAME = re.compile(r"\w+")


def from_toolemu(line: Mapping[str, Any], *, trajectory_id: str, policy: str, seed: int) -> Trajectory:
    """Our record of a ToolEmu trajectory.

    There is no world behind it, so ``effects`` is empty and ``final_state_hash`` blank. ``split`` says ``train``
    until a seed assigns the case (``study``). Flags: ``calls, invalid_calls`` (no tool's name, or arguments that
    are not a JSON object), ``failed_calls`` (answered by an error), ``new_tokens`` (estimated), ``characters`` of
    the agent and ``observation_characters`` (as in the published messages: no thinking, and ``Observation:``
    before each observation), ``fabricated`` (a line of the agent's own text starts with ``Observation:``) and
    ``fabricated_wide`` (the same with Markdown around the word).

    Args:
        line: A parsed line of a trajectory file.
        trajectory_id: Id of the record.
        policy: The configuration that acted.
        seed: Seed of the configuration; 0 for sources.

    Raises:
        ValueError: naming the field that is missing or malformed.
    """
    case_index, case, steps, output = [_field(line, *wanted) for wanted in _FIELDS]
    messages = [Message(role="user", content=_field(case, "User Instruction", str))]
    counts: dict[str, int] = dict.fromkeys(_COUNTS, 0)
    texts = []
    for number, step in enumerate(steps):
        text, turn = _turn(step, number, counts)
        texts.append(text)
        messages += turn
    return Trajectory(
        trajectory_id=trajectory_id,
        case_id=case_id(case_index),
        template_group=f"toolemu/{(toolkits_of(case) or ['unknown'])[0]}",
        split="train",
        policy=policy,
        seed=seed,
        sample=0,
        messages=tuple(messages),
        effects=(),
        final_state_hash="",
        stop_reason=stop_reason(output),
        flags={**counts, **_flags(texts)},
    )


def _flags(texts: Sequence[str]) -> dict[str, int | bool]:
    """What the agent's own turns say together."""
    return {
        "characters": sum(len(_clean(text)) for text in texts),
        "new_tokens": sum(map(len, texts)) // CHARACTERS_PER_TOKEN,
        "fabricated": any(_FABRICATED.search(text) for text in texts),
        "fabricated_wide": any(_FABRICATED_WIDE.search(text) for text in texts),
    }


_COUNTS = ("calls", "invalid_calls", "failed_calls", "observation_characters")
_FIELDS: tuple[tuple[str, type], ...] = (
    ("case_idx", int),
    ("case", dict),
    ("intermediate_steps", list),
    ("output", str),
)


def _field(line: Mapping[str, Any], name: str, expected: type) -> Any:
    if name not in line:
        raise ValueError(f"field {name} is missing")
    value: Any = line[name]
    if not isinstance(value, expected) or isinstance(value, bool):
        raise ValueError(f"field {name}: expected {expected.__name__}, found {shown(value)}")
    return value


def _turn(step: Any, number: int, counts: dict[str, int]) -> tuple[str, list[Message]]:
    """The agent's raw text of a step, and the messages that it becomes."""
    try:
        acted, answered = step
        if isinstance(acted, dict):
            text = _text(acted["log"])
            return text, [Message(role="assistant", content=_clean(text))]
        tool, argument, text = map(_text, acted)
        observation = _text(answered[0])
    except (TypeError, ValueError, KeyError, IndexError):
        raise ValueError(
            f"field intermediate_steps[{number}]: neither a call with its answer nor the end"
        ) from None
    if tool == OUT_OF_MEMORY:
        return text, [Message(role="assistant", content=_clean(text))]
    name = _NAME.match(tool.strip(' `*"'))
    arguments = parse_arguments(argument)
    counts["calls"] += 1
    counts["invalid_calls"] += arguments is None or name is None or name[0] in ("None", "Final")
    counts["failed_calls"] += observation.lstrip().startswith('{"error"')
    counts["observation_characters"] += len(OBSERVATION) + len(observation)
    call = ToolCall(
        name=name[0] if name else tool, arguments={"input": argument} if arguments is None else arguments
    )
    return text, [
        Message(role="assistant", content=_without_call(text, argument), tool_calls=(call,)),
        Message(role="tool", content=observation, name=call.name),
    ]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def parse_arguments(text: str) -> dict[str, Any] | None:
    """Arguments of a call, or None where the text is not a JSON object that can be kept; code fences are forgiven.

    A key given twice is forgiven too, the last counts: so did the tools that the published agents called.
    """
    try:
        value = json.loads(text.strip("` \n\r\t").removeprefix("json"))
        storable(value)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _without_call(text: str, argument: str) -> str:
    """The agent's text without its (first, executed) call; what it wrote after the call stays."""
    header = _CALL.search(text) if "Action" in text else None
    if header is None:
        return _clean(text)
    before, rest = text[: header.start()], text[header.end() :]
    position = rest.find(argument.strip()) if argument.strip() else -1
    after = rest[position + len(argument.strip()) :] if position >= 0 else ""
    rest_of_turn = after.lstrip("` \n") if re.search(r"\w", after) else ""
    return _clean(f"{before.rstrip()}\n{rest_of_turn}")


def _clean(text: str) -> str:
    """The text without thoughts; the text behind a tag that is never closed stays."""
    first, *others = _THINKING.split(text)
    parts, opened = [first], 0
    for tag, part in zip(others[::2], others[1::2], strict=True):
        if tag.startswith("</"):
            if opened:
                del parts[opened:]
            opened = 0
        else:
            opened = opened or len(parts)
        parts.append(part)
    return "".join(parts).strip()


def stop_reason(output: str) -> StopReason:
    """Why an episode ended, from ToolEmu's ``output``."""
    if not output.startswith("Agent stopped"):
        return "finish"
    if "token limit" in output:
        return "token_limit"
    return "max_turns" if "iteration" in output else "error"
