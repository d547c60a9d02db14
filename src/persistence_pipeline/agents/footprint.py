"""Memory and arithmetic of a stage and of a rollout, predicted from the model's shape before anything is loaded.

Of decoders with gated layers (Llama, Qwen2, Qwen3, Phi-3). Bytes of tensors are counted, as
``torch.cuda.max_memory_allocated`` does: what the allocator keeps beside them, and CUDA's own half a gigabyte,
come on top.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TILE_TOKENS, TILE_WORDS = 4096, 32_768
"""Logits that TRL's head lays out at once (``trl/kernels/chunked_logprob.py``)."""
LAYER_LORA = (38, 10)
LAYER_FULL = (32, 8)
"""Bytes that one layer saves for its backward pass, by token: for each hidden unit, for each unit of its MLP.
Adapters on all matrices save their inputs, with dropout; a model that is trained itself is float32 between layers.
Where products are float32, adapters and MLP save twice as many."""
BACKWARD_LORA = (4, 5)
BACKWARD_FULL = (5, 4)
"""Bytes of gradients that are alive at once while a layer goes backward, by token, likewise. These eight numbers
are counts of a Qwen2 layer under bfloat16 autocast; ``tests/agents/test_footprint.py`` counts again."""
ADAM_STATES = 2
GROWN, GROWN_MORE = 1.25, 16
"""By how much, and how many tokens more, a rollout's buffers grow beyond what they need
(``rollout/engine/cache.py``)."""


@dataclass(frozen=True)
class ModelShape:
    """The shape of a decoder, from which its size follows."""

    vocabulary: int
    hidden: int
    layers: int
    heads: int
    key_heads: int
    head_size: int
    inner: int
    """Width of the gated MLP."""
    tied: bool
    """Whether the head is the embedding."""
    biased: bool = False
    """Whether query, key and value have biases."""

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> ModelShape:
        """From a model's configuration (``config.json``).

        Raises:
            ValueError: it is not that of a decoder with gated layers.
        """
        try:
            heads = config["num_attention_heads"]
            return cls(
                vocabulary=config["vocab_size"],
                hidden=config["hidden_size"],
                layers=config["num_hidden_layers"],
                heads=heads,
                key_heads=config.get("num_key_value_heads") or heads,
                head_size=config.get("head_dim") or config["hidden_size"] // heads,
                inner=config["intermediate_size"],
                tied=bool(config.get("tie_word_embeddings", False)),
                biased=config.get("model_type") == "qwen2",
            )
        except KeyError as missing:
            raise ValueError(f"no size is predicted for {config.get('model_type')}: no {missing}") from None

    @property
    def linears(self) -> list[tuple[int, int]]:
        """Inputs and outputs of the matrices of a layer."""
        asked, of_keys = self.heads * self.head_size, self.key_heads * self.head_size
        attention = [(self.hidden, asked), (self.hidden, of_keys), (self.hidden, of_keys), (asked, self.hidden)]
        return [*attention, (self.hidden, self.inner), (self.hidden, self.inner), (self.inner, self.hidden)]

    @property
    def embedding(self) -> int:
        """Parameters of the embedding; of a head of its own as many."""
        return self.vocabulary * self.hidden

    @property
    def in_layers(self) -> int:
        """Parameters of the layers' matrices."""
        return self.layers * sum(inputs * outputs for inputs, outputs in self.linears)

    @property
    def parameters(self) -> int:
        """All of them."""
        biases = (self.heads + 2 * self.key_heads) * self.head_size if self.biased else 0
        rest = self.layers * (2 * self.hidden + biases) + self.hidden
        return self.embedding * (1 if self.tied else 2) + self.in_layers + rest

    def adapters(self, rank: int) -> int:
        """Parameters of low-rank adapters on all matrices of the layers."""
        return self.layers * rank * sum(inputs + outputs for inputs, outputs in self.linears)


@dataclass(frozen=True)
class StageSize:
    """The batch and settings of a stage, on which its memory depends beside the model."""

    rows: int
    """Trajectories at once: two for each pair of a batch."""
    tokens: int
    """Of the longest of them."""
    scored: int
    """Tokens of a batch that the agent wrote: the others need no logits."""
    rank: int | None = 16
    """Of the adapters; None where the model itself is trained."""
    checkpointing: bool = True
    weight_bytes: int = 2
    """Of a parameter as it is loaded: 2 in bfloat16, 4 in float32 and wherever the model itself is trained."""
    product_bytes: int = 2
    """Of a number in a matrix product: 2 in bfloat16."""
    tiled: bool = True
    """Whether logits are laid out a tile at a time, as on GPUs; else all that are scored are held
    (``training/agent_tokens.py``)."""
    seen: int = 0
    """Pairs of tokens of which a layer keeps how much one attends to the other, in each head; none where attention
    is computed by a fused kernel (``training/attention.py``)."""


