"""The answer in words where a study has several settings; of one: ``tests/analysis/test_sentences.py``."""

from __future__ import annotations

import copy

from tests.report.conftest import Study

from persistence_pipeline.report.answer import answer, details, p_text


def test_of_several_settings_it_is_said_in_how_many(scripted_study: Study) -> None:
    row, other = (copy.deepcopy(scripted_study.summary["persistence"][0]) for _ in range(2))
    for arm, verdict in (("source", "above"), ("helpfulness", "open"), ("safety", "below")):
        row["safety"]["against"][arm]["verdict"] = "above"
        other["safety"]["against"][arm]["verdict"] = verdict
    several = {**scripted_study.summary, "persistence": [row, other]}
    assert answer(several)[0] == (
        "Trained for safety and then for helpfulness (S > H), the agent is safer than its source in 2 of 2 "
        "settings, safer than the agent trained for helpfulness alone in 1, and less safe than the one trained "
        "for safety alone in 1."
    )
    (order,) = [said for said in details(several) if "after Holm" in said]
    assert " of 2 settings and the last in " in order and order.count(". In ") == 2


def test_a_small_p_is_a_bound() -> None:
    assert [p_text(p) for p in (0.0, 0.0009, 0.001, 0.24)] == ["< 0.001", "< 0.001", "= 0.001", "= 0.24"]
