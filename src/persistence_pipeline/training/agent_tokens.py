"""Log-probabilities of the agent's tokens alone: what a model makes of all others is never computed.

A vocabulary may have fifty thousand words, of which each scored token needs a logit; most tokens of a transcript
were not written by the agent. And the two sides of a pair begin alike, with their prompt at least: what they share
goes through the model once. On GPUs TRL's own head already leaves out what is not scored.
"""

from __future__ import annotations

import math
from types import MethodType
from typing import Any, NamedTuple

import torch
from peft import PeftModel
from torch.nn.functional import cross_entropy, linear
from trl.trainer.utils import FusedCausalLMOutput

IGNORED = -100
TRIAL_TOKENS = 6
SAME = {torch.float32: 1e-3, torch.bfloat16: 0.1}
"""Nats by which log-probabilities of TRL's head and of ours may differ in a trial; heads that scale or cap their
logits, and positions that are computed otherwise, lie further off."""


def score_tokens(hidden: torch.Tensor, head: Any, targets: torch.Tensor) -> torch.Tensor:
    """Log-probability of each token, (tokens,) in float32.

    Args:
        hidden: (tokens, hidden units) from which each token is predicted.
        head: The output layer; its product alone makes the logits. It is computed in the dtype of ``hidden``.
        targets: (tokens,) ids.
    """
    bias = None if head.bias is None else head.bias.to(hidden.dtype)
    logits = linear(hidden, head.weight.to(hidden.dtype), bias).float()
    return -cross_entropy(logits, targets, reduction="none")


def narrow_head(model: Any) -> None:
    """Have a model with TRL's head (``add_fused_lm_head``) compute less to the same effect, on a CPU.

    It answers ``model(..., labels=labels, fused_lm_head=True)`` as before, but only ``log_probs`` is computed: all
    else is nan, ``is_top1`` false, since no log of a stage has it. Where it would score otherwise than TRL's head,
    that stays.

    Args:
        model: Of transformers; adapters may stand in it or around it.
    """
    model = model.get_base_model() if isinstance(model, PeftModel) else model
    theirs = model.forward
    window = getattr(model.config.get_text_config(), "sliding_window", None) or math.inf

    def forward(self: Any, *args: Any, fused_lm_head: bool = False, **inputs: Any) -> Any:
        if not fused_lm_head or _is_elsewhere(self) or inputs["input_ids"].shape[1] > window:
            return theirs(*args, fused_lm_head=fused_lm_head, **inputs)
        return _score(self, inputs["input_ids"], inputs["attention_mask"], inputs["labels"])

    if not _is_elsewhere(model) and _agree(model, theirs):
        model.forward = MethodType(forward, model)


def _is_elsewhere(model: Any) -> bool:
    """On a GPU, or in shards."""
    weight = model.get_output_embeddings().weight
    return weight.device.type != "cpu" or hasattr(weight, "full_tensor")


def _agree(model: Any, theirs: Any) -> bool:
    """Score two pairs, one padded, with both heads."""
    vocabulary = model.config.get_text_config().vocab_size
    ids = torch.arange(4 * TRIAL_TOKENS).reshape(4, -1) * 7919 % vocabulary
    ids[2:, :2] = ids[:2, :2]
    attention = torch.ones_like(ids)
    attention[1, -2:] = 0
    labels = ids.masked_fill(attention == 0, IGNORED)
    labels[:, :1] = IGNORED
    lowest = min((weights.dtype for weights in model.parameters()), key=lambda dtype: dtype.itemsize)
    before = model.training
    model.eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=lowest == torch.bfloat16):
        expected = theirs(input_ids=ids, attention_mask=attention, labels=labels, fused_lm_head=True)
        try:
            found = _score(model, ids, attention, labels)
        except (TypeError, ValueError, RuntimeError):  # no positions, or a mask that its attention does not take
            return False
        finally:
            model.train(before)
    return bool(torch.allclose(expected.log_probs, found.log_probs, rtol=0, atol=SAME.get(lowest, 0.0)))


def _score(model: Any, ids: torch.Tensor, attention: torch.Tensor, labels: torch.Tensor) -> FusedCausalLMOutput:
    """Per-token values of (rows, tokens - 1), zero where the label is ``IGNORED``; chosen rows first."""
    packed = pack(ids, attention.sum(1))
    hidden = model.base_model(
        input_ids=packed.ids, attention_mask=packed.visible, position_ids=packed.positions, use_cache=False
    ).last_hidden_state
    mask = labels[:, 1:] != IGNORED
    rows, tokens = mask.nonzero(as_tuple=True)
    scored = score_tokens(
        hidden[rows % len(packed.ids), packed.places[rows, tokens]],
        model.get_output_embeddings(),
        labels[:, 1:][mask],
    )
    log_probs = torch.zeros(mask.shape).masked_scatter(mask, scored)
    unknown = torch.full(mask.shape, torch.nan)
    return FusedCausalLMOutput(
        log_probs=log_probs,
        entropy=unknown,
        mean_logits=unknown,
        is_top1=torch.zeros_like(mask),
        label_mask=mask,
    )


class Packed(NamedTuple):
    """Pairs of rows, each as one row: the chosen side, then of the rejected one what it does not share."""

    ids: torch.Tensor
    """(pairs, packed tokens)."""
    positions: torch.Tensor
    """Of each packed token in its own side."""
    visible: torch.Tensor
    """(pairs, 1, packed tokens, packed tokens): which tokens (last) each token sees."""
    places: torch.Tensor
    """(rows, tokens): where each token of the pairs' rows stands in its packed row."""


def pack(ids: torch.Tensor, lengths: torch.Tensor) -> Packed:
    """Pack rows (2 x pairs, tokens), chosen ones first, that are padded at their right to ``lengths`` (rows,)."""
    chosen, rejected = ids.chunk(2)
    first, second = (part[:, None] for part in lengths.chunk(2))
    token = torch.arange(ids.shape[1])
    alike = (chosen == rejected) & (token < torch.minimum(first, second))
    shared = alike.cumprod(1).sum(1, keepdim=True)
    place = torch.arange(int((first + second - shared).max()))
    of_chosen = place < first
    positions = torch.where(of_chosen, place, place - first + shared).clamp(max=len(token) - 1)
    packed = torch.where(of_chosen, chosen.gather(1, positions), rejected.gather(1, positions))
    earlier = place <= place[:, None]
    same_side = of_chosen[:, :, None] | ~of_chosen[:, None, :] | (place < shared)[:, None, :]
    moved = torch.where(token < shared, token, token - shared + first).clamp(max=len(place) - 1)
    places = torch.cat([token.clamp(max=len(place) - 1).expand_as(chosen), moved])
    return Packed(packed, positions, (earlier & same_side)[:, None], places)
