"""Rollouts in lockstep against one episode at a time with ``generate``."""

from __future__ import annotations

from typing import Any

from bench import materials
from bench.timing import Row, speed_up
from persistence_pipeline.agents.compact import ParseError, parse_call
from persistence_pipeline.rollout.episode import Episode, Turn
from persistence_pipeline.rollout.run import load_policy

EPISODES = 256
KINDS = {
    "rollouts": (2, "test", "as the study scores its cells: 2 samples of a test case"),
    "rollouts_candidates": (8, "train", "as the study makes candidates: 8 samples of a train case"),
    "rollouts_apart": (1, "test", "all of different test cases"),
}
"""Samples of a case and its split, by row; where samples are alike they are read once."""


def measure(repeats: int) -> list[Row]:
    """The rows of rollouts."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    policy = load_policy(materials.source(), materials.rollout_settings())
    model = AutoModelForCausalLM.from_pretrained(materials.source()).eval()
    tokenizer = AutoTokenizer.from_pretrained(materials.source())

    def row(name: str) -> Row:
        samples, split, what = KINDS[name]
        played: dict[str, list[Episode]] = {}

        def ours() -> None:
            played["ours"] = list(policy.play(_episodes(samples, split)))

        def theirs() -> None:
            played["theirs"] = [_play_alone(e, model, tokenizer) for e in _episodes(samples, split)]

        measured = speed_up(
            name,
            f"rollouts, {EPISODES} episodes, tiny model, {what}",
            "one episode at a time with `generate`, prefilling every turn",
            ours,
            theirs,
            target=20,
            repeats=repeats,
        )
        measured.details.update({side: _described(episodes) for side, episodes in played.items()})
        return measured

    return [row(name) for name in KINDS]


def _episodes(samples: int, split: str) -> list[Episode]:
    cases = [case for case in materials.cases() if (case.split == "train") == (split == "train")]
    return [
        Episode(case, policy="bench", seed=0, sample=sample, max_turns=10)
        for case in cases[: EPISODES // samples]
        for sample in range(samples)
    ]


def _play_alone(episode: Episode, model: Any, tokenizer: Any) -> Episode:
    """What one would write first: render the transcript, generate a turn, execute it, repeat."""
    import torch

    while not episode.done:
        spoken = [_as_dict(message) for message in episode.messages]
        text = tokenizer.apply_chat_template(spoken, tokenize=False, add_generation_prompt=True)
        ids = tokenizer(text, return_tensors="pt", add_special_tokens=False)["input_ids"]
        if ids.shape[1] >= model.config.max_position_embeddings - 8:
            episode.stop("context")
            break
        with torch.inference_mode():
            out = model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=8,
                do_sample=True,
                top_k=0,
                pad_token_id=tokenizer.pad_token_id,
                eos_token_id=tokenizer.eos_token_id,
            )
        episode.take(_turn(out[0, ids.shape[1] :].tolist(), episode, tokenizer))
    return episode


def _turn(written: list[int], episode: Episode, tokenizer: Any) -> Turn:
    ended = written[-1] == tokenizer.eos_token_id
    text = tokenizer.decode(written[:-1] if ended else written)
    try:
        call = parse_call(text, episode.environment.tools) if ended else None
    except ParseError:
        call = None
    return Turn(call=call, text="" if call else text, new_tokens=len(written))


def _as_dict(message: Any) -> dict[str, Any]:
    entry: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        entry["tool_calls"] = [
            {"function": {"name": c.name, "arguments": c.arguments}} for c in message.tool_calls
        ]
    return entry


def _described(episodes: list[Episode]) -> dict[str, float]:
    flags = [episode.trajectory().flags for episode in episodes]
    return {"new_tokens": sum(int(f["new_tokens"]) for f in flags), "calls": sum(int(f["calls"]) for f in flags)}
