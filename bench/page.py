"""Renews the tables of the performance page between their markers; the prose around them is written by hand."""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.scaling import CURVES


def renew(page: Path, results: Mapping[str, Any]) -> None:
    """Replace every marked table for which there are results."""
    text = page.read_text("utf-8")
    tables = {"machine": _machine, "rows": _rows, "parts": _parts, "scaling": _scaling, "cores": _cores}
    for name, render in tables.items():
        rendered = render(results)
        if rendered:
            text = between(text, name, rendered)
    page.write_text(text, encoding="utf-8")


def between(page: str, mark: str, body: str) -> str:
    """The page with this text between its marks."""
    pattern = re.compile(rf"(<!-- {mark} -->\n).*?(<!-- /{mark} -->)", flags=re.DOTALL)
    return pattern.sub(lambda match: f"{match[1]}{body}\n{match[2]}", page)


def _machine(results: Mapping[str, Any]) -> str:
    m = results.get("machine")
    if not m:
        return ""
    versions = ", ".join(f"{name} {number}" for name, number in m["versions"].items())
    return f"{m['cpu']}, {m['cores']} cores, {m['memory_gb']} GB, {m['system']}, Python {m['python']}; {versions}."


def _rows(results: Mapping[str, Any]) -> str:
    lines = [
        "| what | seconds | against | seconds | ratio | to reach | |",
        "| --- | ---: | --- | ---: | ---: | ---: | --- |",
    ]
    for row in results["rows"].values():
        sign = "≥" if row["faster"] else "≤"
        note = f" ({row['note']})" if row["note"] else ""
        verdict = "reached" if row["met"] else "**missed**"
        ours, theirs = statistics.median(row["ours"]), statistics.median(row["theirs"])
        lines.append(
            f"| {row['what']} | {_short(ours)} | {row['against']}{note} | {_short(theirs)} "
            f"| {row['ratio']:.3g}× | {sign} {row['target']:g}× | {verdict} |"
        )
    return "\n".join(lines)


def _short(seconds: float) -> str:
    return f"{seconds:.3g}" if seconds < 100 else f"{seconds:.0f}"


def _parts(results: Mapping[str, Any]) -> str:
    row = results["rows"].get("default_study")
    if not row:
        return ""
    parts = sorted(row["details"]["parts"].items(), key=lambda item: -item[1])
    shown = [(name, spent) for name, spent in parts if spent >= 0.3]
    rest = sum(spent for _, spent in parts) - sum(spent for _, spent in shown)
    lines = ["| part | seconds |", "| --- | ---: |"]
    lines += [f"| `{name}` | {spent:.1f} |" for name, spent in shown]
    return "\n".join(
        [*lines, f"| everything else | {rest:.1f} |", "", f"Peak memory {row['details']['peak_mb']:.0f} MB."]
    )


def _scaling(results: Mapping[str, Any]) -> str:
    points = results.get("scaling")
    if not points:
        return ""
    lines = [
        "| curve | ×1 | ×4 | ×16 | peak memory MB (of which before the work) |",
        "| --- | ---: | ---: | ---: | --- |",
    ]
    for curve, title in CURVES.items():
        mine = [p for p in points if p["curve"] == curve]
        cells = " | ".join(f"{p['seconds']:.3g} s" for p in mine)
        peaks = " → ".join(f"{p['peak_mb']:.0f} ({p['peak_before_mb']:.0f})" for p in mine)
        lines.append(f"| {title} | {cells} | {peaks} |")
    return "\n".join(lines)


def _cores(results: Mapping[str, Any]) -> str:
    two = results.get("two_processes")
    if not two:
        return ""
    return (
        f"4,096 episodes take {two['alone']:.2f} s in one process alone, {two['slower_of_two']:.2f} s in the "
        f"slower of two processes side by side ({two['ratio']:.2f}×)."
    )
