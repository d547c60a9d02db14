"""Every name and every value of the parameters: mistyped they are refused by name, else taken as they stand."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fuzzing import examples
from tests.parameters.sessions import ENVIRONMENTS, accepted, leaves, raw, within

from persistence_pipeline.parameters import Parameters
from persistence_pipeline.strict import SettingError, _names, dotted, parse

NAMED_BY_USERS = ("sources", "seeds", "policies", "stages")


def _mistyped(name: str) -> tuple[str, str]:
    return f"{name}{name[-1]}", f"{name[0]}{name[2:]}" if len(name) > 3 else f"{name}_"


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_the_parameters_of_every_environment_are_accepted(env: str) -> None:
    read = accepted(raw(env))
    assert accepted(read.model_dump(mode="json")) == read


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_every_mistyped_name_is_refused_and_the_right_one_suggested(env: str) -> None:
    tried, parameters = 0, raw(env)
    for table in NAMED_BY_USERS:  # all rows of a table are alike
        parameters[table] = dict(list(parameters[table].items())[-7:])
    for place in list(leaves(parameters)):
        *group, name = place
        if len(place) == 2 and place[0] in NAMED_BY_USERS:
            continue  # an entry of a table
        if place[0] == "stages" or {"factors", "settings"} & set(place):
            continue  # names of what is in another group: see test_combinations.py
        entries = within(parameters, tuple(group))
        whole = dict(entries)
        for wrong in _mistyped(name):
            entries[wrong] = entries.pop(name)
            with pytest.raises(SettingError) as caught:
                parse(Parameters, parameters)
            assert wrong in str(caught.value) and "\n" not in str(caught.value)
            if next(_names(Parameters, tuple(group)), None) is not None:
                assert caught.value.path == (*group, wrong)
                assert caught.value.message == f"no such name; did you mean {name}?"
            tried += 1
            entries.clear()
            entries.update(whole)
    assert tried > 250


@pytest.mark.parametrize("group", sorted(Parameters.model_fields))
def test_every_group_takes_no_name_beside_its_own(group: str) -> None:
    with pytest.raises(SettingError, match=rf"^{group}s: no such name; did you mean {group}\?$"):
        parse(Parameters, {**raw("smoke"), f"{group}s": {}})


@pytest.mark.parametrize(
    ("place", "meant"),
    [
        (("training", "learning_rate"), "training.both.learning_rate"),
        (("world", "sensitivity_draws"), "published.sensitivity_draws"),
        (("twins_per_group",), "world.twins_per_group"),
    ],
)
def test_a_name_at_the_wrong_level_is_sent_to_its_own(place: tuple[str, ...], meant: str) -> None:
    parameters = raw("smoke")
    within(parameters, place[:-1])[place[-1]] = 1
    with pytest.raises(SettingError, match=rf"^{dotted(place)}: no such name; did you mean {meant}\?$"):
        accepted(parameters)


WRONG: tuple[Any, ...] = (
    True,
    "text",
    float("nan"),
    float("inf"),
    [],
    {},
    {"a": 1},
    -1,
    1.5,
    None,
    [1],
    "1",
    2**32,
)
_mutations = st.sampled_from(["rename", "set", "lift", "delete", "delete", "nudge", "nudge", "nudge"])


def _mutated(parameters: dict[str, Any], kind: str, place: tuple[str, ...], value: Any) -> tuple[str, ...]:
    """Change one leaf; returns the place that the change can be seen at."""
    group, name = within(parameters, place[:-1]), place[-1]
    old = group[name]
    if kind == "delete":
        del group[name]
    elif kind == "rename":
        group[f"{name}x"] = group.pop(name)
        return (*place[:-1], f"{name}x")
    elif kind == "lift" and len(place) > 1:
        within(parameters, place[:-2])[name] = group.pop(name)
        return (*place[:-2], name)
    elif kind == "nudge" and isinstance(old, int | float) and not isinstance(old, bool):
        group[name] = old + 1 if isinstance(old, int) else old * 0.75
    else:
        group[name] = value
    return place


def _is_free_number(parameters: dict[str, Any], place: tuple[str, ...]) -> bool:
    value = within(parameters, place)
    return isinstance(value, int | float) and not isinstance(value, bool) and place[0] not in NAMED_BY_USERS


def test_a_changed_parameter_is_refused_by_name_or_taken_as_it_stands() -> None:
    outcomes: Counter[bool] = Counter()

    @examples
    @given(data=st.data())
    def change(data: st.DataObject) -> None:
        outcomes[_is_taken_as_it_stands(data)] += 1

    change()
    assert outcomes[True] > 0.2 * outcomes.total(), "too few changes are accepted to say much of them"


def _is_taken_as_it_stands(data: st.DataObject) -> bool:
    """Change a parameter: false where it is refused, by name."""
    parameters = raw("smoke")
    kind, value = data.draw(_mutations), data.draw(st.sampled_from(WRONG))
    places = [place for place in leaves(parameters) if kind != "nudge" or _is_free_number(parameters, place)]
    place = data.draw(st.sampled_from(sorted(places)))
    seen = _mutated(parameters, kind, place, value)
    try:
        read = accepted(parameters)
    except SettingError as refused:
        said = str(refused)
        assert "\n" not in said and len(said) < 600
        named = {*seen, *place, "policies", "training", "candidates", "world"} & set(
            said.replace(":", ".").split(".")
        )
        assert named or place[-1] in said, said
        return False
    dumped = read.model_dump(mode="json")
    for leaf in leaves(parameters):
        found, meant = within(dumped, leaf), within(parameters, leaf)
        if leaf == place[:-1]:  # a group that the deletion has left empty
            continue
        assert found == meant and isinstance(found, bool) == isinstance(meant, bool), dotted(leaf)
    if kind == "delete":
        assert within(dumped, place[:-1]).get(place[-1]) == within(
            parse(Parameters, parameters).model_dump(mode="json"), place[:-1]
        ).get(place[-1])
    return True
