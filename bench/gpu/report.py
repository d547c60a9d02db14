"""What a part has measured so far, on disk after every number: a machine may be taken away at any time."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


class Report:
    """The JSON file of one part.

    Args:
        path: Where it lies; points that it holds already are kept.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.content: dict[str, Any] = read(path)
        self.content.setdefault("points", {})

    def done(self, point: str) -> bool:
        """Whether a point was measured by an earlier attempt."""
        return "measured" in self.content["points"].get(point, {})

    def predict(self, point: str, **numbers: Any) -> None:
        """Say what a point is expected to take, before it is begun."""
        said = ", ".join(f"{name} {_short(value)}" for name, value in numbers.items())
        print(f"{point}: predicted {said}", flush=True)
        self._put(point, "predicted", numbers)

    def note(self, point: str, **numbers: Any) -> None:
        """Numbers of a point that is not whole yet."""
        self._put(point, "so_far", numbers)

    def measure(self, point: str, **numbers: Any) -> None:
        """The numbers of a whole point."""
        self.content["points"].get(point, {}).pop("so_far", None)
        shown = ", ".join(f"{n} {_short(v)}" for n, v in numbers.items() if not isinstance(v, list | dict))
        print(f"{point}: {shown}", flush=True)
        self._put(point, "measured", numbers)

    def state(self, **fields: Any) -> None:
        """Status, command, machine and the like."""
        self.content.update(fields)
        write(self._path, self.content)

    def _put(self, point: str, kind: str, numbers: dict[str, Any]) -> None:
        self.content["points"].setdefault(point, {})[kind] = numbers
        write(self._path, self.content)


def read(path: Path) -> dict[str, Any]:
    """A JSON object; an empty one where there is no file."""
    return dict(json.loads(path.read_text("utf-8"))) if path.is_file() else {}


def write(path: Path, content: dict[str, Any]) -> None:
    """Replace a JSON file in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    fresh.replace(path)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
