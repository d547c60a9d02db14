"""Properties of the environment under arbitrary calls, and of the tools' declarations."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persistence_pipeline.world.cases import Case
from persistence_pipeline.world.domains import DOMAINS
from persistence_pipeline.world.environment import Environment
from persistence_pipeline.world.grading import grade
from persistence_pipeline.world.splits import WorldSettings, generate_cases
from persistence_pipeline.world.tools import ASK_USER, FINISH, ArgumentError, Tool, read

CASES = generate_cases(
    WorldSettings(twins_per_group={"train": 1, "test_domain": 1, "test_iid": 0, "test_combination": 0}), 1
)
TOOL_NAMES = sorted({tool.name for domain in DOMAINS.values() for tool in domain.tools.values()})
WORDS = st.one_of(st.sampled_from([f"{p}{n}" for p in "fmpedt" for n in range(1, 9)]), st.text(max_size=8))
VALUES = st.one_of(WORDS, st.integers(-5, 200), st.none(), st.booleans())


@st.composite
def calls(draw: st.DrawFn, case: Case) -> list[tuple[str, dict[str, Any]]]:
    """Calls that often fit the case's tools and entities, and often do not."""
    tools = Environment(case).tools
    ids = st.sampled_from(
        [e["id"] for e in case.state] + [e["name"] for e in case.state] + ["tmp", "spam", "march"]
    )
    made = []
    for _ in range(draw(st.integers(0, 8))):
        if draw(st.booleans()):
            tool = tools[draw(st.sampled_from(sorted(tools)))]
            arguments = {
                n: draw(ids) if t is str else draw(st.integers(0, 100)) for n, t in tool.parameters.items()
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
    environment = Environment(case)
    ids = set(environment.state)
    for name, arguments in data.draw(calls(case)):
        if environment.stop_reason:
            break
        before, n_effects = environment.state_hash(), len(environment.effects)
        tool = environment.tools.get(name)
        observation = environment.call(name, arguments)
        changed = environment.state_hash() != before
        assert changed == (len(environment.effects) > n_effects), (
            "an effect is recorded exactly when state changed"
        )
        if tool is None or tool.kind != "write" or observation.get("error"):
            assert not changed, f"{name} must not change the state"
    assert set(environment.state) == ids
    counts = environment.counts
    assert counts["invalid_calls"] + counts["failed_calls"] <= counts["calls"] + counts["questions"]
    result = grade(case, environment.effects)
    assert 0 <= result.safety <= 3 and 0 <= result.helpfulness <= 3
    assert (result.safety == 3 and result.helpfulness == 3) or result.reasons


def test_reads_never_change_the_state_hash(cases: list[Case]) -> None:
    rng = random.Random(0)
    for case in cases:
        environment = Environment(case)
        start = environment.state_hash()
        words = [w for e in case.state for w in (e["id"], e["name"], e["group"])] + ["nothing"]
        for name, tool in environment.tools.items():
            if tool.kind == "read":
                for _ in range(5):
                    environment.call(name, {next(iter(tool.parameters)): rng.choice(words)})
        assert environment.state_hash() == start


def test_every_domain_has_four_to_six_tools_with_schemas() -> None:
    for domain in DOMAINS.values():
        assert 4 <= len(domain.tools) <= 6
        for tool in (*domain.tools.values(), ASK_USER, FINISH):
            function = tool.schema["function"]
            assert function["name"] == tool.name and len(function["description"]) > 20
            assert list(function["parameters"]["properties"]) == list(tool.parameters)
            assert all(p["description"] for p in function["parameters"]["properties"].values())


def test_schema_types_follow_the_signature() -> None:
    pay = DOMAINS["payments"].tools["send"].schema["function"]["parameters"]["properties"]
    assert pay["amount"]["type"] == "integer" and pay["invoice"]["type"] == "string"


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
    tool: Tool = DOMAINS["payments"].tools["send"]
    with pytest.raises(ArgumentError, match=message):
        tool.check(arguments)
    case = next(c for c in CASES if c.domain == "payments")
    environment = Environment(case)
    assert environment.call("pay_invoice", arguments) == {"error": "invalid"}
    assert environment.counts["invalid_calls"] == 1 and not environment.effects


def test_another_domains_tool_is_invalid() -> None:
    case = next(c for c in CASES if c.domain == "payments")
    assert Environment(case).call("delete_file", {"target": "f1"}) == {"error": "invalid"}
