"""Judges of a study against its state graders, with a real server that plays a judge of known error rate."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pydantic import ValidationError

from chat_server import ChatServer
from noisy_judge import NoisyJudge
from persistence_pipeline.judging.calibrated import (
    CalibrationError,
    agreement_table,
    calibrate,
    console_lines,
    points_table,
)
from persistence_pipeline.judging.panel import NoJudgeError, choose_cases, judge_world
from persistence_pipeline.judging.settings import JudgingSettings
from persistence_pipeline.records import Trajectory
from persistence_pipeline.rollout.episode import Episode
from persistence_pipeline.rollout.scripted import ScriptedPolicy
from persistence_pipeline.schemas import ScoreTable
from persistence_pipeline.world.cases import Case
from persistence_pipeline.world.scoring import score
from persistence_pipeline.world.splits import WorldSettings, generate_cases

PLAYERS = {"source": ("clumsy", "careless"), "safety": ("careful", "refusing"), "helpfulness": ("careless",),
           "both": ("clumsy", "careful")}  # fmt: skip
"""Behaviours that play each ordering's part, case by case in turn."""


@pytest.fixture(scope="module")
def study_cases() -> list[Case]:
    groups = {"train": 1, "test_iid": 6, "test_combination": 16, "test_domain": 1}
    combinations = ["files/look", "files/identity", "payments/injection"]
    world = WorldSettings(
        held_out_domain="servers",
        held_out_combinations=combinations,
        twins_per_group=groups,
        phrasing="compact",
        conflict_share=0.5,
    )
    return generate_cases(world, 0)


def provenance(ordering: str) -> dict[str, Any]:
    beta = float("nan") if ordering == "source" else 0.1
    return {"cell": f"m_{ordering}", "source": "m", "ordering": ordering, "beta": beta}


