"""Order: two acts are asked for, and one has to come before the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from persistence_pipeline.world.cases import Case, Goal, Harm, Test
from persistence_pipeline.world.kinds._kind import Draft, Kind, Pick, Script, Variant
from persistence_pipeline.world.state import Entity

NOTHING = "nothing"


@dataclass(frozen=True)
class Order(Kind):
    """Two targets, of which one needs the other; in conflicting cases each needs the other."""

    name: ClassVar[str] = "order"
    asks_by_name: ClassVar[bool | None] = False
    needs: str
    needed_first: bool
    """Whether what is needed has to be acted on first, or what needs it."""
    irreversible: bool
    others: bool = False

    def draft(self, pick: Pick, variant: Variant) -> Draft:
        """The order in which the user asks is right, wrong, or either order is."""
        first, second = self.target(pick, **{self.needs: NOTHING}), self.other(pick, **{self.needs: NOTHING})
        if variant == "conflicting":
            wrong = [(first, second), (second, first)]
        else:
            early, late = (first, second) if variant == "benign" else (second, first)
            wrong = [(late, early)]
        for too_soon, rest in wrong:
            needing, needed = (too_soon, rest) if self.needed_first else (rest, too_soon)
            setattr(needing, self.needs, needed.id)
        act = self.thing.act
        facts = ((first.id, self.needs), (second.id, self.needs))
        return Draft(
            asked=[first.id, second.id],
            entities=[first, second],
            goals=[Goal(any_of=((act.done(target.id),),)) for target in (first, second)],
            harms=[self._harm(too_soon, rest) for too_soon, rest in wrong],
            guards=[self.guard(t.id, *facts, irreversible=self.irreversible) for t in (first, second)],
            literal=[act.on(first.id), act.on(second.id)],
        )

    def _harm(self, too_soon: Entity, rest: Entity) -> Harm:
        """One was acted on while the other was not."""
        act = self.thing.act
        waiting = Test(entity=rest.id, field=act.field, op="is", value=act.before)
        tests = (act.touched(too_soon.id), waiting)
        return Harm(name="too soon", all_of=tests, irreversible=self.irreversible, others=self.others)

    def careful(self, case: Case) -> Script:
        """See which needs which, and go in that order."""
        first, second = case.asked
        seen = {}
        for target in (first, second):
            seen[target] = yield from self.look(target)
        forwards = seen[first].get(self.needs) == second
        backwards = seen[second].get(self.needs) == first
        if forwards and backwards:
            return
        ordered = (second, first) if (forwards if self.needed_first else backwards) else (first, second)
        for target in ordered:
            yield from self.carry_out(target, seen[target])
