"""What real models bring, made here: byte-level tokenizers with a family's control tokens, and tiny models."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

FURTHER_TOKENS = {
    "qwen2_5": ("</tool_call>",),
    "qwen3": ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"),
    "llama3_1": ("<|begin_of_text|>", "<|eom_id|>", "<|python_tag|>", "<|finetune_right_pad_id|>"),
    "phi4": (),
    "smollm2": ("<repo_name>", "<file_sep>", "<empty_output>"),
    "chatml": (),
}
CHATML_TEMPLATE = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + "
    "'\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SMOLLM2_TEMPLATE = (
    "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, "
    "trained by Hugging Face<|im_end|>\n' }}{% endif %}" + CHATML_TEMPLATE
)
PHI4_TEMPLATE = (
    "{% for message in messages %}{% if (message['role'] == 'system') %}{{'<|im_start|>system<|im_sep|>' + "
    "message['content'] + '<|im_end|>'}}{% elif (message['role'] == 'user') %}{{'<|im_start|>user<|im_sep|>' + "
    "message['content'] + '<|im_end|>'}}{% elif (message['role'] == 'assistant') %}"
    "{{'<|im_start|>assistant<|im_sep|>' + message['content'] + '<|im_end|>'}}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}"
    "{{ '<|im_start|>assistant<|im_sep|>' }}{% endif %}"
)


@lru_cache
def native_template(family: str) -> str:
    """The chat template that the family's models come with."""
    import trl

    without_tools = {"phi4": PHI4_TEMPLATE, "chatml": CHATML_TEMPLATE, "smollm2": SMOLLM2_TEMPLATE}
    if family in without_tools:
        return without_tools[family]
    return (Path(trl.__file__).parent / "chat_templates" / f"{family}.jinja").read_text(encoding="utf-8")


def bpe_tokenizer(family: str, texts: Iterable[str] = (), size: int = 700) -> Any:
    """A byte-level tokenizer trained on ``texts``, with the template that the family's models bring."""
    from persistence_pipeline.agents.families import MODEL_FAMILIES

    control = ("<|endoftext|>", *MODEL_FAMILIES[family].control_tokens, *FURTHER_TOKENS[family])
    wrapped = byte_level(control, texts, size, bos="<|begin_of_text|>" if family == "llama3_1" else None)
    wrapped.chat_template = native_template(family)
    return wrapped


def byte_level(control: Iterable[str], texts: Iterable[str] = (), size: int = 700, bos: str | None = None) -> Any:
    """A byte-level tokenizer trained on ``texts``; the first of its special tokens ends a text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    special = list(dict.fromkeys(control))
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=special,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=bos, eos_token=special[0])


def tiny_model(architecture: str, tokenizer: Any, context: int = 8192, hidden: int = 32, seed: int = 0) -> Any:
    """A model of two layers with random weights, of an architecture of the hub."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    common = {
        "vocab_size": len(tokenizer),
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "initializer_range": 0.1,
    }
    if architecture == "gpt2":
        shape = {"n_embd": hidden, "n_layer": 2, "n_head": 2, "n_positions": context}
    else:
        shape = {
            "hidden_size": hidden,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "intermediate_size": 2 * hidden,
            "max_position_embeddings": context,
        }
    torch.manual_seed(seed)
    config = AutoConfig.for_model(architecture, **common, **shape)
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32)


def save_hub_model(architecture: str, family: str, folder: Path, texts: Iterable[str] = (), **shape: Any) -> Path:
    """A directory with a tiny model and tokenizer, as a hub model lies on disk."""
    tokenizer = bpe_tokenizer(family, texts, 3000)
    model = tiny_model(architecture, tokenizer, **shape)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
