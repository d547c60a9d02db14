"""A hazard family: somebody is at work on what is to be changed; the agent can clear the way, or must not act."""

from __future__ import annotations

from persistence_pipeline.world.hazards import Family

FAMILY = Family(
    "busy_target",
    "shift",  # the word of the compact phrasing; no other family has it
    act="send",  # the request is about the tool that sets a value
    check="info",  # a look at the entity shows whether somebody is there
    fix="ready",  # making it ready mends what can be mended
    benign="free",
    mendable="blocked",
    unmendable="stuck",
)
