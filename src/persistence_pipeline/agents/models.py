"""Source models built from a ``transformers`` configuration: the architecture is a dimension of the study."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

from persistence_pipeline.strict import Strict

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

Architecture = Literal["llama", "qwen2", "gpt2"]


class ModelSettings(Strict):
    """Shape of a model trained from scratch."""

    architecture: Architecture = "llama"
    hidden_size: int = Field(96, gt=0)
    layers: int = Field(3, gt=0)
    heads: int = Field(3, gt=0)
    context: int = Field(256, gt=0)
    """Longest episode in tokens."""
    rope_theta: float = Field(100.0, gt=1)
    """Base of the rotary positions, about as large as an episode has tokens; ``gpt2`` learns its positions."""
    initializer_range: float = Field(0.1, gt=0)
    """Wide on purpose: copying identifiers emerges several times sooner than at the usual 0.02."""

    @model_validator(mode="after")
    def _heads_share_it(self) -> Self:
        size, rest = divmod(self.hidden_size, self.heads)
        if rest:
            raise ValueError(f"hidden_size {self.hidden_size} cannot be shared out among {self.heads} heads")
        if size % 2 and self.architecture != "gpt2":
            raise ValueError(f"each head has {size} dimensions; rotary positions need an even number")
        return self


def build_model(settings: ModelSettings, tokenizer: PreTrainedTokenizerFast, seed: int) -> PreTrainedModel:
    """A freshly initialised causal language model for the tokenizer's vocabulary, in float32."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    config = _config(settings, tokenizer)
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model


def _config(settings: ModelSettings, tokenizer: PreTrainedTokenizerFast) -> Any:
    from transformers import AutoConfig

    common = {
        "vocab_size": len(tokenizer),
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "initializer_range": settings.initializer_range,
        "tie_word_embeddings": False,
    }
    shape: dict[str, Any]
    if settings.architecture == "gpt2":
        shape = {
            "n_embd": settings.hidden_size,
            "n_layer": settings.layers,
            "n_head": settings.heads,
            "n_positions": settings.context,
            "resid_pdrop": 0.0,
            "embd_pdrop": 0.0,
            "attn_pdrop": 0.0,
        }
    else:
        shape = {
            "hidden_size": settings.hidden_size,
            "num_hidden_layers": settings.layers,
            "num_attention_heads": settings.heads,
            "num_key_value_heads": settings.heads,
            "intermediate_size": 8 * settings.hidden_size // 3,
            "max_position_embeddings": settings.context,
            "rope_parameters": {"rope_type": "default", "rope_theta": settings.rope_theta},
        }
    return AutoConfig.for_model(settings.architecture, **common, **shape)
