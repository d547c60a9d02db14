"""Perplexity on plain text, against models of which it is known."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from persistence_pipeline.agents.tokenizer import load_tokenizer
from persistence_pipeline.rollout.plain_text import perplexity
from persistence_pipeline.rollout.run import RolloutSettings
from persistence_pipeline.training.pretrained import PretrainedSettings, fetch_pretrained
from real_shapes import save_hub_model


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    there = save_hub_model("llama", "smollm2", tmp_path / "hub")
    return fetch_pretrained(PretrainedSettings(model=str(there), family="smollm2", dtype="float32"), tmp_path)


def test_who_knows_nothing_is_as_perplexed_as_there_are_words(checkpoint: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(checkpoint)
    model.get_output_embeddings().weight.data.zero_()
    model.save_pretrained(checkpoint)
    found, tokens = perplexity(checkpoint, RolloutSettings())
    assert found == pytest.approx(model.config.vocab_size, rel=1e-4)
    assert tokens > 400


def test_it_is_that_of_each_token_given_those_before_it(checkpoint: Path) -> None:
    """Against a loop over the tokens, one prefix after the other."""
    model = AutoModelForCausalLM.from_pretrained(checkpoint).eval()
    for weights in model.parameters():
        weights.data.mul_(3)  # opinions
    model.save_pretrained(checkpoint)
    found, tokens = perplexity(checkpoint, RolloutSettings())
    text = Path(perplexity.__code__.co_filename).with_name("plain.txt").read_text(encoding="utf-8")
    ids = load_tokenizer(checkpoint)(text.replace("\n", " "), return_tensors="pt")["input_ids"][:, : tokens + 1]
    with torch.inference_mode():
        losses = [-model(ids[:, :n]).logits[0, -1].log_softmax(-1)[ids[0, n]] for n in range(1, ids.shape[1], 40)]
        all_logps = model(ids).logits[0, :-1].log_softmax(-1).gather(1, ids[0, 1:, None])[:, 0]
    assert torch.stack(losses).tolist() == pytest.approx((-all_logps[::40]).tolist(), abs=1e-3)
    assert found == pytest.approx(float((-all_logps).mean().exp()), rel=1e-3)
