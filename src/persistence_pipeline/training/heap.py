"""Memory that is freed within a step of training and asked for again in the next."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""glibc's names of them (malloc.h)."""
MEGABYTE = 1 << 20
ALL = 2**31 - 1
LARGEST = 32 * MEGABYTE
"""glibc takes no larger threshold for what it maps by itself."""


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Have the allocator keep what is freed until the end, and then give it back.

    glibc gives the end of its heap back to the system as soon as it is free, and so asks for the gradients and
    activations of every step anew, page by page: of 135 M parameters a hundred thousand pages a step, a sixth of
    its time. Other allocators are left alone.
    """
    set_option: Callable[[int, int], int] | None = getattr(_glibc(), "mallopt", None)
    if set_option is None:
        yield
        return
    set_option(MMAP_THRESHOLD, LARGEST)
    set_option(TRIM_THRESHOLD, ALL)
    try:
        yield
    finally:
        set_option(TRIM_THRESHOLD, 2 * LARGEST)  # where glibc's own rule ends up by itself
        give_back()


def give_back() -> None:
    """Give all pages that are free back to the system: among what is kept, holes of other sizes add up."""
    trim = getattr(_glibc(), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if sys.platform == "linux" else None
