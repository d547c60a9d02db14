"""Keys and values of a batch whose rows have different lengths, in buffers that are written in place.

A model calls ``update`` as it would call a cache of transformers, and its attention calls ``attend``. Row ``i``
of the batch is row ``i`` of the buffers, (rows, key heads, length, size) in each layer; what lies beyond a row's
length is hidden from it by masks. Which tokens are computed, and when, is decided in ``rollout/batched.py``.
"""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from persistence_pipeline.rollout.engine.attention import (
    AttentionError,
    PrefillGroup,
    decode_attention,
    prefill_attention,
)

if TYPE_CHECKING:
    import torch

    from persistence_pipeline.rollout.engine.prefill import Step

    Layers = list[tuple[torch.Tensor, torch.Tensor]]

GROWTH = 1.25
"""A buffer that is full is replaced by one with room for this many times the length that is needed."""
MIN_LENGTH = 16
"""Keys that are read at least: products of very small matrices are slower than those of somewhat larger ones."""


class KVCache:
    """The cache of a batch, all layers; its buffers serve one batch after another.

    Args:
        longest: Positions that no row exceeds.
        most: Rows that no batch exceeds.
        device: Where the model is.
        dtype: Of its keys and values.
    """

    def __init__(self, longest: int, most: int, device: torch.device, dtype: torch.dtype) -> None:
        self._longest = longest
        self._most = most
        self._device = device
        self._dtype = dtype
        self._layers: Layers = []
        self.reset()

    def reset(self) -> None:
        """Forget the batch before, whose keys might not be finite: what is hidden still has to be."""
        for held in self._layers:
            for buffer in held:
                buffer.zero_()
        self._length = 0

    def set_step(self, step: Step) -> None:
        """Say which tokens are computed next."""
        positions = step.positions
        self._n_rows = step.n_rows
        self._length = max(int(positions.max()) + 1, MIN_LENGTH)
        self._rows, self._positions = self._tensor(step.row_of_token), self._tensor(positions)
        self._slots: dict[tuple[int, int], torch.Tensor] = {}
        self._attended: set[int] = set()
        self._mask = self._hidden(positions[: step.n_rows, None] < np.arange(self._length))[:, None, None]
        self._prefill_groups = [
            self._prefill_group(tokens, positions, step.row_of_token) for tokens in step.prefill_groups()
        ]

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write (1, key heads, tokens, size) where the step says; the attention reads them here.

        Raises:
            AttentionError: keys and values differ in shape, as where a model keeps them compressed.
        """
        if keys.shape != values.shape:
            raise AttentionError(
                f"the model keeps {tuple(keys.shape)} and {tuple(values.shape)} for its keys and values, and "
                "rollouts in process compute with equal shapes alone: serve it, and name the server under "
                "rollout.served"
            )
        new = (keys[0].transpose(0, 1), values[0].transpose(0, 1))
        if layer == len(self._layers):
            nothing = new[0].new_zeros((0, new[0].shape[1], 0, new[0].shape[2]))
            self._layers.append((nothing, nothing))
        self._make_room(layer, self._n_rows)
        for buffer, written in zip(self._layers[layer], new, strict=True):
            heads, room, size = buffer.shape[1:]
            buffer.view(-1, size).index_copy_(0, self._slots_of(heads, room), written.reshape(-1, size))
        return keys, values

    def _slots_of(self, heads: int, room: int) -> torch.Tensor:
        """Where each token of the step stands, head by head, in a buffer taken as a list of vectors."""
        import torch

        if (heads, room) not in self._slots:
            of_head = self._rows[:, None] * heads + torch.arange(heads, device=self._device)
            self._slots[heads, room] = (of_head * room + self._positions[:, None]).flatten()
        return self._slots[heads, room]

    def attend(self, query: torch.Tensor, layer: int) -> torch.Tensor:
        """Attention of the step's tokens in a layer: scaled queries (tokens, heads, size) to outputs alike."""
        import torch

        n = self._n_rows
        self._attended.add(layer)
        keys, values = (buffer[:n, :, : self._length] for buffer in self._layers[layer])
        # (tokens, key heads, queries of a key head, size)
        by_key_head = query.reshape(len(query), keys.shape[1], -1, keys.shape[3])
        last = decode_attention(by_key_head[:n], keys, values, self._mask)
        if not self._prefill_groups:
            return last.flatten(1, 2)
        outputs = torch.empty_like(by_key_head)
        outputs[:n] = last
        for group in self._prefill_groups:
            before = prefill_attention(by_key_head, keys, values, group)
            outputs.index_copy_(0, group.tokens.flatten()[group.filled], before)
        return outputs.flatten(1, 2)

    def require_attention(self, model: str) -> None:
        """See that each layer of the model has attended here in this step.

        Raises:
            AttentionError: one has not, so the rows of the step have been taken for one sequence.
        """
        if not self._layers or len(self._attended) < len(self._layers):
            raise AttentionError(
                f"{model} does not tell its attention whose tokens it reads, so it cannot be rolled out in "
                "process: serve it, and name the server under rollout.served"
            )

    def broadcast(self, prefix_of_row: Sequence[int]) -> None:
        """Let each row to come begin with a copy of the row named for it, of those just computed."""
        n, origins = len(prefix_of_row), self._tensor(np.asarray(prefix_of_row))
        for layer in range(len(self._layers)):
            self._make_room(layer, n)
            for buffer in self._layers[layer]:
                read = buffer[: self._n_rows, :, : self._length]
                buffer[:n, :, : self._length] = read.index_select(0, origins)

    def reorder(self, origins: Sequence[int], targets: Sequence[int], n_rows: int) -> None:
        """Write copies of rows over others or behind the last, and forget all beyond the first ``n_rows``."""
        if not targets and n_rows == self._n_rows:
            return
        if targets:
            there, here = self._tensor(np.asarray(origins)), self._tensor(np.asarray(targets))
            for layer in range(len(self._layers)):
                self._make_room(layer, n_rows)
                for buffer in self._layers[layer]:
                    used = buffer[:, :, : self._length]
                    used.index_copy_(0, here, used.index_select(0, there))

    def _make_room(self, layer: int, n_rows: int) -> None:
        """See that a layer's buffers hold so many rows of the present length, and some more.

        What is new in them is zero, because what is hidden still has to be finite.
        """
        rows, heads, room, size = self._layers[layer][0].shape
        if n_rows <= rows and self._length <= room:
            return
        if n_rows > rows > 0:
            n_rows = max(n_rows, min(int(n_rows * GROWTH), self._most))
        if self._length > room:
            room = max(self._length, min(int(self._length * GROWTH) + MIN_LENGTH, self._longest))
        grown = []
        for old in self._layers[layer]:
            grown.append(_zeros((max(rows, n_rows), heads, room, size), old))
            grown[-1][:rows, :, : old.shape[2]] = old
        self._layers[layer] = (grown[0], grown[1])

    def _prefill_group(self, tokens: np.ndarray, positions: np.ndarray, row_of_token: np.ndarray) -> PrefillGroup:
        """Rows in prefill, from where their tokens stand in the step: (m, widest), -1 for none."""
        there = tokens >= 0
        tokens = np.where(there, tokens, tokens[:, :1])
        rows = row_of_token[tokens[:, 0]]
        hidden = positions[tokens][:, :, None] < np.arange(self._length)
        filled = self._tensor(np.flatnonzero(there))
        return PrefillGroup(self._tensor(rows), self._tensor(tokens), self._hidden(hidden)[:, None], filled)

    def _tensor(self, values: np.ndarray) -> torch.Tensor:
        import torch

        return torch.from_numpy(np.ascontiguousarray(values)).to(self._device)

    def _hidden(self, hidden: np.ndarray) -> torch.Tensor:
        """Additive mask."""
        import torch

        mask = torch.zeros(hidden.shape, dtype=self._dtype, device=self._device)
        return mask.masked_fill_(self._tensor(hidden), -torch.inf)


def _zeros(shape: tuple[int, ...], like: torch.Tensor) -> torch.Tensor:
    """A buffer of zeros; on a CPU of pages of its own, which the system has back when it is replaced.

    On the heap the buffers before it would leave holes between what else is allocated, too small for larger ones:
    a rollout then held more than twice what its buffers take.
    """
    import torch

    if like.device.type != "cpu" or not prod(shape):
        return like.new_zeros(shape)
    pages = mmap.mmap(-1, prod(shape) * like.element_size())
    return torch.frombuffer(pages, dtype=like.dtype).view(shape)
