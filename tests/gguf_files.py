"""Small GGUF files, written here byte by byte: a header alone, or a whole Qwen2 with its tokenizer."""

from __future__ import annotations

import importlib.util
import os
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

UINT32, FLOAT32, STRING, ARRAY, INT32 = 4, 6, 8, 9, 5
ALIGNMENT = 32
NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
    "input_layernorm.weight": "attn_norm.weight",
    "post_attention_layernorm.weight": "ffn_norm.weight",
    **{f"self_attn.{part}_proj": f"attn_{part}" for part in ("q", "k", "v")},
    "self_attn.o_proj": "attn_output",
    **{f"mlp.{part}_proj": f"ffn_{part}" for part in ("gate", "up", "down")},
}
"""Parts of a Qwen2's names of weights, in transformers and in llama.cpp."""


def require_gguf() -> None:
    """Skip a test where the package that transformers reads GGUF files with is missing; in CI it must not be."""
    if importlib.util.find_spec("gguf") is None:
        assert os.environ.get("CI") != "true", "the package gguf is missing"
        pytest.skip("needs the package gguf: pip install gguf")


def _string(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _value(value: Any) -> bytes:
    if isinstance(value, str):
        return struct.pack("<I", STRING) + _string(value)
    if isinstance(value, float):
        return struct.pack("<If", FLOAT32, value)
    if isinstance(value, int):
        return struct.pack("<II", UINT32, value)
    if isinstance(value[0], str):
        return struct.pack("<IIQ", ARRAY, STRING, len(value)) + b"".join(map(_string, value))
    return struct.pack("<IIQ", ARRAY, INT32, len(value)) + struct.pack(f"<{len(value)}i", *value)


def write_gguf(file: Path, metadata: Mapping[str, Any], tensors: Mapping[str, np.ndarray] | None = None) -> Path:
    """A GGUF file of version 3; all tensors are float32."""
    held = dict(tensors or {})
    parts = [b"GGUF", struct.pack("<IQQ", 3, len(held), len(metadata))]
    parts += [_string(name) + _value(value) for name, value in metadata.items()]
    offset = 0
    for name, tensor in held.items():
        shape = struct.pack(f"<I{tensor.ndim}Q", tensor.ndim, *reversed(tensor.shape))
        parts.append(_string(name) + shape + struct.pack("<IQ", 0, offset))
        offset += _padded(tensor.nbytes)
    head = b"".join(parts)
    body = b"".join(t.astype("<f4").tobytes().ljust(_padded(t.nbytes), b"\0") for t in held.values())
    file.write_bytes(head.ljust(_padded(len(head)), b"\0") + body)
    return file


def _padded(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def write_qwen2(file: Path, model: Any, tokenizer: Any, pre: str) -> Path:
    """A Qwen2 and its byte-level tokenizer as a GGUF file; ``pre`` names how text is split before its merges."""
    import json

    config, bpe = model.config, json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    tokens: Sequence[str] = sorted(tokenizer.get_vocab(), key=lambda token: tokenizer.get_vocab()[token])
    special = set(tokenizer.all_special_tokens) | {t.content for t in tokenizer.added_tokens_decoder.values()}
    merges = [" ".join(pair) if isinstance(pair, list) else pair for pair in bpe["merges"]]
    metadata = {
        "general.architecture": "qwen2",
        "general.name": "tiny",
        "qwen2.block_count": config.num_hidden_layers,
        "qwen2.context_length": config.max_position_embeddings,
        "qwen2.embedding_length": config.hidden_size,
        "qwen2.feed_forward_length": config.intermediate_size,
        "qwen2.attention.head_count": config.num_attention_heads,
        "qwen2.attention.head_count_kv": config.num_key_value_heads,
        "qwen2.attention.layer_norm_rms_epsilon": float(config.rms_norm_eps),
        "qwen2.rope.freq_base": float(config.rope_parameters["rope_theta"]),
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": list(tokens),
        "tokenizer.ggml.token_type": [3 if token in special else 1 for token in tokens],
        "tokenizer.ggml.merges": merges or ["a b"],
        "tokenizer.ggml.eos_token_id": tokenizer.eos_token_id,
    }
    weights = {_renamed(name): tensor.float().numpy() for name, tensor in model.state_dict().items()}
    return write_gguf(file, metadata, weights)


def _renamed(name: str) -> str:
    for theirs, ours in NAMES.items():
        name = name.replace(theirs, ours)
    return name.replace("model.layers.", "blk.")
