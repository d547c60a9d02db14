"""The study spec: what it expands to, and the specs that are refused with the policy named."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from persistence_pipeline.dvc.expanding import write_studies
from persistence_pipeline.factors import tag
from persistence_pipeline.strict import _places
from persistence_pipeline.study import Policy, StudyError, parse_design, parse_policies
from persistence_pipeline.study.policies import sources, stage_tables
from persistence_pipeline.study.spec import check_settings, expand, load_spec, parse_spec, tables
from persistence_pipeline.training.settings import LoraSettings, StageConfig, StageSettings, with_factors

KNOWN = ("llama", "gpt2")
ONE: dict[str, Any] = {"sources": ["llama"], "orderings": ["safety"], "factors": {"beta": [0.1]}, "seeds": [0]}


def _policies(**changes: Any) -> dict[str, Any]:
    return expand(parse_spec({**ONE, **changes}, "study.yml"), KNOWN)


def test_the_product_of_the_factors_with_one_policy_for_each_checkpoint() -> None:
    orderings = ["safety", "helpfulness", "safety>helpfulness", "helpfulness>safety", "both"]
    policies = _policies(
        sources=["llama", "gpt2"], orderings=orderings, factors={"beta": [0.1, 0.05]}, seeds=[0, 1, 2]
    )
    assert len(policies) == 2 * 5 * 2 * 3 + 2 * 3  # and each source on each seed
    assert policies["gpt2_b0p05_s2_safety_then_helpfulness"].parent == "gpt2_b0p05_s2_safety"
    assert policies["gpt2_b0p05_s2_safety_then_helpfulness"].objective == "helpfulness"
    names = list(policies)
    assert all(
        policy.parent is None or names.index(policy.parent) < names.index(name)
        for name, policy in policies.items()
    )
    assert all(name == policy.name for name, policy in policies.items())


def test_a_parent_comes_along_although_its_ordering_is_not_asked_for() -> None:
    assert list(_policies(orderings=["safety>helpfulness"])) == [
        "llama_s0",
        "llama_b0p1_s0_safety",
        "llama_b0p1_s0_safety_then_helpfulness",
    ]


def test_an_ordering_is_any_sequence_of_stages() -> None:
    policies = _policies(orderings=["safety>helpfulness>safety", "helpfulness>helpfulness", "both>safety"])
    assert [(policy.ordering, policy.objective, policy.parent) for policy in policies.values()] == [
        ("source", None, None),
        ("safety", "safety", "llama_s0"),
        ("helpfulness", "helpfulness", "llama_s0"),
        ("both", "both", "llama_s0"),
        ("safety>helpfulness", "helpfulness", "llama_b0p1_s0_safety"),
        ("safety>helpfulness>safety", "safety", "llama_b0p1_s0_safety_then_helpfulness"),
        ("helpfulness>helpfulness", "helpfulness", "llama_b0p1_s0_helpfulness"),
        ("both>safety", "safety", "llama_b0p1_s0_both"),
    ]


def test_the_factors_of_the_whole_study_reach_policies_and_cases() -> None:
    factors = {"beta": [0.1], "reference": "source", "loss": ["ipo"]}
    spec = parse_spec({**ONE, "factors": factors, "conflict_share": 0.25}, "study.yml")
    policies = expand(spec, KNOWN)
    source, trained = policies.values()
    assert source.settings == {} and trained.settings == {"reference": "source", "loss": "ipo"}
    assert tables(policies, spec)["seeds"] == {"seed0": {"seed": 0, "conflict_share": 0.25}}


def test_a_factor_is_in_the_name_where_it_varies_and_in_no_other() -> None:
    factors = {"learning_rate": [0.001, 0.003], "beta": [0.1], "lora.r": [8], "epochs": 2}
    policies = _policies(orderings=["safety>helpfulness"], factors=factors)
    assert list(policies) == [
        "llama_s0",
        "llama_b0p1_lr0p001_s0_safety",
        "llama_b0p1_lr0p003_s0_safety",
        "llama_b0p1_lr0p001_s0_safety_then_helpfulness",
        "llama_b0p1_lr0p003_s0_safety_then_helpfulness",
    ]
    last = policies["llama_b0p1_lr0p003_s0_safety_then_helpfulness"]
    assert last.parent == "llama_b0p1_lr0p003_s0_safety"
    assert last.factors == {"beta": 0.1, "learning_rate": 0.003} and last.settings == {"lora.r": 8, "epochs": 2}
    assert last.provenance()["factor_learning_rate"] == 0.003
    settings = StageSettings(learning_rate=1, max_length=9, epochs=1)
    config = StageConfig.model_validate(with_factors(settings, last))
    assert (config.learning_rate, config.epochs, config.lora) == (0.003, 2, LoraSettings(r=8))
    assert (config.objective, config.seed, config.beta, settings.lora) == ("helpfulness", 0, 0.1, None)


def test_a_factor_of_one_objective_reaches_its_stages_alone() -> None:
    levels = {"beta": [0.1], "helpfulness.learning_rate": [0.001, 0.003], "safety.epochs": 2}
    policies = _policies(orderings=["safety>helpfulness"], factors=levels)
    name = "llama_b0p1_helpfulnesslr0p003_s0_safety"
    settings = StageSettings(learning_rate=1, max_length=9, epochs=1)
    both = (policies[name], policies[f"{name}_then_helpfulness"])
    first, second = (StageConfig.model_validate(with_factors(settings, policy)) for policy in both)
    assert (first.learning_rate, first.epochs) == (1, 2) and (second.learning_rate, second.epochs) == (0.003, 1)
    assert policies[name].provenance()["factor_helpfulness.learning_rate"] == 0.003


LEVELS = (None, True, 1e-5, -3, "a/b_C")


def test_every_setting_of_a_stage_has_a_tag_of_its_own_and_a_name_of_file() -> None:
    names = [".".join(place) for place in _places(StageConfig)]
    tags = [tag(name, 1) for name in names]
    assert len(set(tags)) == len(names) > 25 and {"b1", "lr1", "lorar1"} <= set(tags)
    assert all(
        re.fullmatch(r"[a-z0-9-]+", tag(name, level)) for name in names for level in (None, True, 1e-5, "a/b_C")
    )


@pytest.mark.parametrize(
    ("factors", "expected"),
    [
        ({"learning_rat": [1.0]}, "factors.learning_rat: no such name; did you mean learning_rate?"),
        ({"lora.rr": [1, 2]}, "factors.lora.rr: no such name; "),
        ({"learning_rate": [0.1, -0.1]}, "factors.learning_rate: Input should be greater than 0, got -0.1"),
        ({"scheduler": "cosin"}, "factors.scheduler: unknown scheduler 'cosin'; known: linear"),
        ({"seed": [1]}, "factors.seed: follows from seeds and orderings"),
        ({"safety.seed": [1]}, "factors.safety.seed: follows from seeds and orderings"),
        ({"safety.learning_rat": [1.0]}, "did you mean learning_rate?"),
        ({"beta": [0.0]}, "factors.beta: Input should be greater than 0, got 0.0"),
    ],
)
def test_a_factor_that_is_no_setting_is_answered_with_the_nearest(factors: dict[str, Any], expected: str) -> None:
    spec = parse_spec({**ONE, "factors": {**ONE["factors"], **factors}}, "study.yml")
    with pytest.raises(StudyError, match=re.escape(expected)):
        check_settings(spec, StageConfig)


def test_beta_is_a_list() -> None:
    for factors in ({}, {"beta": 0.1}):
        with pytest.raises(StudyError, match=r"study\.yml: factors\.beta: expected a list of betas"):
            parse_spec({**ONE, "factors": factors}, "study.yml")


def test_a_source_may_belong_to_the_seed() -> None:
    spec = parse_spec({**ONE, "sources": ["llama", "gpt2"], "seeds": [0, 1]}, "study.yml")
    policies = expand(spec, KNOWN, ["gpt2"])
    assert [p.checkpoint for p in sources(policies).values()] == ["llama", "llama", "gpt2_s0", "gpt2_s1"]
    rows = stage_tables(policies)
    assert rows["models"] == {name: {"source": name[:5].rstrip("_")} for name in ("llama", "gpt2_s0", "gpt2_s1")}
    assert rows["trained"]["gpt2_b0p1_s1_safety"] == {
        "origin": "gpt2_s1",
        "source": "gpt2_s1",
        "starts_from": "gpt2_s1",
        "objective": "safety",
    }


def test_a_single_policy_beside_the_product() -> None:
    name = "llama_b0p2_s0_safety_then_helpfulness"
    fields = {"source": "llama", "factors": {"beta": 0.2}, "seed": 0, "ordering": "safety>helpfulness"}
    policies = _policies(extra={name: {**fields, "parent": "llama_b0p1_s0_safety"}})
    assert policies[name].parent == "llama_b0p1_s0_safety" and policies[name].objective == "helpfulness"


def test_policies_of_the_base_environment_do_not_join_another_study() -> None:
    spec = parse_spec(ONE, "study.yml")
    policies = expand(spec, KNOWN)
    table = tables(policies, spec, base=["other", *policies])
    assert table["policies"]["other"] is None and list(parse_policies(table["policies"])) == list(policies)
    assert "other" not in table["stages"]["policies"]


X = "llama_b0p2_s0_safety_then_helpfulness"
Y = "llama_b0p3_s0_helpfulness_then_safety"
STAGED = {"source": "llama", "seed": 0}
IN_A_CIRCLE = {
    X: {**STAGED, "factors": {"beta": 0.2}, "ordering": "safety>helpfulness", "parent": Y},
    Y: {**STAGED, "factors": {"beta": 0.3}, "ordering": "helpfulness>safety", "parent": X},
}
THRICE = "llama_b0p1_s0_safety_then_helpfulness_then_safety"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"extra": {X: {**IN_A_CIRCLE[X], "parent": "nobody"}}}, f"policy {X}: its parent 'nobody' is not in"),
        (
            {"extra": IN_A_CIRCLE},
            f"policy {X}: its parent '{Y}' is of ordering helpfulness>safety, expected safety",
        ),
        (  # its middle stage would be skipped
            {
                "extra": {
                    THRICE: {
                        **STAGED,
                        "factors": {"beta": 0.1},
                        "ordering": "safety>helpfulness>safety",
                        "parent": "llama_b0p1_s0_safety",
                    }
                }
            },
            "is of ordering safety, expected safety>helpfulness",
        ),
        (
            {"extra": {X: {**STAGED, "factors": {"beta": 0.2}, "ordering": "safety>x"}}},
            "ordering 'safety>x': 'x' is no stage",
        ),
        ({"factors": {"beta": [0.1, 0.1]}}, "factors.beta names 0.1 twice"),
        (
            {"factors": {"beta": [0.1, 0.10000001]}},
            "policy llama_b0p1_s0_safety: two policies would have this name",
        ),
        (
            {"extra": {"llama_b0p1_s0_safety": {**STAGED, "factors": {"beta": 0.1}, "ordering": "safety"}}},
            "policy llama_b0p1_s0_safety: the product of the factors already has a policy of this name",
        ),
        ({"sources": ["llama", "gemma"]}, "policy gemma_s0: unknown source 'gemma'; known: ['gpt2', 'l"),
        ({"seeds": [-1]}, "study.yml: seeds.0: Input should be greater than or equal to 0"),
        ({"extra": {X: {**STAGED, "factors": {"beta": 0.2}}}}, f"policy {X}: ordering: expected, but missing"),
        (
            {"extra": {"mine": {**STAGED, "factors": {"beta": 0.2}, "ordering": "both"}}},
            "policy mine: its factors give it the name llama_b0p2_s0_both",
        ),
        (
            {"extra": {X: {**STAGED, "factors": {"beta": 0.2, "epochs": 2}, "ordering": "both"}}},
            f"policy {X}: factors: expected a level of beta, as the others have",
        ),
        (
            {"seeds": [0, 1], "extra": {X: {**IN_A_CIRCLE[X], "parent": "llama_b0p1_s1_safety"}}},
            f"policy {X}: its parent 'llama_b0p1_s1_safety' has another source or seed",
        ),
        ({"orderings": ["sideways"]}, "orderings.0: ordering 'sideways': 'sideways' is no stage"),
        (
            {"colour": "red"},
            "study.yml: colour: no such name; there are conflict_share, extra, factors",
        ),
    ],
)
def test_a_bad_spec_is_refused_and_the_policy_named(changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(StudyError) as caught:
        _policies(**changes)
    assert expected in str(caught.value)


def test_names_of_folders_never_clash() -> None:
    spec = parse_spec({**ONE, "sources": ["llama", "llama_s0"]}, "study.yml")
    with pytest.raises(StudyError, match="policy llama_s0: a source has this name already"):
        expand(spec, ["llama", "llama_s0"])


def test_two_entries_of_one_name_in_the_file_are_refused(tmp_path: Path) -> None:
    spec = tmp_path / "study.yml"
    spec.write_text(yaml.safe_dump(ONE) + f"extra:\n  {X}: {{}}\n  {X}: {{}}\n")
    with pytest.raises(StudyError, match=f"{X!r} is given twice"):
        load_spec(spec)


def test_a_spec_of_no_use_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    base = tmp_path / "conf" / "base"
    base.mkdir(parents=True)
    (base / "parameters_sources.yml").write_text("sources: {llama: {}}\n")
    (base / "study.yml").write_text(yaml.safe_dump({**ONE, "sources": ["gemma"]}))
    with pytest.raises(StudyError, match=r"^conf/base/study.yml: policy gemma_s0: unknown source"):
        list(write_studies(tmp_path / "conf"))
    assert sorted(path.name for path in base.iterdir()) == ["parameters_sources.yml", "study.yml"]


def test_a_design_that_makes_no_sense_is_named() -> None:
    with pytest.raises(StudyError, match=r"parameter study: cases: .*'toolemu'.* got 'tooled'"):
        parse_design({"cases": "tooled"})
    with pytest.raises(StudyError, match="parameter study: case: "):
        parse_design({"case": "toolemu"})


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ({}, {}),
        ({"max_length": 32}, {("max_length",): 32}),
        ({"safety.lora.r": 16, "helpfulness.beta": 1}, {("lora", "r"): 16}),
    ],
)
def test_a_policys_last_stage_has_the_levels_of_its_objective(
    levels: dict[str, int], expected: dict[tuple[str, ...], int]
) -> None:
    policy = Policy(source="llama", seed=0, ordering="helpfulness>safety", parent="llama_s0", factors=levels)
    assert policy.levels() == expected
