"""Sources that were pretrained elsewhere: a directory, a GGUF file, a package or a hub model becomes a checkpoint.

The model is taken as it is; the tokenizer gets its family's chat template, which marks what the agent writes and
records how the checkpoint is spoken to. No code of a model's own is ever run, and weights come as safetensors or
GGUF alone.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from persistence_pipeline.agents.families import FamilyName, family_of, find_family, use_family
from persistence_pipeline.agents.footprint import ModelShape
from persistence_pipeline.agents.numbers import BYTES, Exact
from persistence_pipeline.agents.probe import require_readable
from persistence_pipeline.strict import Strict
from persistence_pipeline.training.errors import SourceError
from persistence_pipeline.training.gguf import find_gguf, load_gguf_model, load_gguf_tokenizer, read_header
from persistence_pipeline.training.packages import PackagedModel, held_gguf, packages_folder, unpacked

UNPACKED_COPIES = 2
"""Transformers unpacks all weights of a GGUF before it puts them into the model."""


class PretrainedSettings(Strict):
    """A model that exists already."""

    model: str = Field(min_length=1)
    """A directory, a GGUF file or a directory that holds one; the id of a model on the Hugging Face hub; or
    ``pip:<name>==<version>#sha256=<digest>``, a package of the Python index that holds a GGUF file."""
    revision: str | None = None
    """Commit, tag or branch on the hub; a commit makes a study repeatable."""
    family: FamilyName | None = None
    """How it is spoken to: a family's name, or the file of one of your own; null: found from its configuration and
    its control tokens."""
    dtype: Exact = "bfloat16"
    """What the checkpoint is kept in."""
    weights: Literal["pretrained", "random"] = "pretrained"
    """``random``: the shape and tokenizer alone, as before any training: a control for what pretraining does."""

    @field_validator("model")
    @classmethod
    def _pinned(cls, model: str) -> str:
        PackagedModel.of(model)
        return model


def fetch_pretrained(settings: PretrainedSettings, scratch: Path) -> Path:
    """Load a pretrained model, or draw one of its shape, and save it with its tokenizer under ``scratch``.

    Raises:
        SourceError: no such model, no access, no weights that can be taken, code of its own, or more than the
            memory that is free; says what to do.
        TemplateError: no family of ours fits the model, or its own does not.
    """
    place = _place(settings, scratch)
    gguf = find_gguf(Path(place))
    tokenizer, config, n_parameters = _described(settings, place, gguf)
    _require_memory(settings, n_parameters, copies=1 if gguf is None else UNPACKED_COPIES)
    with _explained(settings):
        if settings.weights == "random":
            model = _random_model(config, settings.dtype)
        else:
            model = _model(settings, place) if gguf is None else load_gguf_model(gguf, settings.dtype)
    model.config.eos_token_id = model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.config.pad_token_id = model.generation_config.pad_token_id = tokenizer.pad_token_id
    # sampling is the rollout's affair; a left-over default such as a temperature may not be savable without it
    model.generation_config.do_sample = True
    checkpoint = scratch / "source"
    shutil.rmtree(checkpoint, ignore_errors=True)
    model.save_pretrained(checkpoint)
    tokenizer.save_pretrained(checkpoint)
    keep_licences(Path(place), checkpoint)
    return checkpoint


def describe_pretrained(settings: PretrainedSettings, scratch: Path) -> tuple[Any, dict[str, Any]]:
    """The tokenizer of a pretrained model as its checkpoint will have it, and its configuration, without weights.

    Raises:
        SourceError, TemplateError: as for ``fetch_pretrained``.
    """
    package = PackagedModel.of(settings.model)
    if package is None or package.place(packages_folder(scratch), settings.dtype).is_dir():
        place = _place(settings, scratch)
        tokenizer, config, _ = _described(settings, place, find_gguf(Path(place)))
    else:
        with held_gguf(package, packages_folder(scratch)) as file:
            tokenizer, config, _ = _described(settings, str(file.parent), file)
    return tokenizer, config.to_dict()


