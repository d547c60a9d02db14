"""Draws tokens from logits, with random numbers that are given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def sample_tokens(
    logits: torch.Tensor, uniforms: Sequence[Sequence[float]], *, temperature: float, top_p: float
) -> list[int]:
    """A token for every sequence of every row: the cumulative distribution inverted at its random number.

    Args:
        logits: (rows, vocabulary).
        uniforms: By row, the random number of each of its sequences, in [0, 1).
        temperature: 0 takes the most likely token.
        top_p: Draws from the most likely tokens that together have this probability.
    """
    import torch

    if temperature == 0:
        likeliest = logits.argmax(-1).tolist()
        return [int(token) for token, drawn in zip(likeliest, uniforms, strict=True) for _ in drawn]
    likely = torch.softmax(logits.double() / temperature, -1)
    if top_p < 1:
        ordered, order = likely.sort(-1, descending=True)
        beyond = ordered.cumsum(-1) - ordered >= top_p
        likely = likely.scatter(-1, order, ordered.masked_fill(beyond, 0.0))
    cumulative = likely.cumsum(-1)
    counts = [len(drawn) for drawn in uniforms]
    if sum(counts) > len(counts):
        cumulative = cumulative.repeat_interleave(torch.tensor(counts, device=cumulative.device), 0)
    numbers = torch.tensor([number for drawn in uniforms for number in drawn], dtype=cumulative.dtype)
    scaled = numbers.to(cumulative.device).unsqueeze(1) * cumulative[:, -1:]
    return [int(token) for token in torch.searchsorted(cumulative, scaled, right=True)[:, 0].tolist()]
