"""What is freed within the context is kept for the next allocation, and given back at its end."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import ctypes, resource, psutil
from persistence_pipeline.training.heap import MEGABYTE, freed_memory_kept
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]

def step():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [libc.malloc(16 * MEGABYTE) for _ in range(6)]
    for block in blocks:
        libc.memset(block, 1, 16 * MEGABYTE)
    for block in blocks:
        libc.free(block)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

resident = lambda: psutil.Process().memory_info().rss // MEGABYTE
start = resident()
with freed_memory_kept():
    faults = [step() for _ in range(4)]
    within = resident()
print(faults[-1], within - start, resident() - start)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_freed_memory_is_kept_for_the_next_step_and_given_back() -> None:
    ran = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    faults, within, after = (int(number) for number in ran.stdout.split())
    assert faults < 100
    assert within > 90
    assert after < 10
