"""The published numbers, from the published files; skipped, visibly, where those are absent."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from persistence_pipeline.published import audits, pairs, sensitivity, study
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
    return analyse_set(study.study_scores(tables["episodes"], N_CASES), 10_000, 0)


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


@pytest.fixture(scope="module")
def scores(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    return study.study_scores(tables["episodes"], N_CASES)


@pytest.fixture(scope="module")
def audited(
    tables: dict[str, pd.DataFrame],
    pool: pd.DataFrame,
    scores: pd.DataFrame,
    pair_table: tuple[pd.DataFrame, pd.DataFrame],
) -> dict[str, pd.DataFrame]:
    return audits.audit_tables(pool, scores, tables["episodes"], pair_table[0], tables["quarantine"])


def test_flaw_1_fabricated_observations(audited: dict[str, pd.DataFrame]) -> None:
    pool, *_, test = audited["fabricated"].to_dict("records")
    assert (round(pool["fabricated"], 2), round(pool["zero_calls"], 2)) == (0.61, 0.38)
    best = audited["best_of_both"].iloc[0]
    assert (best["n_best"], round(best["zero_calls_among_best"], 2)) == (575, 0.50)
    # The narrow definition hides what training for helpfulness does: the word comes in bold then.
    helped = audited["fabricated"].query("set == 'match' and ordering == 'helpfulness'").iloc[0]
    assert (
        helped["fabricated"]
        < test["fabricated"]
        < 0.62
        < 0.78
        < test["fabricated_wide"]
        < 0.95
        < helped["fabricated_wide"]
    )


def test_flaw_2_observations_in_the_loss(audited: dict[str, pd.DataFrame]) -> None:
    shares = (
        audited["observations_in_loss"].query("pool == 'every'").set_index("objective")["mean_observation_share"]
    )
    assert shares.round(2).to_dict() == {"both": 0.10, "helpfulness": 0.12, "safety": 0.12}


def test_flaw_3_the_helpfulness_pairs_teach_safety(audited: dict[str, pd.DataFrame]) -> None:
    assert round(audited["pool_scores"]["correlation"].iloc[0], 2) == 0.05
    helpful = audited["pairs"].query("pool == 'every' and set == 'helpfulness'").iloc[0]
    assert helpful["other_metric_gain"] == pytest.approx(0.319, abs=0.0005)
    clean = audited["pairs"].query("pool == 'without_fabricated'").set_index("set")["n"]
    assert clean[["pool", "safety", "helpfulness", "both"]].tolist() == [1487, 1891, 1248, 233]


def test_flaw_4_token_limit_stops(audited: dict[str, pd.DataFrame]) -> None:
    row = audited["stops"].iloc[0]
    assert (row["n"], round(row["token_limit"], 3)) == (4320, 0.052)
    assert row["safety_at_limit"] > row["safety_otherwise"]
    assert row["helpfulness_at_limit"] < row["helpfulness_otherwise"]


def test_flaw_6_single_runs(analysis: dict[str, Any]) -> None:
    single = analysis["single_runs"]
    assert (single["n"], round(single["r2"], 3)) == (60, 0.420)


def test_the_line_hangs_on_rows_without_a_call(scores: pd.DataFrame) -> None:
    table = sensitivity.sensitivity_table(scores, 0, 0).set_index("without")
    assert round(table.loc["nothing", "r2"], 4) == 0.9076
    assert table.loc["no executed call", "r2"] < 0.01


@pytest.fixture(scope="module")
def document() -> str:
    """The pages about the published study, their signs as they are computed."""
    pages = sorted((Path(__file__).parents[2] / "docs").glob("published-*.md"))
    text = "\n".join(page.read_text("utf-8") for page in pages)
    return re.sub(r"\s+", " ", text.replace("−", "-").replace("+", "").replace("*", "").replace(",", ""))


def stated(interval: dict[str, Any], digits: int) -> str:
    """An interval as the page states it."""
    return f"{interval['estimate']:.{digits}f} [{interval['low']:.{digits}f} {interval['high']:.{digits}f}]"


def test_the_page_states_these_intervals(document: str, analysis: dict[str, Any]) -> None:
    line = analysis["frontier"]["all"]
    for key in ("r2", "slope", "intercept"):
        bounds = line[f"{key}_interval"]
        assert f"{line[key]:.4f} | {bounds['low']:.3f} to {bounds['high']:.3f}" in document, key
    averages = {row["beta"]: row for row in analysis["rivals"] if row["of"] == "average"}
    assert set(averages) == {"0.1", "0.05"}
    for beta, row in averages.items():
        for metric in ("safety", "helpfulness"):
            found = row[metric]
            cells = [stated(found[key], 3) for key in ("persistence", "added", "difference")]
            assert f"{metric} beta {beta} | {' | '.join(cells)} |" in document
            measured = found["persistence"]
            bounds = f"{measured['estimate']:.3f} | {measured['low']:.3f} to {measured['high']:.3f}"
            assert bounds in document
        assert stated(row["order"]["safety"], 2) in document
        assert stated(row["safety"]["side_effect"], 2) in document


def test_the_page_states_these_shares(document: str, audited: dict[str, pd.DataFrame]) -> None:
    rows = audited["fabricated"].set_index(["set", "ordering"])
    for key, words in {
        ("pool", "source"): "pool of source trajectories",
        ("match", "source"): "Phi-4 untrained test cases",
        ("match", "safety"): "trained for safety",
        ("match", "helpfulness"): "trained for helpfulness",
        ("match", "all"): "all test rows",
    }.items():
        cells = " | ".join(f"{rows.loc[key, c]:.1%}" for c in ("fabricated", "fabricated_wide", "zero_calls"))
        assert f"| {words} | {cells} |" in document
    for kind, words in (
        ("fabricated only", "only fabricate score"),
        ("executed calls only", "only executed calls"),
    ):
        row = audited["kinds"].query(f"set == 'match' and ordering == 'all' and kind == '{kind}'").iloc[0]
        assert f"{words} {row['safety']:.2f}" in document
        assert f"{row['helpfulness']:.2f}" in document


def test_the_page_states_this_sensitivity(document: str, scores: pd.DataFrame) -> None:
    table = sensitivity.sensitivity_table(scores, 2_000, 0).set_index("without")
    for label, words in {
        "nothing": "nothing | –",
        "token-limit stops": "token-limit stops | 5%",
        "fabricated observations": "fabricated observations | 62%",
        "fabricated observations, Markdown around them or not": "fabricated observations Markdown or not | 79%",
        "no executed call": "no executed call | 67%",
        "3 and 3 without an executed call": "3 and 3 without an executed call | 13%",
    }.items():
        row = table.loc[label]
        slope = stated({"estimate": row["slope"], "low": row["slope_low"], "high": row["slope_high"]}, 3)
        undefined = f"{row['n_undefined']} of 2000" if row["n_undefined"] else "0"
        assert f"| {words} | {row['r2']:.3f} | {slope} | {undefined} |" in document
