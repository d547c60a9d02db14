"""Properties of the environment under arbitrary calls, and of the tools' declarations."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.exhausting import EXHAUST

from persistence_pipeline.world.cases import Case
from persistence_pipeline.world.domains import DOMAINS
from persistence_pipeline.world.environment import Environment
from persistence_pipeline.world.grading import grade
from persistence_pipeline.world.making import maker
from persistence_pipeline.world.splits import WorldSettings, generate_cases
from persistence_pipeline.world.tools import ASK_USER, FINISH, ArgumentError, Tool, read

CASES = generate_cases(
    WorldSettings(twins_per_group={"train": 1, "test_domain": 1, "test_iid": 0, "test_combination": 0}), 1
)
TOOL_NAMES = sorted({tool.name for domain in DOMAINS.values() for tool in domain.tools})
WORDS = st.one_of(st.sampled_from([f"{p}{n}" for p in "fpedvrsac" for n in range(1, 9)]), st.text(max_size=8))
VALUES = st.one_of(WORDS, st.integers(-5, 200), st.none(), st.booleans())


def references(case: Case) -> list[str]:
    """Every id and name of a case."""
    return [str(fields[key]) for fields in case.entities for key in ("id", "name") if key in fields]


@st.composite
def calls(draw: st.DrawFn, case: Case) -> list[tuple[str, dict[str, Any]]]:
    """Calls that often fit the case's tools and entities, and often do not."""
    tools = Environment(case).tools
    ids = st.sampled_from(references(case))
    questions = st.builds("{} {}".format, st.sampled_from(["may", "which", "what", ""]), ids)
    made = []
    for _ in range(draw(st.integers(0, 10))):
        if draw(st.booleans()):
            tool = tools[draw(st.sampled_from(sorted(tools)))]
            texts = questions if tool is ASK_USER else ids
            arguments = {
                n: draw(texts) if t is str else draw(st.integers(0, 100)) for n, t in tool.parameters.items()
            }
            made.append((tool.name, arguments))
        else:
            names = st.one_of(st.sampled_from(TOOL_NAMES), st.text(max_size=6))
            made.append((draw(names), draw(st.dictionaries(st.text(max_size=6), VALUES, max_size=3))))
    return made


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_any_calls_keep_the_invariants(data: st.DataObject) -> None:
    case = data.draw(st.sampled_from(CASES))
    played = data.draw(calls(case))
    environment = Environment(case)
    ids = list(environment.state.entities)
    for name, arguments in played:
        if environment.stop_reason:
            break
        _step_keeps_the_invariants(environment, name, arguments)
    assert list(environment.state.entities) == ids
    result = grade(case, environment.effects)
    assert 0 <= result.safety <= 3 and 0 <= result.helpfulness <= 3
    assert (result.safety == 3 and result.helpfulness == 3) or result.reasons
    assert _replayed(case, played, swap=False) == _replayed(case, played, swap=True)


def _step_keeps_the_invariants(environment: Environment, name: str, arguments: dict[str, Any]) -> None:
    before, n_effects = environment.state_hash(), len(environment.effects)
    tool = environment.tools.get(name)
    observation = environment.call(name, arguments)
    changed = environment.state_hash() != before
    assert not changed or len(environment.effects) > n_effects, "what changes the state is recorded"
    failed = observation.get("error") in ("invalid", "missing", "refused")
    if tool is None or tool.kind in ("read", "stop") or failed:
        assert not changed, f"{name} must not change the state"
    if tool is not None and tool.kind == "write" and "error" not in observation:
        assert changed, "every write leaves a trace"


def _replayed(case: Case, played: list[tuple[str, dict[str, Any]]], *, swap: bool) -> tuple[Any, str]:
    """Grade and final state of the same calls, with their arguments in order or in the opposite order."""
    environment = Environment(case)
    for name, arguments in played:
        if environment.stop_reason is None:
            environment.call(name, dict(reversed(arguments.items())) if swap else arguments)
    return grade(case, environment.effects), repr(environment.state.snapshot())


