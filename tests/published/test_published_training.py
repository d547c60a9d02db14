"""A study trained on the published pairs: which pairs, how they are shown to a model, and the whole run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from published_clone import N_CASES, make_clone
from test_published_pipeline import run

from persistence_pipeline.agents.families import MODEL_FAMILIES, use_family
from persistence_pipeline.agents.transcript import encode_conversation
from persistence_pipeline.pipelines.published_training.nodes import take_pairs
from persistence_pipeline.published.layout import PublishedError
from persistence_pipeline.published.settings import PublishedSettings
from persistence_pipeline.published.training import PublishedTraining
from persistence_pipeline.study import Policy
from persistence_pipeline.toolemu.cases import held_out_half
from real_shapes import bpe_tokenizer

TABLES = ("pair_table", "pool_scores", "conversations", "toolkits")
ARM = Policy(source="qwen", seed=1)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> PublishedSettings:
    folder = tmp_path_factory.mktemp("published")
    clone, cache = make_clone(folder / "clone"), folder / "cache"
    return PublishedSettings(root=str(clone), n_cases=N_CASES, cache=str(cache), n_draws=20, sensitivity_draws=20)


@pytest.fixture(scope="module")
def tables(settings: PublishedSettings) -> dict[str, Any]:
    return run(settings, Path(settings.cache).parent / "data", TABLES)


def _take(tables: dict[str, Any], settings: PublishedSettings, **change: Any) -> tuple[Any, ...]:
    arguments = {**tables, **change}
    training = PublishedTraining(evaluator=arguments.pop("evaluator", "q32"), pool=arguments.pop("pool", "every"))
    return take_pairs(**arguments, published=settings, settings=training, policy=ARM)


def test_an_arm_takes_the_pairs_of_its_seeds_train_cases(
    tables: dict[str, Any], settings: PublishedSettings
) -> None:
    table = tables["pair_table"]
    *pairs, audit, report = _take(tables, settings)
    for objective, taken in zip(("safety", "helpfulness", "both"), pairs, strict=True):
        rows = table[(table["evaluator"] == "q32") & (table["pool"] == "every") & table["train_1"]]
        assert [pair.pair_id for pair in taken] == list(rows.loc[rows["objective"] == objective, "pair_id"])
        assert taken and {pair.objective for pair in taken} == {objective}
    held_out = {f"toolemu_{index:03d}" for index in held_out_half(1, N_CASES)}
    assert not held_out & {pair.case_id for taken in pairs for pair in taken}
    assert list(audit["set"]) == ["pool", "safety", "helpfulness", "both"]
    assert report["passed"] == len(report["checks"]) > 20


def test_prompts_are_those_of_emulated_episodes(tables: dict[str, Any], settings: PublishedSettings) -> None:
    """The tools stand beside the messages, so that a family's template shows them in its own way."""
    (pair, *_), *_ = _take(tables, settings)
    assert [message.role for message in pair.prompt] == ["system", "user"]
    assert "BoxOpen" not in pair.prompt[0].content
    assert [tool["function"]["name"] for tool in pair.tools] == ["BoxOpen"]
    tokenizer = bpe_tokenizer("qwen2_5")
    use_family(tokenizer, MODEL_FAMILIES["qwen2_5"])
    ids, mask = encode_conversation(tokenizer, [*pair.prompt, *pair.chosen], pair.tools)
    text = tokenizer.decode(ids)
    assert '<tools>\n{"type": "function", "function": {"name": "BoxOpen"' in text
    written = tokenizer.decode([token for token, mine in zip(ids, mask, strict=True) if mine])
    assert "<tools>" not in written and "coin" not in written and written.count("<|im_end|>") >= 1


def test_fabricated_observations_can_be_kept_out(tables: dict[str, Any], settings: PublishedSettings) -> None:
    pool = tables["pool_scores"]
    fabricated = set(pool.loc[pool["fabricated_wide"], "trajectory_id"])
    *pairs, audit, _ = _take(tables, settings, pool="without_fabricated")
    assert not fabricated & {side for taken in pairs for p in taken for side in (p.chosen_id, p.rejected_id)}
    assert audit["n"][0] == (~pool["fabricated_wide"] & (pool["evaluator"] == "q32") & _train(pool)).sum()


def _train(pool: pd.DataFrame) -> pd.Series:
    return ~pool["case_index"].isin(held_out_half(ARM.seed, N_CASES))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"evaluator": "gpt9"}, "no scores by 'gpt9'; there are gpt5m, q32"),
        ({"toolkits": {}}, r"unknown toolkit 'Box'; known: none: set published\.pairs\.toolkits"),
        ({"pair_table": "none"}, r"no published pairs for safety by q32 \(every\)"),
    ],
)
def test_what_is_missing_is_named(
    tables: dict[str, Any], settings: PublishedSettings, change: dict[str, Any], expected: str
) -> None:
    if "pair_table" in change:
        change = {"pair_table": tables["pair_table"].iloc[:0]}
    with pytest.raises(PublishedError, match=expected):
        _take(tables, settings, **change)


def test_the_pipeline_runs_from_the_clone_to_the_stages() -> None:
    """Nothing but parameters comes from outside, and no candidate is rolled out."""
    from persistence_pipeline.pipelines.published_training import create_pipeline
    from persistence_pipeline.study import StudyDesign, parse_policies

    source = {"source": "llama", "seed": 0}
    trained = {**source, "ordering": "safety", "parent": "llama_s0", "factors": {"beta": 0.1}}
    policies = parse_policies({"llama_s0": source, "llama_b0p1_s0_safety": trained})
    pipeline = create_pipeline(policies, StudyDesign(pairs="published"))
    assert all(name.startswith("params:") for name in pipeline.inputs())
    names = {node.name for node in pipeline.nodes}
    assert {"published.read_clone", "llama_s0.take_published_pairs", "llama_b0p1_s0_safety.train_cell"} <= names
    assert not any("roll_out" in name or name.startswith("published.analyse") for name in names)
    assert {"llama.checkpoint", "seed0.cases", "llama_b0p1_s0_safety.checkpoint"} <= pipeline.all_outputs()
