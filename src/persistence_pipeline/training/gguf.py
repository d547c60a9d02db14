"""GGUF files as pretrained models: unpacked into a whole model, with the tokenizer that it was trained with.

Works for every architecture that transformers unpacks. What transformers makes of a file it refuses to save, and a
tokenizer that splits digits before all else comes without that; both are put right here.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from persistence_pipeline.training.errors import SourceError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

INDIVIDUAL_DIGITS = frozenset({"smollm", "starcoder", "refact", "command-r", "codeshell"})
"""Values of ``tokenizer.ggml.pre`` whose tokenizers split each digit off, then as GPT-2's (llama.cpp,
``src/llama-vocab.cpp``); transformers 5.24 knows none of them."""


@dataclass(frozen=True)
class GgufHeader:
    """What stands before the weights of a GGUF file."""

    architecture: str
    pre_tokenizer: str
    parameters: int


def find_gguf(place: Path) -> Path | None:
    """The GGUF file that a path names: itself, or the only one in a directory that is no model of transformers.

    Raises:
        SourceError: the directory holds several.
    """
    if place.suffix == ".gguf" and place.is_file():
        return place
    if not place.is_dir() or (place / "config.json").is_file():
        return None
    found = sorted(place.glob("*.gguf"))
    if len(found) > 1:
        raise SourceError(
            f"source model {str(place)!r} holds {len(found)} GGUF files: name one of "
            f"{', '.join(path.name for path in found)}"
        )
    return found[0] if found else None


def read_header(file: Path) -> GgufHeader:
    """The header of a file, once it is sure that transformers can unpack it.

    Raises:
        SourceError: it is no whole GGUF file, or of an architecture or a type of numbers that transformers does
            not know; or the package ``gguf`` is missing.
    """
    from transformers import __version__
    from transformers.integrations.gguf import GGUF_ARCHS, read_gguf_metadata
    from transformers.integrations.gguf import GgufHeader as Header
    from transformers.modeling_gguf_pytorch_utils import GGUF_SUPPORTED_ARCHITECTURES

    try:
        metadata, _ = read_gguf_metadata(str(file))
        header = Header.from_file(str(file))
    except (OSError, ValueError, LookupError, struct.error) as fault:
        raise SourceError(f"source model {str(file)!r}: no GGUF file that can be read: {fault}") from None
    known = sorted({*GGUF_SUPPORTED_ARCHITECTURES, *GGUF_ARCHS})
    if header.architecture not in known:
        raise SourceError(
            f"source model {str(file)!r}: transformers {__version__} cannot unpack a GGUF of the architecture "
            f"{header.architecture}, but of {', '.join(known)}: take the model's safetensors"
        )
    size = max((header.data_start + info.offset + info.nbytes for info in header.tensors), default=0)
    if file.stat().st_size < size:
        raise SourceError(
            f"source model {str(file)!r}: cut short, {file.stat().st_size:,} of {size:,} bytes: fetch it again"
        )
    if find_spec("gguf") is None:
        raise SourceError(f"source model {str(file)!r}: unpacking it needs the package gguf: pip install gguf")
    parameters = sum(prod(info.shape) for info in header.tensors)
    return GgufHeader(header.architecture, str(metadata.get("tokenizer.ggml.pre", "")), parameters)


def load_gguf_tokenizer(file: Path, header: GgufHeader) -> PreTrainedTokenizerBase:
    """The tokenizer of a file: of no class of its own, which would split text in its own way when it is loaded."""
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    read: Any = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name, local_files_only=True)
    tokenizer: Any = PreTrainedTokenizerFast(
        tokenizer_object=read.backend_tokenizer, chat_template=read.chat_template, **read.special_tokens_map
    )
    if header.pre_tokenizer in INDIVIDUAL_DIGITS:
        from tokenizers import pre_tokenizers

        digits = pre_tokenizers.Digits(individual_digits=True)
        bytes_of_words = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, bytes_of_words])
    return tokenizer


def load_gguf_model(file: Path, dtype: str) -> PreTrainedModel:
    """The model of a file, all weights unpacked, as one that was never quantised: transformers saves only such."""
    import torch
    from transformers import AutoModelForCausalLM, GgufConfig

    model: Any = AutoModelForCausalLM.from_pretrained(
        file.parent,
        gguf_file=file.name,
        dtype=getattr(torch, dtype),
        quantization_config=GgufConfig(dequantize=True),
        local_files_only=True,
    )
    model.hf_quantizer = None  # which would refuse to let it be saved
    return model
