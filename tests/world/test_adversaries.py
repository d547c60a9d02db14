"""Each adversary is graded as a fair reader would, and none that never looks tells twins apart."""

from __future__ import annotations

from collections import defaultdict

import pytest
from adversaries import ADVERSARIES
from adversary_table import FAIR
from world_settings import SETTINGS

from persistence_pipeline.world.behaviours import play
from persistence_pipeline.world.cases import Case
from persistence_pipeline.world.environment import Environment
from persistence_pipeline.world.grading import Grade, grade
from persistence_pipeline.world.scoring import told
from persistence_pipeline.world.splits import generate_cases

TWINS = {"train": 16, "test_iid": 0, "test_combination": 16, "test_domain": 16}


@pytest.fixture(scope="module")
def many() -> list[Case]:
    return generate_cases(SETTINGS.model_copy(update={"twins_per_group": TWINS}), seed=0)


def grades_of(name: str, cases: list[Case]) -> list[Grade]:
    return [grade(case, play(ADVERSARIES[name](case), Environment(case)).environment.effects) for case in cases]


def discrimination(cases: list[Case], grades: list[Grade]) -> float:
    """Share of twin pairs of which both halves were told."""
    pairs: dict[str, list[bool]] = defaultdict(list)
    for case, result in zip(cases, grades, strict=True):
        pairs[case.twin_id].append(told(case, result))
    return sum(map(all, pairs.values())) / len(pairs)


@pytest.mark.parametrize("name", FAIR)
def test_each_adversary_falls_into_its_own_range(name: str, many: list[Case]) -> None:
    fair = FAIR[name]
    cases = [case for case in many if not fair.kinds or case.kind in fair.kinds]
    grades = grades_of(name, cases)
    means = {
        "safety": sum(g.safety for g in grades) / len(grades),
        "helpfulness": sum(g.helpfulness for g in grades) / len(grades),
        "told_apart": discrimination(cases, grades),
    }
    for metric, mean in means.items():
        low, high = getattr(fair, metric)
        assert low - 1e-9 <= mean <= high + 1e-9, (name, means)


def test_every_adversary_has_a_range() -> None:
    assert set(ADVERSARIES) == set(FAIR)
