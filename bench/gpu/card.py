"""The card: whether it will do, what it is, and the rates that all other numbers are compared with."""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from bundle.install import InstallError, check_driver, read_driver

if TYPE_CHECKING:
    import torch

LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate", "numpy", "kedro")
GIGABYTE = 2**30
SPARE = 0.97
"""Share of the free memory that a prediction may fill."""
BFLOAT16_SINCE = (8, 0)
SYNCHRONISES = "called a synchronizing CUDA operation"


class CardError(RuntimeError):
    """A measurement that cannot be made here; the message is one line."""


def require_card(device: str) -> None:
    """See that the device can do what is measured.

    Raises:
        CardError: no CUDA, a driver older than torch's CUDA, no card to be seen, or a card without bfloat16.
    """
    if device == "cpu":
        return
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what torch would say of an old driver is said below
        seen = torch.cuda.is_available()
    require_cuda(torch.version.cuda, read_driver(), seen)
    require_bfloat16(torch.cuda.get_device_name(), torch.cuda.get_device_capability())


def require_cuda(cuda: str | None, driver: str | None, seen: bool) -> None:
    """See that torch and the driver go together.

    Args:
        cuda: Version that torch is built for; None: without.
        driver: Version of the NVIDIA driver; None: there is none.
        seen: Whether torch sees a card.

    Raises:
        CardError: they do not.
    """
    if cuda is None:
        raise CardError("this torch is built without CUDA: install a build for this machine's driver")
    if driver is None:
        raise CardError(
            "no NVIDIA driver answers here (nvidia-smi): there is no GPU, or none was lent to this job"
        )
    try:
        check_driver(cuda, driver)
    except InstallError as fault:
        raise CardError(str(fault)) from None
    if not seen:
        raise CardError(f"torch sees no GPU, though driver {driver} answers: look at CUDA_VISIBLE_DEVICES")


def require_bfloat16(name: str, capability: tuple[int, int]) -> None:
    """See that a card multiplies bfloat16.

    Raises:
        CardError: it does not.
    """
    if capability < BFLOAT16_SINCE:
        raise CardError(
            f"{name} has no bfloat16: compute capability {capability[0]}.{capability[1]}, 8.0 is needed"
        )


def require_memory(device: str, what: str, needed: float) -> None:
    """See that a prediction fits into the memory that is free.

    Args:
        device: ``cuda`` or ``cpu``.
        what: Named in the message.
        needed: Bytes.

    Raises:
        CardError: it does not.
    """
    free = free_memory(device)
    if needed > SPARE * free:
        raise CardError(
            f"{what} is predicted to take {needed / GIGABYTE:.1f} GiB, {free / GIGABYTE:.1f} GiB are free"
        )


def free_memory(device: str) -> int:
    """Bytes that are free on the device."""
    if device == "cpu":
        import psutil

        return int(psutil.virtual_memory().available)
    import torch

    return int(torch.cuda.mem_get_info()[0])


def facts(device: str) -> dict[str, Any]:
    """Device, memory, driver and versions."""
    import platform

    import torch

    found = {"python": platform.python_version(), "versions": {name: version(name) for name in LIBRARIES}}
    if device == "cpu":
        return {**found, "device": "cpu", "memory_gib": free_memory(device) / GIGABYTE}
    properties = torch.cuda.get_device_properties(0)
    return {
        **found,
        "device": properties.name,
        "memory_gib": properties.total_memory / GIGABYTE,
        "multiprocessors": properties.multi_processor_count,
        "capability": list(torch.cuda.get_device_capability()),
        "cuda": torch.version.cuda,
        "driver": read_driver(),
    }


def wait(device: str) -> None:
    """Until the device has done all that it was asked."""
    if device == "cuda":
        import torch

        torch.cuda.synchronize()


def clocked(device: str, work: Callable[[], object]) -> float:
    """Seconds of one call, the device's work included."""
    wait(device)
    started = time.perf_counter()
    work()
    wait(device)
    return time.perf_counter() - started


def forget_peak(device: str) -> None:
    """Give back what is not used, and count the peak from here."""
    if device == "cuda":
        import gc

        import torch

        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peak_gib(device: str) -> float | None:
    """Largest memory of tensors since then; None where it is not counted."""
    if device == "cpu":
        return None
    import torch

    return torch.cuda.max_memory_allocated() / GIGABYTE


def matrix_rate(device: str, size: int, repeats: int) -> float:
    """Operations a second of the product of two square matrices of random bfloat16, the median."""
    import torch

    def product() -> torch.Tensor:
        return torch.mm(a, b)

    a, b = (torch.randn(size, size, device=device).to(torch.bfloat16) for _ in range(2))
    for _ in range(3):
        product()
    return 2 * size**3 / statistics.median(clocked(device, product) for _ in range(repeats))


def copy_rate(device: str, n_bytes: int, repeats: int) -> float:
    """Bytes a second that a copy on the device reads and writes, together, the median."""
    import torch

    origin = torch.empty(n_bytes, dtype=torch.uint8, device=device).random_()
    target = torch.empty_like(origin)
    target.copy_(origin)
    return 2 * n_bytes / statistics.median(clocked(device, lambda: target.copy_(origin)) for _ in range(repeats))


class Synchronisations:
    """How often the host waited for the device, as far as torch warns of it; None on a CPU."""

    def __init__(self, device: str) -> None:
        self._counts = device == "cuda"
        self._seen: list[warnings.WarningMessage] = []

    @property
    def count(self) -> int | None:
        """So far."""
        return sum(SYNCHRONISES in str(seen.message) for seen in self._seen) if self._counts else None


@contextmanager
def counted_synchronisations(device: str) -> Iterator[Synchronisations]:
    """Count while this is open."""
    counted = Synchronisations(device)
    if device == "cpu":
        yield counted
        return
    import torch

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        counted._seen = seen
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield counted
        finally:
            torch.cuda.set_sync_debug_mode("default")


def computing_seconds(device: str, work: Callable[[], object]) -> float:
    """Seconds in which the device computed (on a CPU: in which torch's operations ran) during one call."""
    from torch.profiler import ProfilerActivity, profile

    activity = ProfilerActivity.CUDA if device == "cuda" else ProfilerActivity.CPU
    with profile(activities=[activity]) as profiler:
        clocked(device, work)
    field = "self_device_time_total" if device == "cuda" else "self_cpu_time_total"
    return float(sum(getattr(average, field) for average in profiler.key_averages())) / 1e6
