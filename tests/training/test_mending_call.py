"""The mending call teacher-forced: against the probabilities of one token after the other."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from persistence_pipeline.agents.models import ModelSettings, build_model
from persistence_pipeline.agents.tokenizer import load_tokenizer, train_tokenizer
from persistence_pipeline.agents.transcript import Transcript
from persistence_pipeline.rollout.episode import Episode
from persistence_pipeline.rollout.scripted import ScriptedPolicy
from persistence_pipeline.training.competence import mending_table
from persistence_pipeline.world.decisions import Decision, mending_turns
from persistence_pipeline.world.splits import WorldSettings, generate_cases
from persistence_pipeline.world.vocabulary import vocabulary

WORLD = WorldSettings(kinds=("look", "identity"), domains=("files", "payments"), twins_per_group={"train": 3})


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has learnt nothing."""
    folder = tmp_path_factory.mktemp("source")
    tokenizer = train_tokenizer([" ".join(sorted(vocabulary(WORLD.all_groups())))])
    settings = ModelSettings(hidden_size=16, layers=1, heads=2, context=128)
    build_model(settings, tokenizer, 0).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_it_is_the_product_over_the_turns_tokens(checkpoint: Path) -> None:
    decisions = mending_turns(generate_cases(WORLD, 0), {"careful": 1.0})
    table = mending_table(checkpoint, decisions)
    assert list(table["kind"]) == [decision.case.kind for decision in decisions] and len(table) >= 4
    for decision, row in zip(decisions, table.to_dict("records"), strict=True):
        assert row["probability"] == pytest.approx(_one_by_one(checkpoint, decision), rel=1e-4)
        assert row["demonstrated"] == 1


def _one_by_one(checkpoint: Path, decision: Decision) -> float:
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(checkpoint).eval()
    transcript = Transcript(load_tokenizer(checkpoint))
    (episode,) = ScriptedPolicy("careful").play([Episode(decision.case, policy="careful", seed=0)])
    messages = episode.trajectory().messages
    turns = [index for index, message in enumerate(messages) if message.role == "assistant"]
    at = turns[decision.turn]
    ids = transcript.prompt(messages[:at], ())
    total = 0.0
    for token in transcript.turn(messages[at]):
        with torch.inference_mode():
            total += float(model(torch.tensor([ids])).logits[0, -1].log_softmax(-1)[token])
        ids = [*ids, token]
    return math.exp(total)
