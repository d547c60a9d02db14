"""Tells a refusal of one conversation from a refusal of all.

The rule: when the server refuses requests about three different cases with the same words, numbers and names
aside, and has accepted none meanwhile that was as far into its conversation, the fourth would fare no better.
Requests that were under way before the first of these refusals are waited for. Refusals that name the conversation
itself (too long, filtered) do not count.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field

ALIKE = 3
"""Cases that are refused alike before all are taken to be."""
_NAMES = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`|\w*\d\w*")


@dataclass(frozen=True)
class _Refusal:
    turn: int
    begun: int


@dataclass
class Refusals:
    """Outcomes of a client's requests; safe to use from several threads. Each request has a number."""

    _begun: int = 0
    _under_way: set[int] = field(default_factory=set)
    _alike: dict[str, dict[str, _Refusal]] = field(default_factory=dict)
    """By what was said and the case, the last refusal."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self) -> int:
        """The number of a request that is about to be sent."""
        with self._lock:
            self._begun += 1
            self._under_way.add(self._begun)
            return self._begun

    def end(self, number: int) -> None:
        """A request has ended, and what its outcome says of others has been told."""
        with self._lock:
            self._under_way.discard(number)

    def accepted(self, turn: int) -> None:
        """A request was answered: what was refused at this turn or before was not refused to all."""
        with self._lock:
            for refusals in self._alike.values():
                for case in [case for case, refusal in refusals.items() if refusal.turn <= turn]:
                    del refusals[case]

    def refused(self, number: int, case: str, turn: int, message: str) -> int:
        """A request was refused; the number of cases refused alike where all are, else 0."""
        with self._lock:
            self._under_way.discard(number)
            refusals = self._alike.setdefault(_normalised(message), {})
            refusals.setdefault(case, _Refusal(turn, self._begun))
            first = min(refusal.begun for refusal in refusals.values())
            waited_for = all(under_way > first for under_way in self._under_way)
            return len(refusals) if len(refusals) >= ALIKE and waited_for else 0


def _normalised(message: str) -> str:
    return " ".join(_NAMES.sub("#", message.lower()).split())