@pytest.mark.slow
def test_random_sequences_are_graded() -> None:
    """No exception, grades within their bounds, reads change nothing; drawn by a plain generator, for speed."""
    rng = random.Random(0)
    pools = {case.case_id: (references(case), sorted(Environment(case).tools.items())) for case in CASES}
    for index in range(100_000 if EXHAUST else 20_000):
        case = CASES[index % len(CASES)]
        environment = Environment(case, "none" if index % 7 == 0 else "oracle")
        _play_at_random(environment, *pools[case.case_id], rng)
        result = grade(case, environment.effects)
        assert result.safety in (0, 1, 2, 3) and result.helpfulness in (0, 1, 2, 3)


def _play_at_random(
    environment: Environment, names: list[str], tools: list[tuple[str, Tool]], rng: random.Random
) -> None:
    for _ in range(rng.randint(1, 8)):
        if environment.stop_reason is not None:
            return
        called, tool = tools[rng.randrange(len(tools))]
        drawn: dict[type, Any] = {str: rng.choice(names), int: rng.choice((0, 10, 20, 40, -10))}
        before = environment.state.snapshot() if tool.kind == "read" else None
        environment.call(called, {name: drawn[kind] for name, kind in tool.parameters.items()})
        assert before is None or environment.state.snapshot() == before


def test_reads_never_change_the_state_hash(cases: list[Case]) -> None:
    rng = random.Random(0)
    for case in cases:
        environment = Environment(case)
        start = environment.state_hash()
        for name, tool in environment.tools.items():
            if tool.kind == "read":
                for _ in range(5):
                    reference = rng.choice([*references(case), "nothing"])
                    environment.call(name, {next(iter(tool.parameters)): reference})
        assert environment.state_hash() == start


def test_every_domain_has_tools_of_its_own_with_schemas() -> None:
    seen: set[str] = set()
    for domain in DOMAINS.values():
        assert 8 <= len(domain.tools) <= 13 and len(domain.entities) >= 2
        for tool in (*domain.tools, ASK_USER, FINISH):
            function = tool.schema["function"]
            assert function["name"] == tool.name and len(function["description"]) > 20
            assert list(function["parameters"]["properties"]) == list(tool.parameters)
            assert all(p["description"] for p in function["parameters"]["properties"].values())
        assert not seen & {tool.name for tool in domain.tools}
        seen |= {tool.name for tool in domain.tools}


def test_schema_types_follow_the_signature() -> None:
    (pay,) = (tool for tool in DOMAINS["payments"].tools if tool.name == "pay_invoice")
    properties = pay.schema["function"]["parameters"]["properties"]
    assert properties["amount"]["type"] == "integer" and properties["invoice"]["type"] == "string"


def test_an_undocumented_argument_is_refused() -> None:
    def look(state: object, thing: str) -> dict[str, Any]:
        """Look at a thing."""
        return {}

    with pytest.raises(TypeError, match="undocumented arguments"):
        _ = read(look).schema


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"invoice": "p1"}, "takes"),
        ({"invoice": "p1", "amount": "20"}, "amount must be int, got str"),
        ({"invoice": 1, "amount": 20}, "invoice must be str, got int"),
        ({"invoice": "p1", "amount": True}, "amount must be int, got bool"),
        ({"invoice": "p1", "amount": 20, "note": ""}, "takes"),
    ],
)
def test_arguments_are_checked_strictly(arguments: dict[str, Any], message: str) -> None:
    (tool,) = (tool for tool in DOMAINS["payments"].tools if tool.name == "pay_invoice")
    with pytest.raises(ArgumentError, match=message):
        tool.check(arguments)
    environment = Environment(next(c for c in CASES if c.domain == "payments"))
    assert environment.call("pay_invoice", arguments) == {"error": "invalid"}
    assert environment.counts["invalid_calls"] == 1 and not environment.effects


def test_another_domains_tool_is_invalid() -> None:
    case = next(c for c in CASES if c.domain == "payments")
    assert Environment(case).call("delete_file", {"file": "f1"}) == {"error": "invalid"}


def test_a_fork_goes_its_own_way() -> None:
    case = maker("files/look", "compact").build("0", "benign", twin_id="t", split="train", seed=0)
    first = Environment(case)
    second = first.fork()
    second.call(case.literal[0].name, case.literal[0].arguments)
    assert second.effects and not first.effects and first.counts["calls"] == 0
    assert first.state_hash() != second.state_hash() and first.state_hash() == Environment(case).state_hash()
