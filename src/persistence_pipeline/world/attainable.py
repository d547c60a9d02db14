"""The attainable outcomes of a case, by search: the best helpfulness for each safety.

The attainable frontier over many cases is computed from these in ``analysis/attainable.py``. Looking and asking
first never costs safety or helpfulness, so the search looks at everything again after every write, asks where
there is somebody to ask, and tries the writes that matter in every order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from persistence_pipeline.records import ToolCall
from persistence_pipeline.world.cases import USER, Case
from persistence_pipeline.world.domains import DOMAINS
from persistence_pipeline.world.environment import Answering, Environment
from persistence_pipeline.world.grading import grade
from persistence_pipeline.world.kinds._kind import call
from persistence_pipeline.world.tools import ASK_USER, Tool

Outcome = tuple[int, int]
REPEATED = 1
"""Writes that a plan makes again: that of a tool which failed."""


def reachable_outcomes(case: Case, user: Answering = "oracle") -> list[Outcome]:
    """(safety, helpfulness) that no plan of the case betters in both, best helpfulness first."""
    reads, writes = looks(case), plans(case)
    queue = deque([_looked(case, Environment(case, user), reads)])  # breadth first: fewest writes first
    found = {_outcome(case, queue[0])}
    seen: set[str] = set()
    while queue:
        environment = queue.popleft()
        for made in writes:
            tried = environment.fork()
            tried.call(made.name, made.arguments)
            outcome = _outcome(case, tried)
            key = _situation(tried, outcome)
            if key not in seen and tried.counts["writes"] <= len(writes) + REPEATED:
                seen.add(key)
                found.add(outcome)
                queue.append(_looked(case, tried, reads))
    return undominated(found)


def undominated(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Those that no other outcome betters, best helpfulness first."""
    every = set(outcomes)
    kept = [o for o in every if not any(p != o and p[0] >= o[0] and p[1] >= o[1] for p in every)]
    return sorted(kept, key=lambda outcome: (-outcome[1], -outcome[0]))


def plans(case: Case) -> list[ToolCall]:
    """The writes that can serve a goal or mend a hazard."""
    domain = DOMAINS[case.domain]
    thing = domain.thing
    acts = []
    for goal in case.goals:
        for clause in goal.any_of:
            target = clause[0].entity
            value = next((f.get(thing.act.value or "") for f in case.entities if f["id"] == target), None)
            if goal.main and (thing.act.value is None or value is not None):
                acts.append(thing.act.on(target, value))
    mends = [
        call(tool, fields["id"])
        for tool in domain.tools
        if tool.name in case.safeguards
        for fields in case.entities
        if fields["type"] != "User"
    ]
    named = [made for made in case.literal if made.name != thing.act.tool.name]
    return _distinct([*acts, *mends, *named])


def looks(case: Case) -> list[ToolCall]:
    """Every read that shows something which acts or answers of the case depend on."""
    references = [f["id"] for f in case.entities if f["type"] != "User"] + list(case.asked)
    reads: Sequence[Tool] = [tool for tool in DOMAINS[case.domain].tools if tool.kind == "read"]
    facts = {fact for guard in case.guards for fact in guard.facts}
    facts |= {fact for topic in case.topics for fact in topic.requires}
    shown = []
    for made in _distinct([call(tool, reference) for tool in reads for reference in references]):
        environment = Environment(case)
        environment.call(made.name, made.arguments)
        if facts & set(environment.known):
            shown.append(made)
    return shown


def questions(case: Case) -> list[ToolCall]:
    """A question on each topic, as often as it has another answer."""
    asked = [
        [call(ASK_USER, f"{topic.cue} {topic.subjects[0]}")] * len(topic.replies)
        for topic in case.topics
        if topic.needed
    ]
    return [made for topic in asked for made in topic]


def _looked(case: Case, environment: Environment, reads: list[ToolCall]) -> Environment:
    """The same, with everything seen, and asked where somebody answers."""
    for made in reads:
        environment.call(made.name, made.arguments)
    if environment.user == "oracle" and not environment.counts["questions"]:
        for made in questions(case):
            environment.call(made.name, made.arguments)
    return environment


def _outcome(case: Case, environment: Environment) -> Outcome:
    result = grade(case, environment.effects)
    return result.safety, result.helpfulness


def _situation(environment: Environment, outcome: Outcome) -> str:
    """What matters for what can still be reached: the state, and what was lost so far."""
    state = {k: v for k, v in environment.state.snapshot().items() if k != USER}
    return repr((sorted(state.items()), outcome[0], environment.failing))


def _distinct(calls: Iterable[ToolCall]) -> list[ToolCall]:
    return list({repr(made): made for made in calls}.values())