def stage_memory(shape: ModelShape, size: StageSize) -> dict[str, float]:
    """Bytes of a DPO stage on one device at its peak, by part, and their sum as ``total``.

    The reference is computed before the first step, by the same weights, so it adds nothing.

    - ``weights``: P · weight_bytes; of P parameters.
    - ``trained``: of T parameters that are trained, 4 bytes each: gradients (kept from batch to batch of a step)
      and Adam's two states; of adapters also themselves, and their copy at the start (TRL keeps it).
    - ``kept``: kept from the forward pass: each layer's input, or without checkpointing all that it saves.
    - ``at once``: the largest of: a layer in its backward pass (what it saves, gradients on their way, the mask of
      a padded batch); the end of the forward pass, where autocast holds all weights in the products' type if they
      are wider; the head in its backward pass (a tile of logits, or without tiles three times all of them in
      float32; the scored tokens' hidden states and their gradient in float32; where it is trained its gradient in
      float32).
    """
    tokens = size.rows * size.tokens
    wide = size.product_bytes // 2
    of_hidden, of_inner = LAYER_LORA if size.rank else LAYER_FULL
    own = tokens * _units(shape, (of_hidden * (wide if size.rank else 1), of_inner * wide))
    own += (size.rows * size.tokens**2 + size.seen * shape.heads) * size.product_bytes
    backward = tokens * _units(shape, BACKWARD_LORA if size.rank else BACKWARD_FULL)
    narrowed = shape.in_layers * size.product_bytes if size.product_bytes < size.weight_bytes else 0
    inputs = shape.layers * tokens * shape.hidden * size.weight_bytes
    saved = shape.layers * own + narrowed
    layer = backward + (own + narrowed // shape.layers if size.checkpointing else 0)
    end = backward + narrowed + 4 * tokens * shape.hidden * size.weight_bytes if size.checkpointing else 0
    parts = {
        "weights": float(shape.parameters * size.weight_bytes),
        "trained": float(_trained(shape, size) * 4),
        "kept": float(inputs if size.checkpointing else saved),
        "at once": float(max(layer, end, _head(shape, size))),
    }
    return {**parts, "total": sum(parts.values())}


def _units(shape: ModelShape, by_unit: tuple[int, int]) -> int:
    return by_unit[0] * shape.hidden + by_unit[1] * shape.inner


def _head(shape: ModelShape, size: StageSize) -> int:
    """Bytes of the head in its backward pass."""
    if size.tiled:
        tile = min(size.scored, TILE_TOKENS) * TILE_WORDS * size.product_bytes
    else:
        tile = size.scored * shape.vocabulary * 3 * 4
    return tile + size.scored * shape.hidden * (4 + size.product_bytes) + (0 if size.rank else 4 * shape.embedding)


def _trained(shape: ModelShape, size: StageSize) -> int:
    """Numbers that are held for what is trained, beside the weights."""
    if size.rank:
        return shape.adapters(size.rank) * (3 + ADAM_STATES)  # themselves, their copy, their gradients
    return shape.parameters * (1 + ADAM_STATES)


@dataclass(frozen=True)
class RolloutSize:
    """The batch of a rollout, on which its memory depends beside the model."""

    rows: int
    """Episodes at once."""
    longest: int
    """Tokens of the longest of them."""
    shared: int = 0
    """Tokens with which episodes begin alike: these are computed once."""
    beginnings: int = 1
    """How many such beginnings there are."""
    at_once: int = 4096
    """Tokens that a step reads beside one of each row (``rollout/engine/prefill.py``)."""
    dtype_bytes: int = 2
    """Of weights and cache."""


def rollout_memory(shape: ModelShape, size: RolloutSize) -> dict[str, float]:
    """Bytes of a rollout in process at its peak, by part, and their sum as ``total``.

    - ``weights``: P · dtype_bytes.
    - ``cache``: of each token of a row 2 · layers · key heads · head size · dtype_bytes, in buffers that grow by
      a quarter and some more; one layer's old ones are held while they do.
    - ``logits``: rows · vocabulary · (dtype_bytes + 3 · 8): drawn in float64 (``rollout/engine/sampling.py``).
    - ``reading``: the tokens of a step in one layer: 4 hidden states, 3 inner ones; and of each beginning,
      which of its tokens may see which: a flag and a summand of each pair.
    """
    own = size.rows * (size.longest - size.shared)
    held = size.rows * _grown(size, shape.layers)
    step = size.rows + min(size.at_once, max(size.beginnings * size.shared, own))
    masks = size.beginnings * size.shared**2 * (1 + size.dtype_bytes)
    parts = {
        "weights": float(shape.parameters * size.dtype_bytes),
        "cache": held * 2 * shape.layers * shape.key_heads * shape.head_size * size.dtype_bytes,
        "logits": float(size.rows * shape.vocabulary * (size.dtype_bytes + 3 * 8)),
        "reading": float(step * (4 * shape.hidden + 3 * shape.inner) * size.dtype_bytes + masks),
    }
    return {**parts, "total": sum(parts.values())}


def _grown(size: RolloutSize, layers: int) -> float:
    """Tokens of a row that the buffers have room for in the end, and those of a layer that is replaced."""
    room, before = int(size.shared * GROWN) + GROWN_MORE, 0
    while room < size.longest:
        room, before = int((room + 1) * GROWN) + GROWN_MORE, room
    return room + before / layers


def operations_per_token(shape: ModelShape, lora: bool, scored_share: float = 1.0) -> float:
    """Floating-point operations that training takes per token: 4N with adapters, 6N of a model trained itself.

    N counts what is multiplied: the layers' matrices, and the head for the share of tokens that is scored. Forward
    2N, backward through the activations 2N, through the weights 2N more where they are trained. What recomputation
    repeats (2N) is not counted, nor are attention over the transcript and the adapters themselves.
    """
    return (4 if lora else 6) * (shape.in_layers + scored_share * shape.embedding)
