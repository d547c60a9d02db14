"""A saved tokenizer comes back as it was, whatever model lies beside it."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from persistence_pipeline.agents.models import Architecture, ModelSettings, build_model
from persistence_pipeline.agents.tokenizer import load_tokenizer, train_tokenizer

TEXT = "<|user|> wipe f1 and save f2 <|end|>"


@pytest.mark.parametrize("architecture", get_args(Architecture))
def test_a_checkpoint_of_every_architecture_brings_its_tokenizer_back(
    architecture: Architecture, tmp_path: Path
) -> None:
    tokenizer = train_tokenizer(["wipe f1 and save f2"])
    settings = ModelSettings(architecture=architecture, hidden_size=12, layers=1, heads=3, context=16)
    build_model(settings, tokenizer, seed=0).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    loaded = load_tokenizer(tmp_path)
    ids = tokenizer(TEXT)["input_ids"]
    assert loaded(TEXT)["input_ids"] == ids and len(ids) == len(TEXT.split())
    assert loaded.decode(ids, clean_up_tokenization_spaces=False) == TEXT
    assert loaded.chat_template == tokenizer.chat_template
    assert loaded.padding_side == tokenizer.padding_side
