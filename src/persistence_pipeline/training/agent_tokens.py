"""Log-probabilities of the agent's tokens alone: what a model makes of all others is never computed.

A vocabulary may have fifty thousand words, of which each scored token needs a logit; most tokens of a transcript
were not written by the agent.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import linear


def score_tokens(hidden: torch.Tensor, head: Any, targets: torch.Tensor) -> torch.Tensor:
    """Log-probability of each token, (tokens,) in float32.

    Args:
        hidden: (tokens, hidden units) from which each token is predicted.
        head: The output layer; its product alone makes the logits. It is computed in the dtype of ``hidden``.
        targets: (tokens,) ids.
    """
    bias = None if head.bias is None else head.bias.to(hidden.dtype)
    logits = linear(hidden, head.weight.to(hidden.dtype), bias).float()
    return logits.gather(-1, targets[:, None])[:, 0] - logits.logsumexp(-1)
