"""The dtypes in which models compute, and which of them a machine multiplies faster."""

from __future__ import annotations

from typing import Literal

Exact = Literal["float32", "bfloat16"]
Dtype = Literal["float32", "bfloat16", "auto"]
BYTES: dict[Exact, int] = {"float32": 4, "bfloat16": 2}
"""Of a number."""

ARITHMETIC = ("amx_bf16", "avx512_bf16", "bf16")
"""Instruction sets for bfloat16, as torch names them; processors without multiply float32 several times faster."""


def faster_dtype(dtype: Dtype, *, on_gpu: bool) -> Exact:
    """What ``auto`` stands for on this machine, by what its processor or GPU can do; any other dtype is itself."""
    if dtype != "auto":
        return dtype
    import torch

    known = torch.cpu.get_capabilities()
    half = torch.cuda.is_bf16_supported(False) if on_gpu else any(known.get(name) for name in ARITHMETIC)
    return "bfloat16" if half else "float32"
