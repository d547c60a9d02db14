"""What is measured, at full size and at the size at which a CPU rehearses it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SHAPES: dict[str, dict[str, Any]] = {
    "qwen2_5_7b": {
        "model_type": "qwen2",
        "vocab_size": 152064,
        "hidden_size": 3584,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "intermediate_size": 18944,
        "max_position_embeddings": 32768,
        "tie_word_embeddings": False,
    },
    "llama3_1_8b": {
        "model_type": "llama",
        "vocab_size": 128256,
        "hidden_size": 4096,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "intermediate_size": 14336,
        "max_position_embeddings": 131072,
        "tie_word_embeddings": False,
    },
    "qwen2_5_1_5b": {
        "model_type": "qwen2",
        "vocab_size": 151936,
        "hidden_size": 1536,
        "num_hidden_layers": 28,
        "num_attention_heads": 12,
        "num_key_value_heads": 2,
        "intermediate_size": 8960,
        "max_position_embeddings": 32768,
        "tie_word_embeddings": True,
    },
    "tiny": {
        "model_type": "qwen2",
        "vocab_size": 4000,
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "intermediate_size": 128,
        "max_position_embeddings": 8192,
        "tie_word_embeddings": True,
    },
}


@dataclass(frozen=True)
class StagePoint:
    """One stage whose steps are timed."""

    shape: str
    tokens: int
    """Of each trajectory, about."""
    batch: int = 1
    """Pairs at once; 8 of them, or more, are a step."""
    lora: bool = True
    steps: int = 5
    """Timed, behind one that warms up."""

    @property
    def name(self) -> str:
        """Of the point in the report."""
        kind = "lora" if self.lora else "full"
        return f"{self.shape} {kind}, {self.tokens} tokens, batch {self.batch}"


@dataclass(frozen=True)
class RolloutPoint:
    """Rollouts of one shape, at one or more sizes of a batch."""

    shape: str
    batches: tuple[int, ...]
    turns: int = 4
    turn_tokens: int = 32
    alone: int = 4
    """Episodes that are played one at a time."""
    repeats: int = 3


@dataclass(frozen=True)
class Sizes:
    """All that depends on whether a GPU measures or a CPU rehearses."""

    matrix: int
    copied: int
    stage: StagePoint
    rollouts: RolloutPoint
    more_stages: tuple[StagePoint, ...]
    more_rollouts: RolloutPoint
    beside: StagePoint
    """Two of it share the card."""


FULL = Sizes(
    matrix=8192,
    copied=4 * 2**30,
    stage=StagePoint("qwen2_5_7b", 2048),
    rollouts=RolloutPoint("qwen2_5_1_5b", (64, 256)),
    more_stages=(
        StagePoint("qwen2_5_7b", 2048, batch=4),
        StagePoint("qwen2_5_7b", 512, batch=8),
        StagePoint("qwen2_5_7b", 8192, steps=2),
        StagePoint("llama3_1_8b", 2048),
        StagePoint("qwen2_5_1_5b", 2048, batch=4, lora=False),
    ),
    more_rollouts=RolloutPoint("qwen2_5_1_5b", (512,), repeats=1),
    beside=StagePoint("qwen2_5_1_5b", 512),
)
TINY = Sizes(
    matrix=128,
    copied=2**20,
    stage=StagePoint("tiny", 64, steps=2),
    rollouts=RolloutPoint("tiny", (2, 4), turns=2, turn_tokens=4, alone=2, repeats=1),
    more_stages=(StagePoint("tiny", 64, batch=2, lora=False, steps=1),),
    more_rollouts=RolloutPoint("tiny", (8,), turns=2, turn_tokens=4, alone=1, repeats=1),
    beside=StagePoint("tiny", 32, steps=1),
)
