"""A tiny tokenizer, a tiny model and preference pairs that need nothing of the project's own agents."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from persistence_pipeline.records import Message, PreferencePair, ToolCall

SPECIAL = ("<|pad|>", "<|unknown|>", "<|user|>", "<|assistant|>", "<|tool|>", "<|end|>")
WORDS = ("read", "delete", "ask_user", "finish", "shared", "plain", "please", *(f"f{i}" for i in range(20)))
TEMPLATE = (
    "{%- for m in messages -%}{%- if m.role == 'assistant' -%}<|assistant|> {% generation %}"
    "{%- for c in m.tool_calls or [] -%}{{ c.function.name }} "
    "{% for v in c.function.arguments.values() %}{{ v }} {% endfor %}{%- endfor -%}"
    "{%- if m.content -%}{{ m.content }} {% endif %}<|end|>{% endgeneration %} "
    "{%- else -%}<|{{ m.role }}|> {{ m.content }} <|end|> {% endif -%}{%- endfor -%}"
    "{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}"
)


@pytest.fixture(scope="session")
def tiny_tokenizer() -> Any:
    """One token a word, six special tokens, a template with generation markers."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: index for index, word in enumerate((*SPECIAL, *WORDS))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<|unknown|>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(list(SPECIAL))
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<|pad|>", unk_token="<|unknown|>", eos_token="<|end|>"
    )
    wrapped.chat_template = TEMPLATE
    return wrapped


@pytest.fixture(scope="session")
def make_checkpoint(tiny_tokenizer: Any) -> Callable[..., Path]:
    """Saves a Llama of hidden size 32 and 2 layers with random weights; returns its directory."""

    def make(folder: Path, seed: int = 0, **shape: Any) -> Path:
        import torch
        from transformers import LlamaConfig, LlamaForCausalLM

        torch.manual_seed(seed)
        common = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
        config = LlamaConfig(
            vocab_size=len(tiny_tokenizer),
            max_position_embeddings=128,
            pad_token_id=tiny_tokenizer.pad_token_id,
            bos_token_id=None,
            eos_token_id=tiny_tokenizer.eos_token_id,
            **(common | shape),
        )
        LlamaForCausalLM(config).save_pretrained(folder)
        tiny_tokenizer.save_pretrained(folder)
        return folder

    return make


@pytest.fixture(scope="session")
def tiny_checkpoint(make_checkpoint: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with random weights."""
    return make_checkpoint(tmp_path_factory.mktemp("models") / "source")


def call(tool: str, *values: str) -> Message:
    """An assistant's turn with one call."""
    arguments = {f"a{index}": value for index, value in enumerate(values)}
    return Message(role="assistant", tool_calls=(ToolCall(name=tool, arguments=arguments),))


def tool(text: str) -> Message:
    """An observation."""
    return Message(role="tool", content=text, name="read")


def make_pairs(n: int, objective: str = "safety", seed: int = 0) -> list[PreferencePair]:
    """Pairs that prefer reading before deleting."""
    rng = random.Random(seed)
    pairs = []
    for index in range(n):
        files = [f"f{rng.randrange(20)}" for _ in range(rng.randint(1, 3))]
        careful: list[Message] = []
        for file in files:
            careful += [call("read", file), tool(f"{file} {rng.choice(['shared', 'plain'])}")]
        pairs.append(
            make_pair(
                [Message(role="user", content="please delete " + " ".join(files))],
                [*careful, call("finish")],
                [call("delete", files[0]), tool("plain"), call("finish")],
                name=f"p{index}",
                objective=objective,
            )
        )
    return pairs


def make_pair(
    prompt: Sequence[Message],
    chosen: Sequence[Message],
    rejected: Sequence[Message],
    name: str = "p",
    objective: str = "safety",
) -> PreferencePair:
    """A pair with ids made from ``name``."""
    return PreferencePair.model_validate(
        {
            "pair_id": name,
            "case_id": f"case-{name}",
            "objective": objective,
            "chosen_id": f"{name}/chosen",
            "rejected_id": f"{name}/rejected",
            "prompt": tuple(prompt),
            "chosen": tuple(chosen),
            "rejected": tuple(rejected),
        }
    )
