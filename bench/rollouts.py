"""Rollouts in lockstep against one episode at a time with ``generate``."""

from __future__ import annotations

from typing import Any

from bench import materials
from bench.timing import Row, speed_up
from persistence_pipeline.agents.compact import ParseFault, parse_call
from persistence_pipeline.rollout.episode import Episode, Turn
from persistence_pipeline.rollout.run import load_policy

EPISODES = 256


def measure(repeats: int) -> list[Row]:
    """The row of rollouts."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    policy = load_policy(materials.source(), materials.rollout_settings())
    model = AutoModelForCausalLM.from_pretrained(materials.source()).eval()
    tokenizer = AutoTokenizer.from_pretrained(materials.source())
    played: dict[str, list[Episode]] = {}

    def ours() -> None:
        played["ours"] = list(policy.play(_episodes()))

    def theirs() -> None:
        played["theirs"] = [_play_alone(episode, model, tokenizer) for episode in _episodes()]

    row = speed_up(
        "rollouts",
        f"rollouts, {EPISODES} episodes, tiny model",
        "one episode at a time with `generate`, prefilling every turn",
        ours,
        theirs,
        target=20,
        repeats=repeats,
    )
    row.details.update({side: _described(episodes) for side, episodes in played.items()})
    return [row]


def _episodes() -> list[Episode]:
    tests = [case for case in materials.cases() if case.split != "train"]
    return [Episode(case, policy="bench", seed=0, max_turns=10) for case in tests[:EPISODES]]


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
    except ParseFault:
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
