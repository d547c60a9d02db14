"""Cases: twins, splits, shares, and that the wording gives nothing away."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest
from world_settings import SETTINGS

from persistence_pipeline.world.attainable import reachable_outcomes
from persistence_pipeline.world.cases import Case, factory
from persistence_pipeline.world.phrasing import render_observation
from persistence_pipeline.world.splits import WorldSettings, all_groups, generate_cases, warm_start_cases


def _twins(cases: list[Case]) -> dict[str, list[Case]]:
    grouped = defaultdict(list)
    for case in cases:
        grouped[case.twin_id].append(case)
    return grouped


def test_twins_share_wording_and_split(cases: list[Case], natural_cases: list[Case]) -> None:
    for twins in (*_twins(cases).values(), *_twins(natural_cases).values()):
        hazard, benign = sorted(twins, key=lambda c: not c.hazard)
        assert hazard.hazard and not benign.hazard
        assert hazard.instruction == benign.instruction
        assert hazard.split == benign.split
        assert hazard.request == benign.request


def test_a_twins_difference_shows_in_its_check(cases: list[Case]) -> None:
    from persistence_pipeline.world.environment import Environment

    for twins in _twins(cases).values():
        seen = []
        for case in twins:
            check = case.guard.checks[0]
            seen.append(render_observation(Environment(case).call(check.name, check.arguments), case))
        assert seen[0] != seen[1], twins[0].twin_id


def test_template_groups_of_training_and_held_out_tests_are_disjoint(cases: list[Case]) -> None:
    groups = defaultdict(set)
    for case in cases:
        groups[case.split].add(case.template_group)
    assert groups["train"] == groups["test_iid"]
    assert not groups["train"] & (groups["test_combination"] | groups["test_domain"])
    assert groups["test_combination"] == set(SETTINGS.held_out_combinations)
    assert len(all_groups()) == 42


def test_no_instruction_of_a_group_is_in_two_splits_or_in_the_warm_start(cases: list[Case]) -> None:
    where = defaultdict(set)
    for case in cases:
        where[case.template_group, case.instruction, str(case.state)].add(case.split)
    assert all(len(splits) == 1 for splits in where.values())
    warm = {(c.template_group, c.instruction, str(c.state)) for c in warm_start_cases(SETTINGS, 40, 0)}
    assert not warm & set(where)


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


def test_reconcilable_cases_can_be_solved_and_conflicting_ones_cannot(cases: list[Case]) -> None:
    for case in cases:
        outcomes = set(reachable_outcomes(case))
        assert ((3, 3) in outcomes) != case.conflicting
        assert max(h for _, h in outcomes) == 3
        assert (3, 0) in outcomes


@pytest.mark.parametrize("phrasing", ["compact", "natural"])
def test_a_bag_of_words_cannot_tell_hazard_from_benign(phrasing: str) -> None:
    """Ridge regression on word counts, two-fold over twin pairs: AUC at most 0.55."""
    twins = {"train": 8, "test_iid": 0, "test_combination": 0, "test_domain": 8}
    made = generate_cases(WorldSettings(phrasing=phrasing, twins_per_group=twins), 0)  # type: ignore[arg-type]
    words = sorted({word for case in made for word in case.instruction.split()})
    column = {word: i for i, word in enumerate(words)}
    x = np.zeros((len(made), len(words)))
    for row, case in enumerate(made):
        for word, count in Counter(case.instruction.split()).items():
            x[row, column[word]] = count
    y = np.array([case.hazard for case in made], float)
    fold = np.array([int(case.twin_id[-4:]) % 2 for case in made])
    scores = np.zeros(len(made))
    for held in (0, 1):
        train = fold != held
        a = x[train]
        weights = np.linalg.solve(a.T @ a + np.eye(len(words)), a.T @ (y[train] - 0.5))
        scores[fold == held] = x[fold == held] @ weights
    assert _auc(scores, y) <= 0.55
    leaked = x.copy()
    leaked[:, 0] += y
    weights = np.linalg.solve(leaked.T @ leaked + np.eye(len(words)), leaked.T @ (y - 0.5))
    assert _auc(leaked @ weights, y) > 0.9, "the probe itself must be able to see a leak"


def _auc(scores: np.ndarray, y: np.ndarray) -> float:
    positive, negative = scores[y == 1], scores[y == 0]
    wins = (positive[:, None] > negative[None, :]).mean() + 0.5 * (positive[:, None] == negative[None, :]).mean()
    return float(wins)


def test_natural_wordings_vary_and_fill_every_slot(natural_cases: list[Case]) -> None:
    by_group = defaultdict(set)
    for case in natural_cases:
        assert "{" not in case.instruction
        by_group[case.template_group].add(" ".join(w for w in case.instruction.split() if w.isalpha()))
    assert all(len(wordings) > 1 for wordings in by_group.values())


def test_natural_observations_explain_conditions(natural_cases: list[Case]) -> None:
    case = next(c for c in natural_cases if c.family == "irreversible_act" and c.hazard and not c.conflicting)
    text = render_observation({"condition": "sole"}, case)
    assert '"note"' in text and "sole" in text


def test_unknown_groups_and_domains_are_refused() -> None:
    with pytest.raises(ValueError, match="expected <domain>/<family>"):
        factory("files/nothing", "compact")
    with pytest.raises(ValueError, match="unknown domain"):
        WorldSettings(held_out_domain="nowhere", twins_per_group={"train": 1})
    with pytest.raises(ValueError, match="template group"):
        WorldSettings(held_out_combinations=("mail/nothing",), twins_per_group={"train": 1})


def test_asking_for_more_cases_than_there_are_slots_is_refused() -> None:
    from persistence_pipeline.world import splits

    make = factory("files/consent", "compact")
    slots = splits._distinct_slots(make, "x", study=True)
    fixed = next(slots)

    class Stuck:
        group = make.group

        def slots(self, rng: object) -> object:
            return fixed

    stuck = splits._distinct_slots(Stuck(), "x", study=True)  # type: ignore[arg-type]
    next(stuck)
    with pytest.raises(ValueError, match="no more distinct slots"):
        next(stuck)
