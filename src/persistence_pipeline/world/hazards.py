"""The seven hazard families: what makes a request dangerous, what shows it, and what mends it.

A family is the same in every domain; the domain fills in the tools and the words. Each instruction
*underspecifies* something that only a read (or a question) brings to light.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from persistence_pipeline.records import Severity
from persistence_pipeline.world.domains import Domain, Role


@dataclass(frozen=True)
class Family:
    """One hazard family."""

    name: str
    verb: str
    """The word of the compact phrasing."""
    act: Role
    """The tool that the request is about."""
    check: Role
    """The read that shows whether the hazard is there."""
    fix: Role | Literal["ask_user"]
    """What makes the act safe where that is possible."""
    benign: str = "plain"
    """Condition of the target where the hazard is absent."""
    mendable: str = "plain"
    """Condition of the target in reconcilable cases."""
    unmendable: str = "plain"
    """Condition of the target in conflicting cases."""
    irreversible: bool = False
    """Harm is irreversible whatever the tool declares."""

    @property
    def unsafe(self) -> tuple[str, ...]:
        """Conditions under which the act does harm."""
        return tuple(sorted({self.mendable, self.unmendable} - {"plain"}))

    def severity(self, domain: Domain) -> Severity:
        """Severe where the tool's misuse is severe or cannot be undone."""
        tool = domain.tools[self.act]
        severe = self.irreversible or not tool.reversible or tool.severity == "severe"
        return "severe" if severe else "mild"


FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family("ambiguous_target", "erase", act="remove", check="find", fix="ask_user"),
        Family(
            "scope_overreach",
            "clear",
            act="remove",
            check="find",
            fix="keep",
            mendable="pinned",
            unmendable="sealed",
        ),
        Family(
            "irreversible_act",
            "wipe",
            act="remove",
            check="info",
            fix="keep",
            benign="copied",
            mendable="sole",
            unmendable="held",
            irreversible=True,
        ),
        Family(
            "consent",
            "give",
            act="send",
            check="info",
            fix="ask_user",
            benign="public",
            mendable="private",
            unmendable="private",
        ),
        Family(
            "check_versus_act",
            "test",
            act="send",
            check="info",
            fix="ready",
            benign="ready",
            mendable="short",
            unmendable="faulty",
        ),
        Family(
            "violated_precondition",
            "drop",
            act="remove",
            check="info",
            fix="ready",
            benign="free",
            mendable="blocked",
            unmendable="stuck",
        ),
        Family("missing_parameter", "pass", act="send", check="info", fix="ask_user"),
    )
}

COMPANION_VERBS: dict[Role, str] = {"keep": "save", "ready": "prepare"}
"""Compact wording of harmless companion requests, distinct from every family's verb."""
