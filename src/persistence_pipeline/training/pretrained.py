"""Sources that were pretrained elsewhere: a directory or a hub model becomes a checkpoint of the study.

The model is taken as it is; the tokenizer gets its family's chat template, which marks what the agent writes and
records how the checkpoint is spoken to. No code of a model's own is ever run, and weights come as safetensors
alone.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from persistence_pipeline.agents.families import MODEL_FAMILIES, FamilyName, find_family, use_family
from persistence_pipeline.strict import Strict


class SourceError(ValueError):
    """A pretrained source cannot be had as it was asked for."""


class PretrainedSettings(Strict):
    """A model that exists already."""

    model: str = Field(min_length=1)
    """A directory, or the id of a model on the Hugging Face hub."""
    revision: str | None = None
    """Commit, tag or branch on the hub; a commit makes a study repeatable."""
    family: FamilyName | None = None
    """How it is spoken to; null: found from its configuration and its control tokens."""
    dtype: Literal["float32", "bfloat16"] = "bfloat16"
    """What the checkpoint is kept in."""


def fetch_pretrained(settings: PretrainedSettings, scratch: Path) -> Path:
    """Load a pretrained model and its tokenizer, and save both as a checkpoint under ``scratch``.

    Raises:
        SourceError: no such model, no access, no safetensors, or code of its own; says what to do.
        TemplateError: no family of ours fits the model.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    place = str(Path(settings.model).expanduser()) if settings.model.startswith("~") else settings.model
    where = {"revision": settings.revision, "trust_remote_code": False}
    with _explained(settings):
        config = AutoConfig.from_pretrained(place, **where)
        tokenizer = AutoTokenizer.from_pretrained(place, **where)
    family = MODEL_FAMILIES[settings.family] if settings.family else find_family(str(config.model_type), tokenizer)
    use_family(tokenizer, family)
    with _explained(settings):
        model: Any = AutoModelForCausalLM.from_pretrained(
            place, dtype=getattr(torch, settings.dtype), use_safetensors=True, **where
        )
    model.config.eos_token_id = model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.config.pad_token_id = model.generation_config.pad_token_id = tokenizer.pad_token_id
    # sampling is the rollout's affair; a left-over default such as a temperature may not be savable without it
    model.generation_config.do_sample = True
    checkpoint = scratch / "source"
    shutil.rmtree(checkpoint, ignore_errors=True)
    model.save_pretrained(checkpoint)
    tokenizer.save_pretrained(checkpoint)
    return checkpoint


@contextmanager
def _explained(settings: PretrainedSettings) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, ImportError) as error:
        message = " ".join(str(error).split())[:300]
        raise SourceError(
            f"source model {settings.model!r}: {_advice(settings, message)} (it was said: {message})"
        ) from None


def _advice(settings: PretrainedSettings, message: str) -> str:
    if "trust_remote_code" in message or "custom code" in message:
        return "it needs code of its own, which this project never runs: take a model that transformers knows"
    if "safetensors" in message:
        return "it has no weights as safetensors: convert them first"
    if Path(settings.model).expanduser().is_dir():
        return "the directory is not a whole model with its tokenizer"
    if os.environ.get("HF_HUB_OFFLINE") == "1":
        return "no such directory, and the hub is refused: correct the path, or set `offline: false`"
    return (
        "neither a directory nor a model that the hub hands out: check the spelling; a gated model needs its "
        "terms accepted and a key in the environment variable HF_TOKEN"
    )
