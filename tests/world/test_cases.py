"""Cases: twins, splits, shares, and that the wording gives nothing away."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import pytest
from pydantic import ValidationError
from world_settings import SETTINGS, default_world

from persistence_pipeline.world import splits
from persistence_pipeline.world.behaviours import core, play
from persistence_pipeline.world.cases import Case
from persistence_pipeline.world.checks import longest_episode
from persistence_pipeline.world.domains import DOMAINS
from persistence_pipeline.world.environment import Environment
from persistence_pipeline.world.kinds import KINDS
from persistence_pipeline.world.making import maker
from persistence_pipeline.world.phrasing import render_observation
from persistence_pipeline.world.splits import WorldSettings, all_groups, generate_cases, warm_start_cases
from persistence_pipeline.world.structures import structures


def _twins(cases: list[Case]) -> dict[str, list[Case]]:
    grouped = defaultdict(list)
    for case in cases:
        grouped[case.twin_id].append(case)
    return grouped


def test_twins_share_wording_and_split(cases: list[Case], natural_cases: list[Case]) -> None:
    for twins in (*_twins(cases).values(), *_twins(natural_cases).values()):
        hazard, benign = sorted(twins, key=lambda c: not c.hazard)
        assert hazard.hazard and not benign.hazard
        assert hazard.instruction == benign.instruction and hazard.wording == benign.wording
        assert hazard.split == benign.split
        assert hazard.asked == benign.asked and hazard.errands == benign.errands


def test_every_kind_is_in_at_least_two_domains_with_tools_of_their_own() -> None:
    for kind in KINDS:
        assert sum(kind in domain.kinds for domain in DOMAINS.values()) >= 2, kind
    assert len(all_groups()) == sum(len(domain.kinds) for domain in DOMAINS.values()) >= 28


@pytest.mark.parametrize("phrasing", ["compact", "natural"])
@pytest.mark.parametrize("world", [SETTINGS, default_world()], ids=["all", "default"])
def test_each_wording_is_in_at_least_three_kinds(world: WorldSettings, phrasing: str) -> None:
    more = {"phrasing": phrasing, "twins_per_group": {"train": 12, "test_combination": 12, "test_domain": 12}}
    kinds = defaultdict(set)
    for case in generate_cases(world.model_copy(update=more), 0):
        kinds[case.domain, case.wording].add(case.kind)
    assert all(len(found) >= 3 for found in kinds.values()), dict(kinds)


def test_there_are_at_least_forty_decision_structures() -> None:
    of_cases, of_pairs = zip(*map(structures, all_groups()), strict=True)
    assert len(set().union(*of_cases)) >= 40 and len(set().union(*of_pairs)) >= 40


def test_template_groups_of_training_and_held_out_tests_are_disjoint(cases: list[Case]) -> None:
    groups = defaultdict(set)
    for case in cases:
        groups[case.split].add(case.template_group)
    assert groups["train"] == groups["test_iid"]
    assert not groups["train"] & (groups["test_combination"] | groups["test_domain"])
    assert groups["test_combination"] == set(SETTINGS.held_out_combinations)


def test_no_instruction_of_a_group_is_in_two_splits_and_none_of_the_study_in_the_warm_start(
    cases: list[Case],
) -> None:
    where = defaultdict(set)
    for case in cases:
        where[case.template_group, case.instruction].add(case.split)
    assert all(len(found) == 1 for found in where.values())
    warm = {case.instruction for case in warm_start_cases(SETTINGS, 40, 0)}
    assert not warm & {case.instruction for case in cases}


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_conflict_share_is_exact(share: float) -> None:
    settings = SETTINGS.model_copy(update={"conflict_share": share})
    hazards = [c for c in generate_cases(settings, 0) if c.hazard]
    for split in SETTINGS.twins_per_group:
        flags = [c.conflicting for c in hazards if c.split == split]
        assert sum(flags) == int(share * len(flags))


def test_generation_depends_on_the_seed_alone() -> None:
    assert generate_cases(SETTINGS, 3) == generate_cases(SETTINGS, 3)
    assert generate_cases(SETTINGS, 3) != generate_cases(SETTINGS, 4)


def test_kinds_domains_and_horizon_choose_what_is_played() -> None:
    chosen = SETTINGS.model_dump() | {"held_out_combinations": (), "held_out_domain": "home"}
    settings = WorldSettings(**chosen | {"kinds": ("look", "order"), "domains": ("home", "files", "servers")})
    assert settings.all_groups() == ["files/look", "home/look", "home/order", "servers/look", "servers/order"]
    short = WorldSettings(**chosen | {"kinds": ("look",), "domains": ("files", "home"), "horizon": 5})
    for case in generate_cases(short, 0):
        assert splits.maker(case.template_group, "compact").group == case.template_group
        assert len(case.errands) == 1 or len(case.asked[0]) == 2, "short episodes have few errands"
    with pytest.raises(splits.NoMoreCasesError, match="files/look: a careful agent needs more"):
        generate_cases(short.model_copy(update={"horizon": 3}), 0)


def test_namesakes_stand_in_any_order(cases: list[Case]) -> None:
    places = {
        [fields["id"] for fields in case.entities].index(case.goals[0].any_of[0][0].entity)
        for case in cases
        if case.kind == "identity" and case.hazard
    }
    assert len(places) > 1


def test_natural_wordings_vary_and_fill_every_slot(natural_cases: list[Case]) -> None:
    by_domain = defaultdict(set)
    for case in natural_cases:
        assert "{" not in case.instruction
        by_domain[case.domain].add(case.wording)
    assert all(len(wordings) > 1 for wordings in by_domain.values())


def test_natural_observations_explain_their_words() -> None:
    case = maker("files/look", "natural").build("0", "mendable", twin_id="t", split="train", seed=0)
    seen = Environment(case).call("file_info", {"file": case.guards[0].entity})
    assert '"means": "This is the only copy."' in render_observation(seen, case)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"held_out_domain": "nowhere"}, "unknown domain 'nowhere'"),
        ({"kinds": ("look", "nothing")}, "unknown kind 'nothing'"),
        ({"domains": ("files", "files")}, "files is named twice"),
        ({"kinds": ("order",), "domains": ("files", "home")}, "domains: files has none of the kinds"),
        ({"kinds": ("look", "arithmetic"), "domains": ("files",)}, "kinds: no domain of .* has arithmetic"),
        ({"held_out_combinations": ("files/nothing",)}, "template group 'files/nothing'"),
        ({"horizon": 2}, "greater than or equal to 3"),
        ({"twins_per_group": {"train": 10**6}}, "1000000 twin pairs of files/"),
    ],
)
def test_settings_that_cannot_be_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        WorldSettings.model_validate({"twins_per_group": {"train": 1}, **change})


def test_asking_for_more_cases_than_there_are_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    made = maker("files/look", "compact")
    monkeypatch.setattr(splits, "MOST_DRAWS", 50)
    keys = splits._distinct_keys(made, "x", splits.LONGEST, study=True)
    with pytest.raises(ValueError, match="files/look: no more distinct instructions"):
        list(keys)


def test_the_longest_episode_of_a_group_is_known() -> None:
    assert longest_episode("files/look") < longest_episode("payments/cumulative") <= 128


def test_in_the_default_world_what_was_seen_tells_what_a_careful_agent_does_next() -> None:
    """Otherwise a demonstrator knows the kind, and its pupil has to guess."""
    more = {"train": 24, "test_iid": 0, "test_combination": 24, "test_domain": 24}
    ways = defaultdict(set)
    for case in generate_cases(default_world().model_copy(update={"twins_per_group": more}), 0):
        for seen, following in _steps(case):
            ways[case.domain, seen].add(following)
    several = {seen: following for seen, following in ways.items() if len(following) > 1}
    assert len(ways) > 100 and not several, next(iter(several.items()))


def _steps(case: Case) -> Iterator[tuple[tuple[str, ...], str]]:
    """Everything that was asked, called and answered so far, and the next call; ids, names and numbers renamed."""
    played = play(core(case), Environment(case))
    names = {reference: f"asked{i}" for i, reference in enumerate(case.asked)}
    thing = DOMAINS[case.domain].thing
    seen = ["named" if case.asked[0] in thing.names else "by id"]

    def renamed(words: str) -> str:
        return " ".join(
            names.setdefault(word, f"x{len(names)}")
            if word in thing.names or any(c.isdigit() for c in word)
            else word
            for word in words.split()
        )

    for made, observation in zip(played.calls, played.observations, strict=True):
        following = renamed(" ".join([made.name, *map(str, made.arguments.values())]))
        yield tuple(seen), following
        seen += [following, renamed(render_observation(observation, case))]
    yield tuple(seen), "errands"
