"""What ``auto`` stands for, against what the processor says of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from persistence_pipeline.agents.numbers import faster_dtype


def test_what_is_said_is_taken() -> None:
    assert faster_dtype("float32", on_gpu=False) == "float32"
    assert faster_dtype("bfloat16", on_gpu=False) == "bfloat16"


def test_auto_is_bfloat16_where_the_processor_has_arithmetic_for_it() -> None:
    cpu = Path("/proc/cpuinfo")
    if not cpu.is_file():
        pytest.skip("no /proc/cpuinfo here")
    flags = set(cpu.read_text().split())
    known = bool(flags & {"amx_bf16", "avx512_bf16", "bf16"})
    assert faster_dtype("auto", on_gpu=False) == ("bfloat16" if known else "float32")
