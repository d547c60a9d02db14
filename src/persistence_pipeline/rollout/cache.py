"""Keys and values of a batch whose rows have different lengths, in buffers that are written in place.

A model calls ``update`` as it would call a cache of transformers. Row ``i`` of the batch is row ``i`` of the
buffers; what lies beyond a row's length is hidden from it by the mask that ``at`` makes. Which tokens are read,
and when, is decided in ``lockstep.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

ROOM = 1.25
"""A buffer that is full is replaced by one with room for this many times the length that is needed."""


class BatchCache:
    """The cache of one batch, all layers.

    Args:
        longest: Positions that no row exceeds.
    """

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._layers: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._positions: torch.Tensor | None = None
        self._rows: torch.Tensor | None = None
        self._length = 0

    def at(self, positions: torch.Tensor) -> torch.Tensor:
        """Say where the next tokens of every row stand, as (rows, tokens); returns the additive mask for them."""
        import torch

        self._positions = positions
        self._rows = torch.arange(len(positions), device=positions.device).unsqueeze(1)
        self._length = int(positions.max()) + 1
        hidden = torch.arange(self._length, device=positions.device) > positions.unsqueeze(-1)
        return torch.zeros(hidden.shape, device=positions.device).masked_fill_(hidden, -torch.inf).unsqueeze(1)

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write (rows, heads, tokens, size) at the positions; returns everything so far in that order of axes."""
        new = (keys.transpose(1, 2), values.transpose(1, 2))
        if layer == len(self._layers):
            self._layers.append((self._buffer(new[0], len(keys)), self._buffer(new[1], len(keys))))
        elif self._layers[layer][0].shape[1] < self._length:
            self._layers[layer] = (self._longer(self._layers[layer][0]), self._longer(self._layers[layer][1]))
        held = self._layers[layer]
        for buffer, written in zip(held, new, strict=True):
            buffer[self._rows, self._positions] = written
        n = len(keys)
        return held[0][:n, : self._length].transpose(1, 2), held[1][:n, : self._length].transpose(1, 2)

    def spread(self, origins: Sequence[int]) -> None:
        """Let row ``i`` begin as a copy of row ``origins[i]``."""
        for layer, held in enumerate(self._layers):
            keys, values = (self._buffer(buffer, len(origins)) for buffer in held)
            for old, new in zip(held, (keys, values), strict=True):
                new[:, : self._length] = old[list(origins), : self._length]
            self._layers[layer] = (keys, values)

    def move(self, origins: Sequence[int], targets: Sequence[int]) -> None:
        """Write rows over others."""
        for held in self._layers:
            for buffer in held:
                buffer[list(targets), : self._length] = buffer[list(origins), : self._length]

    def _buffer(self, like: torch.Tensor, rows: int) -> torch.Tensor:
        """Room for the present length and more; zeros, because what is hidden still has to be finite."""
        room = max(self._length, min(int(self._length * ROOM) + 16, self._longest))
        return like.new_zeros((rows, room, *like.shape[2:]))

    def _longer(self, old: torch.Tensor) -> torch.Tensor:
        buffer = self._buffer(old, len(old))
        buffer[:, : old.shape[1]] = old
        return buffer
