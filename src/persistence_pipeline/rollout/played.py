"""The result of a rollout."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Self

from persistence_pipeline.records import Trajectory


class Played(list[Trajectory]):
    """Trajectories, and the journals of replies that nothing needs once they have been saved.

    Adding another one with ``+=`` takes over its journals.
    """

    def __init__(self, trajectories: Iterable[Trajectory] = (), spent: Iterable[Path] = ()) -> None:
        super().__init__(trajectories)
        self.spent = list(spent)

    def __iadd__(self, further: Iterable[Trajectory]) -> Self:  # type: ignore[override,misc]
        """Take over trajectories and, where they bring any, journals."""
        self.spent += getattr(further, "spent", [])
        self.extend(further)
        return self

    def remove_journals(self) -> None:
        """Remove the journals: the trajectories are where they should be."""
        for journal in self.spent:
            journal.unlink(missing_ok=True)
        self.spent.clear()
