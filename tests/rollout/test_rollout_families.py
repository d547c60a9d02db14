"""Rollouts in the dialects of real models: the tokens that a policy sees are those that training sees."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from persistence_pipeline.agents.chat import TemplateFault, encode_conversation
from persistence_pipeline.agents.families import FAMILIES, use_family
from persistence_pipeline.records import Message, ToolCall, Trajectory
from persistence_pipeline.rollout import reading
from persistence_pipeline.rollout.episode import Episode
from persistence_pipeline.rollout.lockstep import LockstepPolicy, SamplingSettings
from persistence_pipeline.rollout.run import RolloutFault, RolloutSettings, roll_out
from persistence_pipeline.rollout.scripted import ScriptedPolicy
from persistence_pipeline.rollout.speech import FamilySpeech, speech_of
from persistence_pipeline.world.splits import WorldSettings, generate_cases
from real_shapes import bpe_tokenizer, tiny_model

WORLD = WorldSettings(
    phrasing="natural", twins_per_group={"train": 1, "test_iid": 0, "test_combination": 0, "test_domain": 0}
)
CASES = generate_cases(WORLD, 0)[::5]


@pytest.fixture(scope="module", params=list(FAMILIES))
def tokenizer(request: pytest.FixtureRequest) -> Any:
    schemas = [tool for case in CASES for tool in Episode(case, policy="p", seed=0).tools]
    made = bpe_tokenizer(request.param, [json.dumps(schemas), *(case.instruction for case in CASES)], 600)
    use_family(made, FAMILIES[request.param])
    return made


class ReadsFromScript:
    """Stands for a model: continues each conversation by what the script says, and keeps what it was shown."""

    def __init__(self, scripts: Sequence[list[int]], size: int) -> None:
        import torch
        from transformers import LlamaConfig

        self.config = LlamaConfig(num_hidden_layers=1, max_position_embeddings=8192)
        self.device, self.dtype = "cpu", torch.float32
        self.shown: list[list[int]] = []
        self._scripts, self._size = scripts, size

    def eval(self) -> ReadsFromScript:
        return self

    def __call__(self, input_ids: Any, position_ids: Any, cache: Any, **_: Any) -> Any:
        import torch

        tokens = input_ids[:, None, :, None].float()
        seen, _ = cache.update(tokens, tokens, 0)
        lengths = (position_ids[:, -1] + 1).tolist()
        self.shown = [row[:n].tolist() for row, n in zip(seen[:, 0, :, 0].long(), lengths, strict=True)]
        logits = torch.zeros(len(self.shown), 1, self._size)
        for index, row in enumerate(self.shown):
            script = next((s for s in self._scripts if s[: len(row)] == row and len(s) > len(row)), [0] * 9999)
            logits[index, 0, script[len(row)]] = 1
        return SimpleNamespace(logits=logits)


def _scripted(behaviour: str) -> list[Trajectory]:
    episodes = [Episode(case, policy=behaviour, seed=0) for case in CASES]
    return [episode.trajectory() for episode in ScriptedPolicy(behaviour).play(episodes)]


@pytest.mark.parametrize("behaviour", ["careful", "clumsy"])
@pytest.mark.parametrize("batch_size", [1, 64])
def test_a_policy_sees_the_tokens_of_training(tokenizer: Any, behaviour: str, batch_size: int) -> None:
    """Turn by turn, with tools, a batch of conversations is fed exactly as training encodes it."""
    scripted = _scripted(behaviour)
    scripts = [encode_conversation(tokenizer, t.messages, t.tools)[0] for t in scripted]
    model: Any = ReadsFromScript(scripts, len(tokenizer))
    settings = SamplingSettings(temperature=0, max_turn_tokens=300, batch_size=batch_size)
    policy = LockstepPolicy(model, tokenizer, settings)
    episodes = [Episode(case, policy=behaviour, seed=0) for case in CASES]
    played = {}
    for episode in policy.play(episodes):
        played[episode.case.case_id] = episode.trajectory()
        assert batch_size > 1 or model.shown[0] == scripts[episodes.index(episode)][: len(model.shown[0])]
    for mine in scripted:
        theirs = played[mine.case_id]
        assert (theirs.messages, theirs.tools, theirs.stop_reason) == (mine.messages, mine.tools, mine.stop_reason)
        assert theirs.flags["invalid_calls"] == mine.flags["invalid_calls"] and theirs.effects == mine.effects


def test_reading_at_once_equals_reading_token_by_token(tokenizer: Any, monkeypatch: Any) -> None:
    model = tiny_model("phi3", tokenizer)
    played = []
    for step_cost in (0, 10**9):
        monkeypatch.setattr(reading, "STEP_COST", step_cost)
        policy = LockstepPolicy(model, tokenizer, SamplingSettings(max_turn_tokens=12, top_p=0.9))
        episodes = [Episode(case, policy="p", seed=0, max_turns=3) for case in CASES[:6]]
        played.append({e.case.case_id: e.trajectory() for e in policy.play(episodes)})
    assert played[0] == played[1]


def test_the_turn_ends_with_its_call(tokenizer: Any) -> None:
    """What would follow, such as an observation that the agent makes up, is never asked for."""
    family = FAMILIES[tokenizer.chat_template.split()[2]]
    speech = FamilySpeech(tokenizer, family)
    call = Message(role="assistant", tool_calls=(ToolCall(name="finish"),))
    ids, mask = encode_conversation(tokenizer, [Message(role="user", content="x"), call])
    turn = [i for i, m in zip(ids, mask, strict=True) if m][:-1]
    ended = [speech.has_ended(turn[: n + 1]) for n in range(len(turn))]
    assert ended == [False] * (len(turn) - 1) + [True]


def test_a_prompt_beyond_the_context_says_what_to_do(tokenizer: Any, tmp_path: Path) -> None:
    tiny_model("llama", tokenizer, context=64).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="raise max_length, or take a model with a longer context"):
        roll_out(tmp_path, CASES[:1], RolloutSettings(samples=1), policy="p", seed=0)


def test_a_template_without_a_dialect_is_refused(tiny_tokenizer: Any) -> None:
    with pytest.raises(TemplateFault, match="names no dialect"):
        speech_of(tiny_tokenizer)


def test_out_of_memory_says_what_to_lower(tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB\nand more")

    tiny_model("llama", tokenizer).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    monkeypatch.setattr(LockstepPolicy, "_sample", full)
    with pytest.raises(RolloutFault, match=r"lower batch_size \(now 7\) or max_length .* allocate 9 GiB$"):
        roll_out(tmp_path, CASES[:1], RolloutSettings(batch_size=7), policy="p", seed=0)
