"""Rollouts in the dialects of real models: the tokens that a policy sees are those that training sees."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.exhausting import only_exhausted

from persistence_pipeline.agents.chat import TemplateError
from persistence_pipeline.agents.families import MODEL_FAMILIES, recorded_family, use_family
from persistence_pipeline.agents.transcript import encode_conversation
from persistence_pipeline.records import Message, ToolCall, Trajectory
from persistence_pipeline.rollout.batched import BatchedPolicy, SamplingSettings
from persistence_pipeline.rollout.dialect import FamilyDialect, dialect_of
from persistence_pipeline.rollout.engine import prefill
from persistence_pipeline.rollout.engine.attention import AttentionError
from persistence_pipeline.rollout.episode import Episode
from persistence_pipeline.rollout.run import RolloutError, RolloutSettings, roll_out
from persistence_pipeline.rollout.scripted import ScriptedPolicy
from persistence_pipeline.world.splits import WorldSettings, generate_cases
from real_shapes import bpe_tokenizer, tiny_model

WORLD = WorldSettings(
    phrasing="natural", twins_per_group={"train": 1, "test_iid": 0, "test_combination": 0, "test_domain": 0}
)
CASES = generate_cases(WORLD, 0)[::5]


@pytest.fixture(scope="module", params=list(MODEL_FAMILIES))
def tokenizer(request: pytest.FixtureRequest) -> Any:
    return _tokenizer(request.param)


def _tokenizer(family: str) -> Any:
    schemas = [tool for case in CASES for tool in Episode(case, policy="p", seed=0).tools]
    made = bpe_tokenizer(family, [json.dumps(schemas), *(case.instruction for case in CASES)], 600)
    use_family(made, MODEL_FAMILIES[family])
    return made


class ReadsFromScript(BatchedPolicy):
    """Continues each conversation by what the script says, whatever the model says; keeps the conversations."""

    scripts: Sequence[list[int]] = ()
    shown: dict[str, list[int]]

    def _sample(self, logits: Any, rows: Any) -> list[int]:
        written = []
        for row in rows:
            so_far = [s for s in self.scripts if s[: len(row.tokens)] == row.tokens and len(s) > len(row.tokens)]
            for sequence in row.sequences:
                self.shown[sequence.episode.case.case_id] = list(row.tokens)
                written.append(so_far[0][len(row.tokens)])
        return written


def _scripted(behaviour: str) -> list[Trajectory]:
    episodes = [Episode(case, policy=behaviour, seed=0) for case in CASES]
    return [episode.trajectory() for episode in ScriptedPolicy(behaviour).play(episodes)]


@pytest.mark.parametrize(
    ("behaviour", "batch_size"),
    [("careful", 1), ("careful", 64), ("clumsy", 64), pytest.param("clumsy", 1, marks=only_exhausted)],
)
def test_a_policy_sees_the_tokens_of_training(tokenizer: Any, behaviour: str, batch_size: int) -> None:
    """Turn by turn, with tools, a batch of conversations is fed exactly as training encodes it."""
    scripted = _scripted(behaviour)
    scripts = [encode_conversation(tokenizer, t.messages, t.tools)[0] for t in scripted]
    settings = SamplingSettings(temperature=0, max_turn_tokens=300, batch_size=batch_size)
    policy = ReadsFromScript(tiny_model("llama", tokenizer), tokenizer, settings)
    policy.scripts, policy.shown = scripts, {}
    played = {
        e.case.case_id: e.trajectory() for e in policy.play([Episode(c, policy=behaviour, seed=0) for c in CASES])
    }
    for case, script in zip(CASES, scripts, strict=True):
        assert policy.shown[case.case_id] == script[: len(policy.shown[case.case_id])]
    for mine in scripted:
        theirs = played[mine.case_id]
        said = tuple(message.model_copy(update={"sampled": None}) for message in theirs.messages)
        assert (said, theirs.tools, theirs.stop_reason) == (mine.messages, mine.tools, mine.stop_reason)
        assert theirs.flags["respelled_turns"] == 0
        assert theirs.flags["invalid_calls"] == mine.flags["invalid_calls"] and theirs.effects == mine.effects


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "qwen3", "phi3", "gpt2", "mistral"])
def test_every_step_says_what_the_whole_transcript_says(architecture: str, monkeypatch: Any) -> None:
    """Logits behind each row, read in pieces with others, against one pass over its tokens alone."""
    import torch

    tokenizer = _tokenizer("qwen2_5")
    plain, model = tiny_model(architecture, tokenizer), tiny_model(architecture, tokenizer)
    model.load_state_dict(plain.eval().state_dict())
    policy = BatchedPolicy(model, tokenizer, SamplingSettings(max_turn_tokens=5))
    compared = 0

    def check(rows: Any, logits: Any) -> Any:
        nonlocal compared
        for row, mine in zip(rows, logits, strict=True):
            with torch.inference_mode():
                theirs = plain(torch.tensor([row.tokens])).logits[0, -1]
            assert torch.allclose(mine, theirs, atol=2e-5), float((mine - theirs).abs().max())
            compared += 1
        return BatchedPolicy._write(policy, rows, logits)

    monkeypatch.setattr(policy, "_write", check)
    episodes = [Episode(case, policy="p", seed=0, sample=n, max_turns=3) for case in CASES[:4] for n in range(3)]
    assert len(list(policy.play(episodes))) == 12
    assert compared > 50


@pytest.mark.parametrize(
    ("architecture", "why"),
    [
        ("gemma2", "Gemma2Attention attends with softcap"),
        ("stablelm", "StableLmForCausalLM does not tell its attention whose tokens it reads"),
        ("deepseek_v3", "for its keys and values"),
        ("bloom", "BloomForCausalLM does not let its attention be chosen"),
    ],
)
def test_a_model_that_lockstep_would_play_wrongly_is_refused(architecture: str, why: str) -> None:
    tokenizer = _tokenizer("qwen2_5")
    with pytest.raises(AttentionError, match=f"{why}.*serve"):
        policy = BatchedPolicy(tiny_model(architecture, tokenizer), tokenizer, SamplingSettings())
        list(policy.play([Episode(case, policy="p", seed=0) for case in CASES[:2]]))


def test_episodes_do_not_depend_on_how_they_are_read(tokenizer: Any, monkeypatch: Any) -> None:
    """All at once, token by token, in small pieces."""
    model = tiny_model("phi3", tokenizer)
    played = []
    for tokens in (10**9, 0, 100):
        monkeypatch.setattr(prefill, "STEP_TOKENS", tokens)
        policy = BatchedPolicy(model, tokenizer, SamplingSettings(max_turn_tokens=12, top_p=0.9))
        episodes = [Episode(case, policy="p", seed=0, max_turns=3) for case in CASES[:6]]
        played.append({e.case.case_id: e.trajectory() for e in policy.play(episodes)})
    assert all(each == played[0] for each in played)


def test_the_turn_ends_with_its_call(tokenizer: Any) -> None:
    """What would follow, such as an observation that the agent makes up, is never asked for."""
    family = recorded_family(tokenizer)
    assert family is not None
    dialect = FamilyDialect(tokenizer, family)
    call = Message(role="assistant", tool_calls=(ToolCall(name="finish"),))
    ids, mask = encode_conversation(tokenizer, [Message(role="user", content="x"), call])
    turn = [i for i, m in zip(ids, mask, strict=True) if m][:-1]
    ended = [dialect.has_ended(turn[: n + 1]) for n in range(len(turn))]
    assert ended == [False] * (len(turn) - 1) + [True]


def test_a_prompt_beyond_the_context_says_what_to_do(tokenizer: Any, tmp_path: Path) -> None:
    tiny_model("llama", tokenizer, context=64).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="raise max_length, or take a model with a longer context"):
        roll_out(tmp_path, CASES[:1], RolloutSettings(samples=1), policy="p", seed=0)


def test_a_template_without_a_dialect_is_refused(tiny_tokenizer: Any) -> None:
    with pytest.raises(TemplateError, match="names no dialect"):
        dialect_of(tiny_tokenizer)


def test_out_of_memory_says_what_to_lower(tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB\nand more")

    tiny_model("llama", tokenizer).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    monkeypatch.setattr(BatchedPolicy, "_sample", full)
    with pytest.raises(RolloutError, match=r"lower batch_size \(now 7\) or max_length .* allocate 9 GiB$"):
        roll_out(tmp_path, CASES[:1], RolloutSettings(batch_size=7), policy="p", seed=0)
