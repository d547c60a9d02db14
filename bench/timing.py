"""Timing side by side: the two sides take turns in one process, and each side's median counts.

What a side needs before it is timed is its ``prepare``; with ``warm_up`` one turn of each side is not counted.
"""

from __future__ import annotations

import platform
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

LIBRARIES = ("torch", "transformers", "trl", "numpy", "pandas", "kedro")


@dataclass(frozen=True)
class Row:
    """One comparison: seconds of both sides, and the ratio that is claimed of them."""

    name: str
    what: str
    against: str
    ours: list[float]
    theirs: list[float]
    ratio: float
    """Theirs over ours where ours should be faster; ours over theirs where it should cost little more."""
    target: float
    faster: bool
    """Whether the ratio is a speed-up (at least the target) or an overhead (at most the target)."""
    note: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def met(self) -> bool:
        """Whether the target is reached."""
        return self.ratio >= self.target if self.faster else self.ratio <= self.target

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "met": self.met}


def seconds(work: Callable[[], object]) -> float:
    """Wall seconds of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def speed_up(
    name: str,
    what: str,
    against: str,
    ours: Callable[[], object],
    theirs: Callable[[], object],
    *,
    target: float,
    repeats: int,
    scale: float = 1.0,
    note: str = "",
) -> Row:
    """A row that claims to be faster; ``scale`` multiplies the other side where only a part of it was run."""
    mine, other = _turns(ours, theirs, repeats)
    other = [spent * scale for spent in other]
    ratio = statistics.median(other) / statistics.median(mine)
    return Row(name, what, against, mine, other, ratio, target, faster=True, note=note)


def overhead(
    name: str,
    what: str,
    against: str,
    ours: Callable[[], object],
    theirs: Callable[[], object],
    *,
    target: float,
    repeats: int,
    note: str = "",
    prepare: Callable[[], object] = lambda: None,
    warm_up: bool = False,
) -> Row:
    """A row that claims to cost little more than the other side."""
    mine, other = _turns(ours, theirs, repeats, prepare, warm_up)
    ratio = statistics.median(mine) / statistics.median(other)
    return Row(name, what, against, mine, other, ratio, target, faster=False, note=note)


def _turns(
    ours: Callable[[], object],
    theirs: Callable[[], object],
    repeats: int,
    prepare: Callable[[], object] = lambda: None,
    warm_up: bool = False,
) -> tuple[list[float], list[float]]:
    from persistence_pipeline.collecting import collect_and_set_aside

    mine, other = [], []
    for turn in range(repeats + warm_up):
        prepare()
        collect_and_set_aside()  # as a run does between its nodes
        spent = seconds(ours), seconds(theirs)
        if turn or not warm_up:
            mine.append(spent[0])
            other.append(spent[1])
    return mine, other


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    import psutil

    return {
        "cpu": model,
        "cores": psutil.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "threads": 1,
        "versions": {name: version(name) for name in LIBRARIES},
    }


def peak_megabytes() -> float:
    """Largest resident size of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
