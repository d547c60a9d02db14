"""Errors that stop a stage, with what to do about them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from persistence_pipeline.training.settings import StageConfig


class StageError(RuntimeError):
    """A stage did not do what it must."""


class SourceError(ValueError):
    """A source cannot be had as it was asked for."""


@contextmanager
def memory_advice(config: StageConfig) -> Iterator[None]:
    """Says which settings to lower where memory, of the device or of the host, does not suffice.

    Raises:
        StageError: in place of the allocator's error.
    """
    import torch

    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
            raise
        checkpointing = "" if config.gradient_checkpointing else "turn on gradient_checkpointing, "
        raise StageError(
            f"stage on {config.objective}: out of memory. Lower batch_size (now {config.batch_size}) and raise "
            f"gradient_accumulation alike, {checkpointing}lower max_length (now {config.max_length}), or set "
            f"launch to train on several devices. The allocator said: {str(error).splitlines()[0]}"
        ) from None
