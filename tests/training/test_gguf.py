"""GGUF files as sources: unpacked whole, with their tokenizers; what cannot be is refused in one line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from gguf_files import require_gguf, write_gguf, write_qwen2
from persistence_pipeline.agents.tokenizer import load_tokenizer
from persistence_pipeline.training.errors import SourceError
from persistence_pipeline.training.gguf import find_gguf, read_header
from persistence_pipeline.training.pretrained import PretrainedSettings, fetch_pretrained
from real_shapes import bpe_tokenizer, save_hub_model, tiny_model

TEXTS = ["delete the file 12 of m1", "a   3 and 42", "pay 17  to b12"]


def fetch(place: Path, scratch: Path, **settings: Any) -> Path:
    return fetch_pretrained(PretrainedSettings(model=str(place), dtype="float32", **settings), scratch)


@pytest.fixture
def model() -> tuple[Any, Any]:
    """A tiny Qwen2 with ChatML's tokens, which merges no digits, as SmolLM2's tokenizer does not."""
    tokenizer = bpe_tokenizer(
        "chatml", [text.translate(str.maketrans("", "", "0123456789")) for text in TEXTS * 9]
    )
    return tiny_model("qwen2", tokenizer), tokenizer


@pytest.mark.parametrize("named", ["file", "directory"])
def test_a_gguf_becomes_a_checkpoint(model: tuple[Any, Any], named: str, tmp_path: Path) -> None:
    """All weights are what they were, and each digit is a token, as what stands between words is."""
    require_gguf()
    import torch
    from tokenizers import Tokenizer, pre_tokenizers
    from transformers import AutoModelForCausalLM

    (tmp_path / "hub").mkdir()
    file = write_qwen2(tmp_path / "hub/tiny.gguf", *model, pre="smollm")
    checkpoint = fetch(file if named == "file" else file.parent, tmp_path, family="chatml")
    loaded = AutoModelForCausalLM.from_pretrained(checkpoint)
    weights, made = model[0].state_dict(), loaded.state_dict()
    assert weights.keys() == made.keys() and all(torch.equal(weights[name], made[name]) for name in weights)
    assert not hasattr(loaded.config, "quantization_config")

    reference = Tokenizer.from_str(model[1].backend_tokenizer.to_str())
    digits = pre_tokenizers.Digits(individual_digits=True)
    reference.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer = load_tokenizer(checkpoint)
    for text in TEXTS:
        assert tokenizer(text, add_special_tokens=False)["input_ids"] == reference.encode(text).ids
    assert reference.encode(TEXTS[1]).ids != model[1].backend_tokenizer.encode(TEXTS[1]).ids


def test_what_cannot_be_unpacked_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = write_gguf(tmp_path / "unknown.gguf", {"general.architecture": "rwkv7"})
    said = {
        unknown: "cannot unpack a GGUF of the architecture rwkv7, but of .*llama.*: take the model's safetensors"
    }
    (tmp_path / "words.gguf").write_text("no model")
    said[tmp_path / "words.gguf"] = "no GGUF file that can be read: .* magic bytes"
    (tmp_path / "cut.gguf").write_bytes(unknown.read_bytes()[:40])
    said[tmp_path / "cut.gguf"] = "no GGUF file that can be read"
    known = write_gguf(tmp_path / "known.gguf", {"general.architecture": "llama"})
    monkeypatch.setitem(sys.modules, "gguf", None)
    said[known] = "needs the package gguf: pip install gguf$"
    for file, words in said.items():
        with pytest.raises(SourceError, match=words) as refused:
            fetch(file, tmp_path, family="chatml")
        assert "\n" not in str(refused.value)
    with pytest.raises(SourceError, match=r"holds 4 GGUF files: name one of cut\.gguf, known\.gguf"):
        find_gguf(tmp_path)


def test_a_file_that_was_cut_short_says_so(model: tuple[Any, Any], tmp_path: Path) -> None:
    whole = write_qwen2(tmp_path / "whole.gguf", *model, pre="smollm")
    whole.write_bytes(whole.read_bytes()[:-1000])
    with pytest.raises(SourceError, match=r"cut short, [0-9,]+ of [0-9,]+ bytes"):
        read_header(whole)


def test_memory_is_compared_before_weights_are_read(tmp_path: Path) -> None:
    there = save_hub_model("llama", "llama3_1", tmp_path / "hub")
    config = (there / "config.json").read_text()
    (there / "config.json").write_text(
        config.replace('"intermediate_size": 64', '"intermediate_size": 9000000000000')
    )
    (there / "model.safetensors").unlink()
    with pytest.raises(SourceError, match=r"parameters takes [0-9.]+ GiB of memory, and [0-9.]+ are free"):
        fetch(there, tmp_path)
