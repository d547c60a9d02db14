"""TRL's fused language-model head with tiles no wider than the vocabulary.

TRL lays out 32,768 logits for each token whatever the vocabulary. Where the vocabulary has hundreds of words, the
system still maps and takes back those pages at every batch: about a tenth of the time of a tiny model's step. The
arithmetic here is TRL's own function, so the bytes of a trained model are the same.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from peft import PeftModel
from trl.kernels import ChunkedLogProbFunction
from trl.trainer.utils import FusedCausalLMOutput

TRL_TILE = 32_768
PLAIN_HEADS = frozenset({"gpt2", "llama", "qwen2"})
"""Model types whose logits are the head's product and nothing more: not scaled, not capped."""
LOG_PROBS = ("log_probs",)
OF_A_STEP = ("log_probs", "entropy", "mean_logits", "is_top1")
"""What TRL's DPO loss and its metrics read."""


class NarrowHead:
    """Stands in for a causal language model where TRL calls it with ``fused_lm_head=True``, and only there."""

    def __init__(self, model: Any, outputs: tuple[str, ...]) -> None:
        self._model = model
        self._outputs = outputs

    def __call__(
        self, *, labels: torch.Tensor, fused_lm_head: Literal[True], **inputs: Any
    ) -> FusedCausalLMOutput:
        """Per-token values of (rows, tokens - 1), zero where the label is -100, as TRL's own head gives them."""
        hidden = self._model.base_model(**inputs).last_hidden_state[:, :-1]
        head, wanted = self._model.get_output_embeddings(), labels[:, 1:]
        mask = wanted != -100
        scored = ChunkedLogProbFunction.apply(
            hidden.reshape(-1, hidden.shape[-1]),
            head.weight,
            head.bias,
            wanted.clamp(min=0).reshape(-1),
            1.0,
            len(head.weight),
            None,
            1.0,
            self._outputs,
        )
        fields = (None if x is None else x.view(mask.shape).masked_fill(~mask, 0) for x in scored)
        log_probs, entropy, _, mean_logits, is_top1 = fields
        return FusedCausalLMOutput(
            log_probs=log_probs, entropy=entropy, mean_logits=mean_logits, is_top1=is_top1, label_mask=mask
        )


def fit_tiles(model: Any, outputs: tuple[str, ...]) -> Any:
    """The model behind a narrow head; the model itself where TRL's tiles do not hurt or its head does more."""
    whole = model.get_base_model() if isinstance(model, PeftModel) else model
    fits = whole.config.model_type in PLAIN_HEADS and whole.config.vocab_size < TRL_TILE
    return NarrowHead(whole, outputs) if fits and whole.device.type == "cpu" else model
