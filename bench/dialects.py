"""Rollouts as real models have them: natural language, tools in the prompt, JSON calls; random weights.

The weights are random, so every turn runs to its limit of tokens on both sides: the same work is compared.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from bench.timing import Row, speed_up
from persistence_pipeline.agents.families import MODEL_FAMILIES, use_family
from persistence_pipeline.rollout.batched import BatchedPolicy, SamplingSettings
from persistence_pipeline.rollout.dialect import dialect_of
from persistence_pipeline.rollout.episode import Episode
from persistence_pipeline.world.cases import Case
from persistence_pipeline.world.splits import WorldSettings, generate_cases

EPISODES = 64
TURN_TOKENS = 32
TURNS = 4


def measure(repeats: int) -> list[Row]:
    """The row of rollouts in a dialect of real models."""
    tokenizer, model = _model()
    settings = SamplingSettings(max_turn_tokens=TURN_TOKENS, max_turns=TURNS, batch_size=EPISODES)
    policy = BatchedPolicy(model, tokenizer, settings)
    row = speed_up(
        "dialects",
        f"rollouts in natural language, {EPISODES} episodes of {TURNS} turns, Qwen2 shape of 2 layers",
        "one episode at a time with `generate`, prefilling every turn",
        lambda: list(policy.play(_episodes())),
        lambda: [_play_alone(episode, model, tokenizer) for episode in _episodes()],
        target=20,
        repeats=repeats,
    )
    return [row]


@cache
def _cases() -> list[Case]:
    twins = {"train": 1, "test_iid": 0, "test_combination": 0, "test_domain": 0}
    return generate_cases(WorldSettings(phrasing="natural", twins_per_group=twins), 0)[:EPISODES]


def _episodes() -> list[Episode]:
    cases = _cases()
    return [
        Episode(cases[n % len(cases)], policy="bench", seed=0, sample=n // len(cases), max_turns=TURNS)
        for n in range(EPISODES)
    ]


def make_tokenizer() -> Any:
    """A byte-level tokenizer of the world's text, with the control tokens and the template of Qwen2.5."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    family = MODEL_FAMILIES["qwen2_5"]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    control = ["<|endoftext|>", *family.control_tokens, "</tool_call>"]
    trainer = trainers.BpeTrainer(
        vocab_size=3000,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=control,
        show_progress=False,
    )
    texts = [json.dumps(tool) for episode in _episodes() for tool in episode.tools]
    tokenizer.train_from_iterator([*texts, *(case.instruction for case in _cases())], trainer)
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>")
    use_family(wrapped, family)
    return wrapped


def _model() -> tuple[Any, Any]:
    """A tiny model with its tokenizer."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    wrapped = make_tokenizer()
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        "qwen2",
        vocab_size=len(wrapped),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        intermediate_size=128,
        max_position_embeddings=4096,
    )
    return wrapped, AutoModelForCausalLM.from_config(config, dtype=torch.float32)


def _play_alone(episode: Episode, model: Any, tokenizer: Any) -> Episode:
    """Render the transcript, generate a turn, execute it, repeat."""
    import torch

    dialect = dialect_of(tokenizer)
    while not episode.done:
        ids = torch.tensor([dialect.transcript.prompt(episode.messages, episode.tools)])
        with torch.inference_mode():
            out = model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=TURN_TOKENS,
                do_sample=True,
                top_k=0,
                pad_token_id=tokenizer.pad_token_id,
                eos_token_id=dialect.transcript.closing,
            )
        turn = out[0, ids.shape[1] :].tolist()
        ended = turn[-1] in dialect.transcript.closing
        episode.take(dialect.parse_turn(turn, episode.environment.tools, ended))
    return episode
