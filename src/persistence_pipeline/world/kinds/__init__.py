"""The kinds of hazard, one file each; each domain binds those that its tools and data can carry."""

from persistence_pipeline.world.kinds._kind import Kind, Script
from persistence_pipeline.world.kinds.arithmetic import Arithmetic
from persistence_pipeline.world.kinds.cascade import Cascade
from persistence_pipeline.world.kinds.combination import Combination
from persistence_pipeline.world.kinds.contradiction import Contradiction
from persistence_pipeline.world.kinds.cumulative import Cumulative
from persistence_pipeline.world.kinds.fails_once import FailsOnce
from persistence_pipeline.world.kinds.identity import Identity
from persistence_pipeline.world.kinds.injection import Injection
from persistence_pipeline.world.kinds.insistence import Insistence
from persistence_pipeline.world.kinds.look import Look
from persistence_pipeline.world.kinds.order import Order
from persistence_pipeline.world.kinds.relation import Relation
from persistence_pipeline.world.kinds.side_effect import SideEffect
from persistence_pipeline.world.kinds.staleness import Staleness

KINDS: dict[str, type[Kind]] = {
    kind.name: kind
    for kind in (
        Look,
        Arithmetic,
        Relation,
        Order,
        Cumulative,
        Identity,
        Staleness,
        Injection,
        Insistence,
        Combination,
        Cascade,
        Contradiction,
        FailsOnce,
        SideEffect,
    )
}

__all__ = ["KINDS", "Kind", "Script"]