@pytest.fixture(scope="module")
def played(study_cases: list[Case]) -> dict[str, list[Trajectory]]:
    found = {}
    for ordering, behaviours in PLAYERS.items():
        found[ordering] = []
        for index, case in enumerate(study_cases):
            episode = Episode(case, policy=f"m_{ordering}", seed=0)
            list(ScriptedPolicy(behaviours[(index // 2) % len(behaviours)]).play([episode]))
            found[ordering].append(episode.trajectory())
    return found


@pytest.fixture(scope="module")
def graded(study_cases: list[Case], played: dict[str, list[Trajectory]]) -> pd.DataFrame:
    return pd.concat([score(study_cases, found, provenance(name)) for name, found in played.items()])


def settings(server: ChatServer, journals: Path, **changes: Any) -> JudgingSettings:
    judge = {
        "server": {"base_url": server.base_url, "model": "tiny", "concurrency": 2},
        **changes.pop("judge", {}),
    }
    splits = {"splits": ["test_iid", "test_combination"], "calibrate_on": ["test_iid"]}
    fields = {"judges": {"noisy": judge}, "n_draws": 300, "journals": str(journals), **splits, **changes}
    return JudgingSettings(**fields)


@pytest.fixture(scope="module")
def calibrated(
    study_cases: list[Case],
    played: dict[str, list[Trajectory]],
    graded: pd.DataFrame,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Any]:
    """Everything that a run of the panel gives."""
    truth = graded.set_index("trajectory_id")[["safety", "helpfulness"]].to_dict("index")
    everything = [trajectory for found in played.values() for trajectory in found]
    with ChatServer(NoisyJudge(everything, truth, prose=0.03)) as server:
        chosen = settings(server, tmp_path_factory.mktemp("journals"), judge={"evidence": "effects"})
        tables = [judge_world(study_cases, found, chosen, provenance(name)) for name, found in played.items()]
        asked = len(server.requests)
        again = judge_world(study_cases, played["both"], chosen, provenance("both"))
        assert len(server.requests) == asked
    judgements, judged = (pd.concat(parts, ignore_index=True) for parts in zip(*tables, strict=True))
    document = calibrate(graded, judged, judgements, chosen, "test_combination")
    return {"document": document, "judgements": judgements, "judged": judged, "again": again, "settings": chosen}


def test_scores_of_the_judge_have_the_study_s_form(calibrated: dict[str, Any]) -> None:
    judged = calibrated["judged"]
    ScoreTable.validate(judged)
    assert set(judged["split"]) == {"test_iid", "test_combination"}
    assert {"hazard", "conflicting", "domain", "kind"} <= set(judged)
    assert calibrated["again"][1].equals(judged[judged["ordering"] == "both"].reset_index(drop=True))


def test_what_the_judge_left_out_is_counted(calibrated: dict[str, Any]) -> None:
    missing = calibrated["document"]["noisy"]["missing"]
    n_missing = int(calibrated["judgements"]["score"].isna().sum())
    assert 0 < n_missing == sum(row["n_missing"] for row in missing)
    assert sum(row["n"] for row in missing) == len(calibrated["judgements"])


def test_agreement_is_that_of_the_known_judge(calibrated: dict[str, Any]) -> None:
    """A judge that grades up by known shares: the kappa and bias that those shares imply."""
    for metric, described in calibrated["document"]["noisy"]["agreement"].items():
        assert 0.3 < described["kappa"]["estimate"] < 0.95, metric
        assert described["kappa"]["low"] < described["kappa"]["estimate"] < described["kappa"]["high"]
        assert len(described["confusion"]) == 4
    safety = calibrated["document"]["noisy"]["agreement"]["safety"]
    assert safety["values"][3]["estimate"] == pytest.approx(3, abs=0.4)


def test_the_corrected_frontier_covers_the_truth_where_the_judge_s_does_not(calibrated: dict[str, Any]) -> None:
    frontier = calibrated["document"]["noisy"]["frontier"]
    points = {basis: {p["ordering"]: p for p in found["points"]} for basis, found in frontier.items()}
    covered, gaps = {"judge": 0, "corrected": 0}, {"judge": 0.0, "corrected": 0.0}
    for ordering, metric in product(("safety", "helpfulness", "both"), ("safety", "helpfulness")):
        truth = points["state"][ordering][f"delta_{metric}"]["estimate"]
        for basis in covered:
            found = points[basis][ordering][f"delta_{metric}"]
            covered[basis] += found["low"] <= truth <= found["high"]
            gaps[basis] += (found["estimate"] - truth) ** 2
    assert covered["corrected"] == 6 and covered["judge"] <= 3, covered
    assert gaps["corrected"] < 0.7 * gaps["judge"], gaps


def test_tables_and_lines(calibrated: dict[str, Any]) -> None:
    document = calibrated["document"]
    table, points = agreement_table(document), points_table(document)
    assert set(table["set"]) == {"calibration", "headline"} and len(table) == 2 + 2 * len(PLAYERS)
    assert set(points["basis"]) == {"state", "judge", "corrected"} and len(points) == 3 * 3
    lines = console_lines(document)
    assert lines[0].startswith("noisy, safety: kappa 0.") and lines[-1].startswith(
        "noisy, frontier by corrected: R²"
    )


def test_a_judged_trajectory_without_a_grade_is_an_error(calibrated: dict[str, Any], graded: pd.DataFrame) -> None:
    with pytest.raises(CalibrationError, match="judge noisy: trajectories without a grade"):
        calibrate(
            graded.iloc[10:], calibrated["judged"], calibrated["judgements"], calibrated["settings"], "test_iid"
        )


def test_a_judge_without_any_verdict_is_an_error(calibrated: dict[str, Any], graded: pd.DataFrame) -> None:
    nothing = calibrated["judgements"].assign(score=float("nan"))
    with pytest.raises(CalibrationError, match="judge noisy: no trajectory has both"):
        calibrate(graded, calibrated["judged"], nothing, calibrated["settings"], "test_combination")


def test_fewer_cases_are_whole_twins_and_the_same_for_all(study_cases: list[Case], tmp_path: Path) -> None:
    with ChatServer(lambda _: "") as server:
        chosen = choose_cases(study_cases, settings(server, tmp_path, max_cases=10))
        assert chosen == choose_cases(study_cases, settings(server, tmp_path, max_cases=10))
    for split in ("test_iid", "test_combination"):
        own = [case for case in chosen if case.split == split]
        assert len(own) == 10 and len({case.twin_id for case in own}) == 5


def test_without_a_judge_there_is_nothing_to_do(study_cases: list[Case], tmp_path: Path) -> None:
    with ChatServer(lambda _: "") as server, pytest.raises(NoJudgeError, match=r"add one under judging\.judges"):
        judge_world(study_cases, [], settings(server, tmp_path, judges={}), provenance("source"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"calibrate_on": ["test_domain"]}, "not judged"),
        ({"calibrate_on": []}, "it is empty"),
    ],
)
def test_settings_that_make_no_sense(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with ChatServer(lambda _: "") as server, pytest.raises(ValidationError, match=message):
        settings(server, tmp_path, **changes)
