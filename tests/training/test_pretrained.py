"""Sources of kind pretrained, from directories as they lie on the hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from persistence_pipeline.agents.chat import TemplateError
from persistence_pipeline.agents.families import MODEL_FAMILIES, recorded_family
from persistence_pipeline.agents.tokenizer import load_tokenizer
from persistence_pipeline.datasets import CheckpointDataset
from persistence_pipeline.training.pretrained import PretrainedSettings, SourceError, fetch_pretrained
from persistence_pipeline.training.source import SourceSettings
from real_shapes import native_template, save_hub_model

SHAPES = [
    ("qwen2", "qwen2_5", None),
    ("qwen3", "qwen3", None),
    ("llama", "llama3_1", None),
    ("phi3", "phi4", None),
    ("gpt2", "phi4", "phi4"),
]


@pytest.mark.parametrize(("architecture", "family", "told"), SHAPES)
def test_a_hub_model_becomes_a_checkpoint(architecture: str, family: str, told: Any, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    there = save_hub_model(architecture, family, tmp_path / "hub")
    settings = PretrainedSettings(model=str(there), family=told, dtype="float32")
    checkpoint = fetch_pretrained(settings, tmp_path / "scratch")
    assert CheckpointDataset(filepath=str(checkpoint)).exists()
    tokenizer = load_tokenizer(checkpoint)
    assert recorded_family(tokenizer) == MODEL_FAMILIES[family]
    assert tokenizer.chat_template != native_template(family)
    assert tokenizer.pad_token is not None and tokenizer.eos_token == MODEL_FAMILIES[family].end
    weights = [AutoModelForCausalLM.from_pretrained(path).state_dict() for path in (there, checkpoint)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_half_precision_is_kept(tmp_path: Path) -> None:
    there = save_hub_model("llama", "llama3_1", tmp_path / "hub")
    checkpoint = fetch_pretrained(PretrainedSettings(model=str(there)), tmp_path)
    assert '"dtype": "bfloat16"' in (checkpoint / "config.json").read_text()


def test_what_cannot_be_had_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(SourceError, match=r"'no-one/nothing': no such directory, and the hub is refused"):
        fetch_pretrained(PretrainedSettings(model="no-one/nothing"), tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="not a whole model"):
        fetch_pretrained(PretrainedSettings(model=str(tmp_path / "empty")), tmp_path)
    pickled = save_hub_model("llama", "llama3_1", tmp_path / "pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(SourceError, match="no weights as safetensors"):
        fetch_pretrained(PretrainedSettings(model=str(pickled)), tmp_path)


def test_a_model_of_no_known_family_is_refused_unless_told(tmp_path: Path) -> None:
    there = save_hub_model("gpt2", "phi4", tmp_path / "hub")
    with pytest.raises(TemplateError, match="no known family fits model_type 'gpt2'"):
        fetch_pretrained(PretrainedSettings(model=str(there)), tmp_path)
    with pytest.raises(TemplateError, match="family llama3_1 needs"):
        fetch_pretrained(PretrainedSettings(model=str(there), family="llama3_1"), tmp_path)


def test_a_source_is_one_or_the_other() -> None:
    with pytest.raises(ValueError, match="either `model`"):
        SourceSettings.model_validate({})


def test_the_control_has_the_shape_and_none_of_the_weights(tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    there = save_hub_model("llama", "smollm2", tmp_path / "hub", seed=1)
    settings = PretrainedSettings(model=str(there), family="smollm2", dtype="float32", weights="random")
    torch.manual_seed(3)
    before = torch.get_rng_state()
    drawn = [fetch_pretrained(settings, tmp_path / str(n)) for n in range(2)]
    assert torch.equal(before, torch.get_rng_state())
    pretrained, first, second = (AutoModelForCausalLM.from_pretrained(p).state_dict() for p in (there, *drawn))
    matrices = [name for name, weights in first.items() if weights.ndim == 2]
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert all(first[name].shape == pretrained[name].shape for name in first)
    assert matrices and not any(torch.equal(first[name], pretrained[name]) for name in matrices)
    assert recorded_family(load_tokenizer(drawn[0])) == MODEL_FAMILIES["smollm2"]
