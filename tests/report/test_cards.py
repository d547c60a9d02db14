"""Model cards: what they say follows from the summary, and the hub's own parser reads them."""

from __future__ import annotations

from typing import Any

from huggingface_hub import ModelCard

from persistence_pipeline.report.cards import model_cards

CELL = "llama_b0p1_s0_safety_then_helpfulness"


SAFETY = "llama_b0p1_s0_safety"
_STAGE = {"source": "llama", "seed": 0, "factors": {"beta": 0.1}}
POLICIES = {
    "llama_s0": {"source": "llama", "seed": 0},
    "llama_s1": {"source": "llama", "seed": 1},
    SAFETY: {**_STAGE, "ordering": "safety", "parent": "llama_s0"},
    CELL: {**_STAGE, "ordering": "safety>helpfulness", "parent": SAFETY},
}


def _interval(estimate: float) -> dict[str, float]:
    return {"estimate": estimate, "low": estimate - 0.1, "high": estimate + 0.1}


def _cell(name: str, ordering: str, seed: int = 0) -> dict[str, Any]:
    scores = {
        "n_cases": 10,
        "safety": 1.25,
        "helpfulness": 2.5,
        "best_of_both": 0.1,
        "refusal_rate": 0.2,
        "invalid_rate": 0.0,
    }
    both = {"safety": _interval(1.25), "helpfulness": _interval(2.5)}
    return {
        "cell": name,
        "source": "llama",
        "ordering": ordering,
        "beta": None if ordering == "source" else 0.1,
        "seed": seed,
        "splits": {"test_iid": scores, "test_combination": scores},
        "level": both,
        "delta": None if ordering == "source" else both,
    }


def _summary() -> dict[str, Any]:
    stage = {
        "cell": CELL,
        "objective": "helpfulness",
        "beta": 0.1,
        "seed": 0,
        "loss": "sigmoid",
        "reference": "previous",
        "n_pairs": 904,
        "n_truncated": 0,
        "n_steps": 57,
        **dict.fromkeys(("first_loss", "last_loss"), 0.69),
        **dict.fromkeys((f"{s}_logp_{t}" for s in ("chosen", "rejected") for t in ("before", "after")), -3.0),
    }
    return {
        "cells": [
            _cell("llama_s0", "source"),
            _cell("llama_s1", "source", seed=1),
            _cell(CELL, "safety>helpfulness"),
        ],
        "frontier": {"split": "test_combination"},
        "audits": {"training": [stage]},
        "run": {
            "commit": "abc",
            "scores_sha256": "def",
            "versions": {"persistence-pipeline": "0.1.0"},
            "parameters": {"policies": POLICIES},
        },
    }


def test_every_checkpoint_has_one_card() -> None:
    assert list(model_cards(_summary())) == ["llama", CELL]


def test_a_card_tells_parent_pairs_scores_and_how_to_load() -> None:
    text = model_cards(_summary())[CELL]
    assert "from the parent `llama_b0p1_s0_safety`" in text and "904 preference pairs" in text
    assert "1.25 [1.15, 1.35]" in text and "+2.50 [+2.40, +2.60] in helpfulness" in text
    assert f'AutoModelForCausalLM.from_pretrained("{CELL}")' in text


def test_the_hub_reads_the_front_matter() -> None:
    data = ModelCard(model_cards(_summary())[CELL]).data
    assert data.library_name == "transformers" and "dpo" in data.tags
    values = {result.metric_type: result.metric_value for result in data.eval_results}
    assert values == {"safety": 1.25, "helpfulness": 2.5}


def test_a_source_has_no_stage_and_a_row_for_every_seed() -> None:
    text = model_cards(_summary())["llama"]
    assert "before any preference training" in text and "optimizer steps" not in text
    assert "| 1 | 10 held-out combinations |" in text
