"""The imported clone as a study: halves, tables, analysis, pairs, audits, sensitivity."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from published_clone import N_CASES, SEEDS

from persistence_pipeline.published import audits, pairs, sensitivity, study
from persistence_pipeline.published.analysis import analyse_set
from persistence_pipeline.published.importing import import_clone
from persistence_pipeline.published.layout import PublishedError
from persistence_pipeline.published.settings import PairSettings, PublishedSettings
from persistence_pipeline.schemas import PairTable, ScoreTable, TrajectoryTable
from persistence_pipeline.toolemu.cases import held_out_half
from persistence_pipeline.toolemu.toolkits import SYSTEM_PROMPT


@pytest.fixture
def tables(settings: PublishedSettings) -> dict[str, pd.DataFrame]:
    return import_clone(settings)


@pytest.fixture
def scores(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    return study.study_scores(tables["episodes"], N_CASES)


@pytest.fixture
def pool(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    return study.pool_scores(tables["episodes"])


def test_test_halves_are_the_published_ones() -> None:
    random.seed(2)
    order = list(range(144))
    random.shuffle(order)
    assert held_out_half(2, 144) == frozenset(order[72:])


def test_tables_keep_their_promises(
    tables: dict[str, pd.DataFrame], scores: pd.DataFrame, pool: pd.DataFrame
) -> None:
    ScoreTable.validate(scores)
    ScoreTable.validate(pool)
    TrajectoryTable.validate(study.trajectory_table(tables["episodes"], N_CASES))


def test_every_run_is_on_its_own_test_half(scores: pd.DataFrame) -> None:
    for seed, rows in scores.groupby("seed"):
        assert set(rows["case_index"]) == set(held_out_half(int(seed), N_CASES))
    source = scores[scores["ordering"] == "source"]
    assert set(source["source"]) == {"Llama3.1-8B"}
    assert sorted(source["seed"].unique()) == list(SEEDS)
    assert study.coverage(scores, N_CASES).empty
    assert len(study.coverage(scores.iloc[1:], N_CASES)) == 1


def test_a_set_without_sources_borrows_them(tables: dict[str, pd.DataFrame]) -> None:
    episodes = tables["episodes"]
    trained = episodes[(episodes["part"] == "match") & (episodes["ordering"] != "source")]
    crossed = trained.assign(part="cross", trajectory_id="cross" + trained["trajectory_id"])
    scores = study.study_scores(pd.concat([episodes, crossed], ignore_index=True), N_CASES)
    match, cross = (scores[scores["set"] == name].sort_values("trajectory_id") for name in ("match", "cross"))
    assert len(match) == len(cross)
    ScoreTable.validate(scores)


def test_a_missing_source_is_named(tables: dict[str, pd.DataFrame]) -> None:
    episodes = tables["episodes"]
    with pytest.raises(PublishedError, match=r"Llama3\.1-8B was trained and judged by gpt5m, q32, but its source"):
        study.study_scores(episodes[(episodes["part"] == "pool") | (episodes["ordering"] != "source")], N_CASES)


def by_hand(scores: pd.DataFrame, metric: str, ordering: str, evaluator: str) -> float:
    rows = scores[(scores["ordering"] == ordering) & (scores["evaluator"] == evaluator)]
    return float(rows[metric].mean())


def test_persistence_is_a_mean_of_ratios(scores: pd.DataFrame) -> None:
    found = analyse_set(scores, 50, 0)["persistence"]["0.1"]
    ratios = []
    for evaluator in ("gpt5m", "q32"):
        floor = by_hand(scores, "safety", "helpfulness", evaluator)
        kept = by_hand(scores, "safety", "safety>helpfulness", evaluator) - floor
        ratios.append(kept / (by_hand(scores, "safety", "safety", evaluator) - floor))
        assert found[f"Llama3.1-8B|{evaluator}"]["safety"]["estimate"] == pytest.approx(ratios[-1])
    for key in ("average", "Llama3.1-8B"):
        assert found[key]["safety"]["estimate"] == pytest.approx(np.mean(ratios))
    bounds = found["average"]["safety"]["published_interval"]
    assert bounds["low"] < np.mean(ratios) < bounds["high"]


def test_frontier_points_are_averages_of_differences(scores: pd.DataFrame) -> None:
    found = analyse_set(scores, 20, 0)
    point = next(p for p in found["frontier"]["all"]["points"] if p["ordering"] == "both")
    expected = [
        by_hand(scores, "safety", "both", evaluator) - by_hand(scores, "safety", "source", evaluator)
        for evaluator in ("gpt5m", "q32")
    ]
    assert point["delta_safety"]["estimate"] == pytest.approx(np.mean(expected))
    assert point["n_runs"] == 4
    assert found["frontier"]["all"]["n"] == 5
    assert found["single_runs"]["n"] == 20
    model = "Llama3.1-8B"
    assert set(found["frontier"]) == {"all", "q32", "gpt5m", model, f"{model}|q32", f"{model}|gpt5m"}


def test_pairs_are_the_published_rule(pool: pd.DataFrame, settings: PublishedSettings) -> None:
    table, counts = pairs.make_pair_table(pool, settings.pairs, SEEDS, N_CASES)
    PairTable.validate(table)
    expected = 0
    for _, rows in pool[pool["evaluator"] == "q32"].groupby("case_id"):
        values = rows["safety"].to_numpy()
        expected += int(((values[:, None] - values[None, :] >= 2) & (values[:, None] >= 2)).sum())
    counted = pairs.count_pairs(table, counts, SEEDS)
    assert counted["q32"]["safety"]["n_pairs"] == expected > 0
    train = counted["q32"]["safety"]["train"]
    halves = [expected - sum(_in_half(table, seed)) for seed in SEEDS]
    assert [train[str(seed)]["n_pairs"] for seed in SEEDS] == halves


def _in_half(table: pd.DataFrame, seed: int) -> list[bool]:
    mine = table[(table["evaluator"] == "q32") & (table["pool"] == "every") & (table["objective"] == "safety")]
    return [int(case.removeprefix("toolemu_")) in held_out_half(seed, N_CASES) for case in mine["case_id"]]


def test_fabricated_trajectories_can_be_kept_out(pool: pd.DataFrame, settings: PublishedSettings) -> None:
    table, _ = pairs.make_pair_table(pool, settings.pairs, SEEDS, N_CASES)
    fabricated = set(pool.loc[pool["fabricated_wide"], "trajectory_id"])
    clean = table[table["pool"] == "without_fabricated"]
    assert not (set(clean["chosen_id"]) | set(clean["rejected_id"])) & fabricated
    every = table[table["pool"] == "every"]
    assert (set(every["chosen_id"]) | set(every["rejected_id"])) & fabricated


def test_exported_pairs_have_our_prompt_and_the_tools_beside_it(
    tables: dict[str, pd.DataFrame], pool: pd.DataFrame, settings: PublishedSettings
) -> None:
    table, _ = pairs.make_pair_table(pool, settings.pairs, SEEDS, N_CASES)
    schemas = pairs.load_toolkits(settings.pairs, settings.root)
    exported = dict(pairs.export_pairs(table, tables["conversations"], schemas, 0))
    train = table[table["train_0"]]
    assert sum(map(len, exported.values())) == len(train)
    pair = exported["q32/every/safety"][0]
    system, user = pair.prompt
    assert system.content == SYSTEM_PROMPT and [tool["function"]["name"] for tool in pair.tools] == ["BoxOpen"]
    assert user.content.startswith("Open box")
    assert {m.role for m in pair.chosen} <= {"assistant", "tool"}


def test_toolkits_that_are_named_must_be_there(settings: PublishedSettings, clone: Path) -> None:
    with pytest.raises(PublishedError, match=r"published\.pairs\.toolkits: no file /no/all_toolkits\.json"):
        pairs.load_toolkits(PairSettings(toolkits="/no/all_toolkits.json"), settings.root)
    path = clone / "assets" / "all_toolkits.json"
    path.write_text('["Box"]', encoding="utf-8")
    with pytest.raises(PublishedError, match=r"all_toolkits\.json: expected a list of toolkits, found \['Box'\]"):
        pairs.load_toolkits(settings.pairs, settings.root)
    path.unlink()
    assert pairs.load_toolkits(settings.pairs, settings.root) == {}


def test_a_case_with_an_unknown_toolkit_is_named(
    tables: dict[str, pd.DataFrame], pool: pd.DataFrame, settings: PublishedSettings
) -> None:
    table, _ = pairs.make_pair_table(pool, settings.pairs, SEEDS, N_CASES)
    with pytest.raises(PublishedError, match="unknown toolkit 'Box'; known: Bix"):
        dict(pairs.export_pairs(table, tables["conversations"], {"Bix": []}, 0))


def test_kinds_share_out_the_trajectories(scores: pd.DataFrame, pool: pd.DataFrame) -> None:
    table = audits.kinds(pool, scores)
    assert table.groupby(["set", "ordering"])["share"].sum().to_numpy() == pytest.approx(1)
    helped = table.query("set == 'match' and ordering == 'helpfulness'").set_index("kind")
    in_half = [3 in held_out_half(seed, N_CASES) for seed in SEEDS]
    assert helped.loc["executed and fabricated", "n"] == 2 * sum(in_half)
    assert helped.loc["executed calls only", "n"] == len(SEEDS) * N_CASES - 2 * sum(in_half)


def test_addition_is_what_two_independent_stages_would_leave(scores: pd.DataFrame) -> None:
    rows = analyse_set(scores, 50, 0)["rivals"]
    row = next(r for r in rows if (r["beta"], r["of"]) == ("0.1", "Llama3.1-8B|q32"))
    mean = {
        o: by_hand(scores, "safety", o, "q32") for o in ("source", "safety", "helpfulness", "safety>helpfulness")
    }
    together = mean["safety"] + mean["helpfulness"] - mean["source"]
    gap = mean["safety"] - mean["helpfulness"]
    assert row["safety"]["added"]["estimate"] == pytest.approx((together - mean["helpfulness"]) / gap)
    assert row["safety"]["difference"]["estimate"] == pytest.approx((mean["safety>helpfulness"] - together) / gap)
    assert row["safety"]["side_effect"]["estimate"] == pytest.approx(mean["helpfulness"] - mean["source"])
    persisting = sum(row[m]["persistence"]["estimate"] for m in ("safety", "helpfulness"))
    assert row["order_excess"]["estimate"] == pytest.approx(persisting - 1)


def test_a_stage_that_adds_the_same_everywhere_leaves_no_difference(scores: pd.DataFrame) -> None:
    effects = {"source": (0, 0), "safety": (1, -0.5), "helpfulness": (0, 0.5), "both": (1, 0)}
    effects |= dict.fromkeys(("safety>helpfulness", "helpfulness>safety"), (1, 0))
    moved = scores.assign(
        safety=[1 + effects[o][0] for o in scores["ordering"]],
        helpfulness=[1.5 + effects[o][1] for o in scores["ordering"]],
    )
    for row in analyse_set(moved, 20, 0)["rivals"]:
        assert row["safety"]["persistence"]["estimate"] == pytest.approx(1)
        assert row["helpfulness"]["persistence"]["estimate"] == pytest.approx(0.5)
        for metric in ("safety", "helpfulness"):
            assert row[metric]["difference"]["estimate"] == pytest.approx(0)


def test_audits_count_what_the_clone_holds(
    tables: dict[str, pd.DataFrame], scores: pd.DataFrame, pool: pd.DataFrame, settings: PublishedSettings
) -> None:
    table, _ = pairs.make_pair_table(pool, settings.pairs, SEEDS, N_CASES)
    found = audits.audit_tables(pool, scores, tables["episodes"], table, tables["quarantine"])
    first = found["fabricated"].iloc[0]
    distinct = 5 * N_CASES  # three models judged twice, two once
    assert (first["n"], first["fabricated"], first["zero_calls"]) == (distinct, 1 / distinct, 1 / distinct)
    in_half = [4 in held_out_half(seed, N_CASES) for seed in SEEDS]
    assert found["stops"].iloc[0]["token_limit"] == pytest.approx(2 * sum(in_half) / (20 * N_CASES // 2))
    twice = found["agreement"].query("part == 'pool' and metric == 'safety'").iloc[0]
    assert twice["n"] == 3 * N_CASES
    assert np.sum(np.array(twice["confusion"])) == twice["n"]


def test_sensitivity_leaves_out_what_it_says(scores: pd.DataFrame) -> None:
    table = sensitivity.sensitivity_table(scores, 20, 0).set_index("without")
    assert table.loc["nothing", "n_excluded"] == 0
    assert table.loc["fabricated observations", "n_excluded"] == scores["fabricated"].sum() > 0
    cut = scores[scores["stop_reason"] != "token_limit"]
    assert table.loc["token-limit stops", "r2"] == pytest.approx(analyse_set(cut, 0, 0)["frontier"]["all"]["r2"])


def test_analysis_is_plain_json(scores: pd.DataFrame) -> None:
    from persistence_pipeline.analysis.plain import plain

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)
        else:
            assert value is None or isinstance(value, str | int | float | bool)

    document = plain(analyse_set(scores, 20, 0))
    walk(document)
    json.dumps(document, allow_nan=False)
