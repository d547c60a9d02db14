"""Names of the published layout."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persistence_pipeline.published.layout import (
    OBJECTIVES,
    PublishedError,
    find_groups,
    parse_configuration,
    same_model,
)

ORDERINGS = [("safe",), ("help",), ("both",), ("safe", "help"), ("help", "safe")]


@given(
    model=st.sampled_from(["Phi-4", "Llama3.1-8B", "Qwen2.5-7B", "a_safe_model", "x"]),
    stages=st.sampled_from(ORDERINGS),
    evaluator=st.sampled_from(["q32", "gpt5m", "Judge9"]),
    beta=st.sampled_from([None, "0.05", "0.1", "1", "0.005"]),
    seed=st.integers(0, 99),
)
def test_a_name_says_what_it_was_made_of(
    model: str, stages: tuple[str, ...], evaluator: str, beta: str | None, seed: int
) -> None:
    suffix = f"_beta-{beta}" if beta else ""
    parsed = parse_configuration(f"dpo_{model}_" + "_".join(f"{s}_{evaluator}{suffix}_s{seed}" for s in stages))
    assert (parsed.source, parsed.trained_on, parsed.seed) == (model, evaluator, seed)
    assert parsed.ordering == ">".join(OBJECTIVES[stage] for stage in stages)
    assert parsed.beta == float(beta or 0.1)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("dpo_Phi-4_kind_q32_s0", "is not dpo_"),
        ("dpo_Phi-4_safe_q32", "is not dpo_"),
        ("dpo_safe_q32_s0", "is not dpo_"),
        ("dpo_Phi-4_safe_q32_s0_extra", "is not dpo_"),
        ("dpo_Phi-4_safe_q32_s0_help_q32_s1", "differ in evaluator, beta or seed"),
        ("dpo_Phi-4_safe_q32_s0_help_gpt5m_s0", "differ in evaluator, beta or seed"),
        ("dpo_Phi-4_safe_q32_beta-0.05_s0_help_q32_s0", "differ in evaluator, beta or seed"),
    ],
)
def test_a_wrong_name_is_refused(name: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_configuration(name)


def test_a_source_has_no_seed() -> None:
    parsed = parse_configuration("microsoft_phi-4")
    assert (parsed.ordering, parsed.seed, parsed.trained_on) == ("source", None, None)
    assert parsed.beta != parsed.beta


@pytest.mark.parametrize(
    ("directory", "short"),
    [
        ("microsoft_phi-4", "Phi-4"),
        ("meta-llama_Llama-3.1-8B-Instruct", "Llama3.1-8B"),
        ("Qwen_Qwen2.5-7B-Instruct", "Qwen2.5-7B"),
    ],
)
def test_trained_models_find_their_sources(directory: str, short: str) -> None:
    assert same_model(directory) == same_model(short)
    assert same_model("Qwen_Qwen2.5-32B-Instruct") != same_model("Qwen2.5-7B")


def test_nested_models_and_quantisations_are_configurations_of_their_own(clone: Path) -> None:
    groups, faults = find_groups(clone)
    assert not faults
    pool = {(g.evaluator, g.configuration.name) for g in groups if g.part == "pool"}
    assert ("gpt5m", "Qwen_Qwen9-1B") in pool
    assert {("q32", "Qwen_Qwen9-1Bnt_int4"), ("q32", "Qwen_Qwen9-1Bnt_int8")} <= pool
    assert len(pool) == 8


def test_a_folder_that_is_no_clone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PublishedError, match="expected the root of a clone"):
        find_groups(tmp_path)
