"""What follows from an ordering, for sequences of stages of any length."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persistence_pipeline import orderings
from persistence_pipeline.records import OBJECTIVES

SEQUENCES = st.lists(st.sampled_from(OBJECTIVES), min_size=1, max_size=6)


@given(SEQUENCES)
def test_what_follows_from_a_sequence_of_stages(objectives: list[str]) -> None:
    ordering = orderings.sequence(*objectives)
    assert orderings.stages(orderings.check(ordering)) == tuple(objectives)
    assert orderings.objective(ordering) == objectives[-1]
    assert orderings.stages(orderings.parent(ordering)) == tuple(objectives[:-1])
    assert orderings.slug(ordering).isidentifier()
    assert orderings.label(ordering).replace(" ", "") == ordering


@given(st.sets(SEQUENCES.map(lambda objectives: orderings.sequence(*objectives)), max_size=12))
def test_the_source_comes_first_and_every_parent_before_its_children(chosen: set[str]) -> None:
    ordered = orderings.in_order([*chosen, orderings.SOURCE, *chosen])
    assert sorted(ordered) == sorted({*chosen, orderings.SOURCE}) and ordered[0] == orderings.SOURCE
    for ordering in ordered[1:]:
        assert orderings.place(orderings.parent(ordering)) < orderings.place(ordering)


def test_orderings_of_one_and_of_two_stages_look_different() -> None:
    names = [*OBJECTIVES, *(orderings.sequence(a, b) for a in OBJECTIVES for b in OBJECTIVES)]
    looks = {(orderings.colour_of(name), orderings.symbol_of(name)) for name in [orderings.SOURCE, *names]}
    assert len(looks) == len(names) + 1


@given(SEQUENCES)
def test_the_page_can_draw_every_symbol(objectives: list[str]) -> None:
    script = (files("persistence_pipeline.report") / "templates/scripts/elements.js").read_text("utf-8")
    shapes = re.search(r"const SHAPES = \{(.+?)\n\};", script, re.DOTALL)
    assert shapes is not None
    drawn = re.findall(r'^  "?([a-z-]+)"?:', shapes[1], re.MULTILINE)
    assert orderings.symbol_of(orderings.sequence(*objectives)) in drawn
    assert orderings.SOURCE_SYMBOL in drawn


@pytest.mark.parametrize("ordering", ["sideways", "safety>", "", ">safety", "safety > both", "source>safety"])
def test_what_is_no_ordering_is_refused_by_the_stage_that_is_none(ordering: str) -> None:
    with pytest.raises(ValueError, match="is no stage"):
        orderings.check(ordering)


def test_the_source_is_no_ordering_of_a_cell() -> None:
    with pytest.raises(ValueError, match="trained on nothing"):
        orderings.check("source")
