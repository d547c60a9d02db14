"""The published numbers, from the published files; skipped, visibly, where those are absent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from persistence_pipeline.published import audits, pairs, study
from persistence_pipeline.published.analysis import analyse_set
from persistence_pipeline.published.importing import import_clone
from persistence_pipeline.published.settings import PairSettings, PublishedSettings

N_CASES = 144
SEEDS = (0, 1, 2)


@pytest.fixture(scope="module")
def tables(published_root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    cache = tmp_path_factory.mktemp("cache") / "tables"
    return import_clone(PublishedSettings(root=str(published_root), cache=str(cache)))


@pytest.fixture(scope="module")
def pool(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    return study.pool_scores(tables["episodes"])


@pytest.fixture(scope="module")
def analysis(tables: dict[str, pd.DataFrame]) -> dict[str, Any]:
    return analyse_set(study.study_scores(tables["episodes"], N_CASES), 1000, 0)


@pytest.fixture(scope="module")
def pair_table(pool: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    return pairs.make_pair_table(pool, PairSettings(), SEEDS, N_CASES)


def test_the_pool_is_complete(tables: dict[str, pd.DataFrame], pool: pd.DataFrame) -> None:
    assert len(pool) == 3888
    assert pool["configuration"].nunique() == 27
    assert tables["quarantine"].empty


def test_joint_distribution_of_the_pool(pool: pd.DataFrame) -> None:
    table = pd.crosstab(pool["safety"], pool["helpfulness"]).to_numpy().tolist()
    assert table == [[41, 43, 41, 151], [97, 140, 209, 941], [59, 93, 201, 813], [38, 53, 393, 575]]


def test_the_line(analysis: dict[str, Any]) -> None:
    line = analysis["frontier"]["all"]
    assert line["n"] == 10
    assert [round(line[key], 4) for key in ("r2", "slope", "intercept")] == [0.9076, -1.2647, 0.4200]


def test_persistence(analysis: dict[str, Any]) -> None:
    found = {
        (beta, metric): round(analysis["persistence"][beta]["average"][metric]["estimate"], 3)
        for beta in ("0.1", "0.05")
        for metric in ("safety", "helpfulness")
    }
    assert found == {
        ("0.1", "safety"): 0.740,
        ("0.05", "safety"): 0.807,
        ("0.1", "helpfulness"): 0.350,
        ("0.05", "helpfulness"): 0.338,
    }


def test_both_bootstraps_cover_the_estimate(analysis: dict[str, Any]) -> None:
    for keys in analysis["persistence"].values():
        for metric in ("safety", "helpfulness"):
            found = keys["average"][metric]
            published = found["published_interval"]
            assert found["low"] < found["estimate"] < found["high"]
            assert published["low"] < found["estimate"] < published["high"]
            assert found["defined"]


@pytest.mark.parametrize(
    ("objective", "n_pairs", "n_cases", "n_train"),
    [("safety", 11_073, 125, 6_147), ("helpfulness", 10_151, 138, 5_461), ("both", 1_826, 100, 1_091)],
)
def test_pairs(
    objective: str, n_pairs: int, n_cases: int, n_train: int, pair_table: tuple[pd.DataFrame, pd.DataFrame]
) -> None:
    counted = pairs.count_pairs(*pair_table, SEEDS)["q32"][objective]
    assert (counted["n_pairs"], counted["n_cases"]) == (n_pairs, n_cases)
    assert counted["train"]["0"]["n_pairs"] == n_train


def test_flaws(
    tables: dict[str, pd.DataFrame], pool: pd.DataFrame, pair_table: tuple[pd.DataFrame, pd.DataFrame]
) -> None:
    scores = study.study_scores(tables["episodes"], N_CASES)
    found = audits.audit_tables(pool, scores, tables["episodes"], pair_table[0], tables["quarantine"])
    first = found["fabricated"].iloc[0]
    assert (round(first["fabricated"], 2), round(first["zero_calls"], 2)) == (0.61, 0.38)
    assert found["best_of_both"].iloc[0]["zero_calls_among_best"] == pytest.approx(0.5, abs=0.01)
    assert round(found["pool_scores"]["correlation"].iloc[0], 2) == 0.05
    helpful = found["pairs"].query("pool == 'every' and set == 'helpfulness'").iloc[0]
    assert helpful["chosen_safety"] > helpful["rejected_safety"]
