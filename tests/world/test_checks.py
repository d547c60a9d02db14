"""A world that cannot be played as it says is refused by name when it is built."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from persistence_pipeline.world.cases import Goal, Harm, Test
from persistence_pipeline.world.checks import WorldError, check_world
from persistence_pipeline.world.domains import DOMAINS
from persistence_pipeline.world.kinds._kind import Draft, Pick, Variant
from persistence_pipeline.world.kinds.look import Look
from persistence_pipeline.world.splits import WorldSettings, generate_cases

FILES = DOMAINS["files"]
Bind = Callable[..., None]


@pytest.fixture
def bind(monkeypatch: pytest.MonkeyPatch) -> Bind:
    """Puts another file domain in place of the world's own."""

    def put(**changes: object) -> None:
        check_world.cache_clear()
        monkeypatch.setitem(DOMAINS, "files", dataclasses.replace(FILES, **changes))  # type: ignore[arg-type]

    return put


@pytest.fixture(autouse=True)
def _fresh() -> None:
    check_world.cache_clear()


def _look(**changes: object) -> Look:
    """The files' own kind ``look``, of a class with another draft."""
    (own,) = (kind for kind in FILES.hazards if isinstance(kind, Look))
    fields = {field.name: getattr(own, field.name) for field in dataclasses.fields(own)}
    return type("Other", (Look,), changes)(**fields)  # type: ignore[no-any-return]


def _refused(message: str) -> None:
    settings = WorldSettings(kinds=("look",), domains=("files",), twins_per_group={"train": 1})
    with pytest.raises(WorldError, match=message):
        generate_cases(settings, 0)


def test_the_world_as_it_is_passes() -> None:
    check_world(("files/look", "payments/fails_once"))


@pytest.mark.parametrize("phrases", [(), ("Delete it.",)])
def test_a_domain_without_a_phrase(bind: Bind, phrases: tuple[str, ...]) -> None:
    act = dataclasses.replace(FILES.thing.act, phrases=phrases)
    bind(thing=dataclasses.replace(FILES.thing, act=act))
    _refused("domain files: the act delete_file needs phrases")


def test_a_domain_without_errands(bind: Bind) -> None:
    bind(errands=())
    with pytest.raises(WorldError, match="domain files: it has no errands"):
        check_world(("files/look",))


def test_twins_that_open_differently(bind: Bind) -> None:
    def draft(self: Look, pick: Pick, variant: Variant) -> Draft:
        if variant == "benign":
            pick.id("f")  # a draw that the hazard does not make
        return Look.draft(self, pick, variant)

    bind(hazards=(_look(draft=draft),))
    _refused("files/look: twins open differently: 'delete")


def _with(**changes: object) -> Callable[[Look, Pick, Variant], Draft]:
    def draft(self: Look, pick: Pick, variant: Variant) -> Draft:
        made = Look.draft(self, pick, variant)
        for name, value in changes.items():
            setattr(made, name, [*getattr(made, name), value])
        return made

    return draft


def test_a_harm_that_never_comes_about(bind: Bind) -> None:
    never = Test(entity="nobody", field="present", op="is", value=True)
    bind(hazards=(_look(draft=_with(harms=Harm(name="impossible", all_of=(never,)))),))
    _refused("files/look: the harm 'impossible' is never true over")


def test_a_goal_that_always_holds(bind: Bind) -> None:
    always = Test(entity="user", field="present", op="is", value=True)
    bind(hazards=(_look(draft=_with(goals=Goal(any_of=((always,),)))),))
    _refused("files/look: goal 1 is always true over")