def keep_licences(model: Path, checkpoint: Path) -> None:
    """Copy the licence of a model to a checkpoint that was made of it."""
    for licence in model.glob("LICEN[CS]E*"):
        shutil.copy(licence, checkpoint)


def _place(settings: PretrainedSettings, scratch: Path) -> str:
    """A path, or the id of a model on the hub."""
    package = PackagedModel.of(settings.model)
    if package is None:
        return str(Path(settings.model).expanduser()) if settings.model.startswith("~") else settings.model

    def convert(file: Path, target: Path) -> None:
        header = read_header(file)
        _require_memory(settings, header.parameters, UNPACKED_COPIES)
        with _explained(settings):
            tokenizer: Any = load_gguf_tokenizer(file, header)
            model: Any = load_gguf_model(file, settings.dtype)
        model.save_pretrained(target)
        tokenizer.save_pretrained(target)

    return str(unpacked(package, packages_folder(scratch), settings.dtype, convert))


def _described(settings: PretrainedSettings, place: str, gguf: Path | None) -> tuple[Any, Any, int | None]:
    """The tokenizer as its family has it, the configuration, the number of parameters where it can be told."""
    from transformers import AutoConfig, AutoTokenizer

    n_parameters = None
    if gguf is not None:
        header = read_header(gguf)
        with _explained(settings):
            config = AutoConfig.from_pretrained(gguf.parent, gguf_file=gguf.name, local_files_only=True)
            tokenizer: Any = load_gguf_tokenizer(gguf, header)
        n_parameters = header.parameters
    else:
        where = {"revision": settings.revision, "trust_remote_code": False}
        with _explained(settings):
            config = AutoConfig.from_pretrained(place, **where)
            tokenizer = AutoTokenizer.from_pretrained(place, **where)
        with suppress(ValueError):
            n_parameters = ModelShape.of(config.to_dict()).parameters
    family = family_of(settings.family) if settings.family else find_family(str(config.model_type), tokenizer)
    use_family(tokenizer, family)
    require_readable(tokenizer, family)
    return tokenizer, config, n_parameters


def _model(settings: PretrainedSettings, place: str) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    where = {"revision": settings.revision, "trust_remote_code": False}
    dtype = getattr(torch, settings.dtype)
    return AutoModelForCausalLM.from_pretrained(place, dtype=dtype, use_safetensors=True, **where)


def _random_model(config: Any, dtype: str) -> Any:
    """A model of the configuration as its training once began, always the same."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.random.fork_rng():
        torch.manual_seed(0)
        return AutoModelForCausalLM.from_config(config, dtype=getattr(torch, dtype))


def _require_memory(settings: PretrainedSettings, n_parameters: int | None, copies: int) -> None:
    """See before weights are read that there is room for them.

    Raises:
        SourceError: there is not; says how much there is.
    """
    import psutil

    needed = (n_parameters or 0) * BYTES[settings.dtype] * copies
    free = int(psutil.virtual_memory().available)
    if needed > free:
        smaller = " or set its dtype to bfloat16" if settings.dtype == "float32" else ""
        raise SourceError(
            f"source model {settings.model!r}: loading its {n_parameters:,} parameters takes "
            f"{needed / 2**30:.1f} GiB of memory, and {free / 2**30:.1f} are free: take a smaller model{smaller}"
        )


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
    place = Path(settings.model).expanduser()
    if "trust_remote_code" in message or "custom code" in message:
        return "it needs code of its own, which this project never runs: take a model that transformers knows"
    if "safetensors" in message:
        return "it has no weights as safetensors: convert them first"
    if place.suffix == ".gguf":
        return "transformers cannot unpack this GGUF" if place.is_file() else "there is no such file"
    if place.is_dir():
        return "the directory is not a whole model with its tokenizer"
    if os.environ.get("HF_HUB_OFFLINE") == "1":
        return "no such directory, and the hub is refused: correct the path, or set `offline: false`"
    return (
        "neither a directory nor a model that the hub hands out: check the spelling; a gated model needs its "
        "terms accepted and a key in the environment variable HF_TOKEN"
    )
