"""How well a checkpoint still predicts plain text, in which nobody acts: the cost of stages beside their gain."""

from __future__ import annotations

import math
from importlib.resources import files
from pathlib import Path

from persistence_pipeline.agents.tokenizer import load_tokenizer
from persistence_pipeline.rollout.run import RolloutSettings, load_model

TEXT = "plain.txt"
"""Prose that was written for this project, so that no model has seen it while it was pretrained."""


def perplexity(checkpoint: Path, settings: RolloutSettings) -> tuple[float, int]:
    """Perplexity of each token of the text given those before it, and how many tokens there are.

    The exponential of the mean negative log-probability; of models with different tokenizers it is not comparable.

    Args:
        checkpoint: A saved model with its tokenizer.
        settings: What the model computes in, and where.
    """
    import torch
    from torch.nn.functional import cross_entropy

    model = load_model(checkpoint, settings)
    text = files(__package__).joinpath(TEXT).read_text(encoding="utf-8").replace("\n", " ")
    ids = load_tokenizer(checkpoint)(text, return_tensors="pt")["input_ids"]
    ids = ids[:, : model.config.max_position_embeddings].to(model.device)
    with torch.inference_mode():
        logits = model(input_ids=ids, use_cache=False).logits[0, :-1].float()
    targets = ids[0, 1:]
    return math.exp(float(cross_entropy(logits, targets))), len(targets)
