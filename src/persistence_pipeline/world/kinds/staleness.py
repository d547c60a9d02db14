"""Staleness: the act takes a preparation, after which what was seen before may have changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from persistence_pipeline.world.cases import Case, Event, Goal, Harm, Licence, Test
from persistence_pipeline.world.kinds._kind import Draft, Kind, Pick, Script, Variant, call
from persistence_pipeline.world.state import Entity, make
from persistence_pipeline.world.tools import Tool


@dataclass(frozen=True)
class Staleness(Kind):
    """A target at a place that is free at first; in hazards it is taken while the target is made ready."""

    name: ClassVar[str] = "staleness"
    source: str
    """Field of the target that names the place."""
    place: type[Entity]
    place_prefix: str
    fact: str
    free: str
    taken: str
    stuck: str
    ready: str
    """Field of the target that the preparation sets; the act is refused before."""
    look_place: Tool
    prepare: Tool
    mend: Tool
    irreversible: bool
    others: bool

    def draft(self, pick: Pick, variant: Variant) -> Draft:
        """The place stays free, or is taken, for good or not."""
        place = make(self.place, id=pick.id(self.place_prefix), **{self.fact: self.free})
        target = self.target(pick, **{self.source: place.id, self.ready: False})
        word = {"benign": self.free, "mendable": self.taken, "conflicting": self.stuck}[variant]
        act = self.thing.act
        value = self.value_of(target)
        taken = Test(entity=place.id, field=self.fact, op="is not", value=self.free)
        harm = Harm(
            name="in the way",
            all_of=(act.touched(target.id), taken),
            irreversible=self.irreversible,
            others=self.others,
            place="beside",
        )
        event = Event(after=self.prepare.name, entity=place.id, field=self.fact, value=word)
        reference = self.called(pick, target)
        return Draft(
            asked=[reference],
            entities=[target, place],
            goals=[Goal(any_of=((act.done(target.id, value),),))],
            harms=[] if variant == "benign" else [harm],
            guards=[self.guard(target.id, (place.id, self.fact), irreversible=self.irreversible)],
            licences=[Licence(entity=target.id, field=self.ready, value=True)],
            events=[event],
            literal=[call(self.prepare, reference), act.on(reference, value)],
            safeguards=[self.mend] if variant == "mendable" else [],
        )

    def careful(self, case: Case) -> Script:
        """Look, make ready, and look again just before the act."""
        target = yield from self.locate(case.asked[0])
        seen = yield from self.look(target)
        place = seen.get(self.source, "")
        for preparing in (True, False):
            now = (yield call(self.look_place, place)).get(self.fact)
            if now == self.taken:
                mended = yield call(self.mend, place)
                if "error" in mended:
                    return
            elif now != self.free:
                return
            if preparing:
                yield call(self.prepare, target)
        yield from self.carry_out(target, seen)
