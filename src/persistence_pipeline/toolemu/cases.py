"""Cases and toolkits in ToolEmu's format, as cases that the emulator plays.

Both files are the user's: nothing of them is part of this project.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from persistence_pipeline.json_values import JsonError, strict_json
from persistence_pipeline.records import Record, Split
from persistence_pipeline.toolemu.toolkits import shown, tool_schemas

_WHOLE_ESCAPES = re.compile(r"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_HALF_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


class CaseError(ValueError):
    """A file of cases or toolkits is not in ToolEmu's format; the message names file, entry and field."""


class EmulatedTool(Record):
    """A tool that has a specification and no implementation."""

    function: dict[str, Any]
    """``name, description, parameters``, as OpenAI's function form has them."""
    returns: tuple[dict[str, Any], ...] = ()
    exceptions: tuple[dict[str, Any], ...] = ()

    @property
    def name(self) -> str:
        """Name that the agent calls it by."""
        return str(self.function["name"])

    @property
    def schema(self) -> dict[str, Any]:  # type: ignore[override]
        """JSON schema in the OpenAI function form: what the agent is shown."""
        return {"type": "function", "function": self.function}


class EmulatedCase(Record):
    """One task: what the agent is told, its tools, and what the author of the case thinks of it."""

    schema_version: Literal[1] = 1
    case_id: str
    template_group: str
    """``toolemu/<first toolkit>``."""
    split: Split
    seed: int
    instruction: str
    toolkits: tuple[str, ...]
    tools: tuple[EmulatedTool, ...]
    left_open: tuple[str, ...]
    """What the instruction does not say."""
    expected: tuple[str, ...]
    risks: tuple[str, ...]

    @property
    def twin_id(self) -> str:
        """Itself: these cases have no benign twins."""
        return self.case_id

    def columns(self) -> dict[str, Any]:
        """The columns of a case in score tables; every one was written to be dangerous."""
        return {"domain": self.toolkits[0], "kind": "toolemu", "hazard": True, "conflicting": False}

    def described(self) -> dict[str, Any]:
        """All that a reader may know of a case; the agent was told the instruction alone."""
        fields = ("case_id", "twin_id", "split", "seed", "instruction")
        opinions = {"goals": list(self.expected), "risks": list(self.risks), "left_open": list(self.left_open)}
        return {**{field: getattr(self, field) for field in fields}, **self.columns(), **opinions}


def read_cases(cases: Path, toolkits: Path, seed: int) -> list[EmulatedCase]:
    """Every case of the file with the tools of its toolkits, in the order of the file.

    Args:
        cases: ToolEmu's ``all_cases.json``, or a file of its format.
        toolkits: ToolEmu's ``all_toolkits.json``, or a file of its format.
        seed: Halves the cases as the published study does: ``train`` and ``test_iid``.

    Raises:
        CaseError: a file is missing or malformed, or a case names a toolkit that the other file does not have.
    """
    by_kit = _tools_by_kit(_entries(toolkits), toolkits)
    entries = _entries(cases)
    test = held_out_half(seed, len(entries))
    read = []
    for index, entry in enumerate(entries):
        try:
            split: Split = "test_iid" if index in test else "train"
            read.append(_case(entry, index, by_kit, split, seed))
        except (ValueError, TypeError, AttributeError) as error:
            raise CaseError(f"{cases}: case {index} ({_name(entry)}): {error}") from None
    return read


def held_out_half(seed: int, n_cases: int) -> frozenset[int]:
    """Case indices of a seed's test half: the second half of ``range(n_cases)`` shuffled by ``random``."""
    order = list(range(n_cases))
    random.Random(seed).shuffle(order)
    return frozenset(order[n_cases // 2 :])


def case_id(index: int) -> str:
    """Id of the case with this index."""
    return f"toolemu_{index:03d}"


def emulated_case_table(cases: Sequence[EmulatedCase]) -> pd.DataFrame:
    """One row per case: what it is, without its tools."""
    fields = ("case_id", "twin_id", "template_group", "split", "seed", "instruction")
    rows = [{**{field: getattr(case, field) for field in fields}, **case.columns()} for case in cases]
    return pd.DataFrame(rows)


def _entries(path: Path) -> list[Any]:
    if not path.is_file():
        raise CaseError(f"{path}: no such file; ToolEmu's repository has it under assets/")
    try:
        text = path.read_text("utf-8-sig")
    except ValueError as error:
        raise CaseError(f"{path}: no JSON ({error})") from None
    try:
        value = strict_json(text)
    except JsonError as error:
        halves = [n for n, line in enumerate(text.split("\n"), 1) if _holds_half_a_pair(line)]
        line = f", line {halves[0]}" if halves and error.path else ""
        raise CaseError(f"{path}{line}: no JSON that can be kept ({error})") from None
    if not isinstance(value, list) or not value:
        raise CaseError(f"{path}: expected a list of entries")
    return value


def _holds_half_a_pair(line: str) -> bool:
    """Whether a line of JSON has the escape of half a surrogate pair."""
    return bool(_HALF_ESCAPE.search(_WHOLE_ESCAPES.sub("", line)))


def _tools_by_kit(kits: Sequence[Any], path: Path) -> dict[str, list[EmulatedTool]]:
    try:
        schemas = tool_schemas(kits)
        return {
            str(kit["toolkit"]): [
                _tool(schema, tool, str(kit["toolkit"]))
                for schema, tool in zip(schemas[str(kit["toolkit"])], kit["tools"], strict=True)
            ]
            for kit in kits
        }
    except (ValueError, AttributeError, TypeError) as error:
        raise CaseError(f"{path}: {error}") from None


def _tool(schema: Mapping[str, Any], tool: Mapping[str, Any], kit: str) -> EmulatedTool:
    for field in ("returns", "exceptions"):
        entries = tool.get(field) or []
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise ValueError(f"toolkit {kit}, tool {tool.get('name')}, field {field}: expected a list of objects")
    return EmulatedTool(
        function=schema["function"],
        returns=tuple(tool.get("returns") or ()),
        exceptions=tuple(tool.get("exceptions") or ()),
    )


def _case(
    entry: Mapping[str, Any], index: int, by_kit: Mapping[str, list[EmulatedTool]], split: Split, seed: int
) -> EmulatedCase:
    toolkits = _texts(entry, "Toolkits")
    if not toolkits:
        raise ValueError("field Toolkits names no toolkit")
    for name in toolkits:
        if name not in by_kit:
            raise ValueError(f"unknown toolkit {name!r}; known: {', '.join(sorted(by_kit))}")
    instruction = entry.get("User Instruction")
    if not isinstance(instruction, str) or not instruction.strip():
        raise ValueError("field User Instruction is missing")
    return EmulatedCase(
        case_id=case_id(index),
        template_group=f"toolemu/{toolkits[0]}",
        split=split,
        seed=seed,
        instruction=instruction,
        toolkits=toolkits,
        tools=tuple(tool for name in toolkits for tool in by_kit[name]),
        left_open=tuple(text for texts in (entry.get("Underspecifications") or {}).values() for text in texts),
        expected=_texts(entry, "Expected Achievements"),
        risks=_texts(entry, "Potential Risky Outcomes") + _texts(entry, "Potential Risky Actions"),
    )


def _texts(entry: Mapping[str, Any], field: str) -> tuple[str, ...]:
    value = entry.get(field) or []
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise ValueError(f"field {field}: expected a list of texts, found {shown(value)}")
    return tuple(value)


def _name(entry: Any) -> str:
    return str(entry.get("name", "unnamed")) if isinstance(entry, Mapping) else "unnamed"
