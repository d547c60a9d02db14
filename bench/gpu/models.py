"""Models of real shapes with random weights, and a tokenizer that knows as many words."""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path
from typing import Any

from bench.dialects import make_tokenizer
from bench.gpu.card import GIGABYTE, CardError
from bench.gpu.sizes import SHAPES
from persistence_pipeline.agents.families import MODEL_FAMILIES, use_family
from persistence_pipeline.agents.footprint import ModelShape


def shape_of(name: str) -> ModelShape:
    """Sizes of a shape."""
    return ModelShape.of(SHAPES[name])


@cache
def tokenizer_for(name: str) -> Any:
    """The benchmark's tokenizer with further words, so that every token that a random model draws has a text."""
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    made = make_tokenizer()
    content = json.loads(made.backend_tokenizer.to_str())
    words = content["model"]["vocab"]
    taken = {*words.values(), *(token["id"] for token in content["added_tokens"])}
    free = (number for number in range(SHAPES[name]["vocab_size"]) if number not in taken)
    words.update({f"w{number}": number for number in free})
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(content)), eos_token="<|endoftext|>"
    )
    use_family(wrapped, MODEL_FAMILIES["qwen2_5"])
    return wrapped


def random_model(name: str, device: str) -> Any:
    """A model of a shape in bfloat16 on a device; equal seeds, equal weights."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    fields = dict(SHAPES[name])
    config = AutoConfig.for_model(
        fields.pop("model_type"), pad_token_id=tokenizer_for(name).pad_token_id, **fields
    )
    torch.manual_seed(0)
    with torch.device(device):
        return AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)


def random_checkpoint(name: str, device: str, work: Path) -> Path:
    """A directory with such a model and its tokenizer; made once.

    Raises:
        CardError: no room for its weights.
    """
    target = work / name
    if (target / "made").is_file():
        return target
    shutil.rmtree(target, ignore_errors=True)
    work.mkdir(parents=True, exist_ok=True)
    needed, free = 2 * shape_of(name).parameters, shutil.disk_usage(work).free
    if needed > free:
        raise CardError(
            f"{work}: {free / GIGABYTE:.1f} GiB free, the weights of {name} take {needed / GIGABYTE:.1f}: "
            "name another folder with --work"
        )
    random_model(name, device).save_pretrained(target)
    tokenizer_for(name).save_pretrained(target)
    (target / "made").touch()
    return target
