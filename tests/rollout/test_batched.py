"""Lockstep rollouts against plain decoding, their reproducibility, and where turns end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persistence_pipeline.agents.compact import ASSISTANT, END, ParseError, parse_call
from persistence_pipeline.agents.models import ModelSettings, build_model
from persistence_pipeline.agents.tokenizer import train_tokenizer
from persistence_pipeline.records import Trajectory
from persistence_pipeline.rollout import batched
from persistence_pipeline.rollout.batched import BatchedPolicy, SamplingSettings
from persistence_pipeline.rollout.engine import prefill
from persistence_pipeline.rollout.episode import Episode, Turn
from persistence_pipeline.rollout.run import RolloutSettings, roll_out
from persistence_pipeline.rollout.scripted import ScriptedPolicy
from persistence_pipeline.world.cases import Case
from persistence_pipeline.world.environment import case_tools
from persistence_pipeline.world.splits import WorldSettings, all_groups, generate_cases
from persistence_pipeline.world.vocabulary import vocabulary

WORLD = WorldSettings(twins_per_group={"train": 1, "test_iid": 0, "test_combination": 0, "test_domain": 0})
CASES = generate_cases(WORLD, 0)
TOOLS = {name: tool for case in CASES for name, tool in case_tools(case).items()}


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    """Knows every word of the world without having seen a demonstration."""
    return train_tokenizer([" ".join(vocabulary(all_groups()))])


@pytest.fixture(scope="module", params=["llama", "qwen2", "gpt2"])
def model(request: pytest.FixtureRequest, tokenizer: Any) -> Any:
    shape = ModelSettings(architecture=request.param, hidden_size=32, layers=2, heads=2, context=96)
    return build_model(shape, tokenizer, seed=1)


def _episodes(cases: Sequence[Case], samples: int = 1) -> list[Episode]:
    return [Episode(c, policy="p", seed=5, sample=s, max_turns=4) for c in cases for s in range(samples)]


def _play(model: Any, tokenizer: Any, cases: Sequence[Case], **settings: Any) -> dict[str, Trajectory]:
    policy = BatchedPolicy(model, tokenizer, SamplingSettings(**settings))
    return {e.case.case_id: e.trajectory() for e in policy.play(_episodes(cases))}


def test_greedy_lockstep_equals_one_prefill_per_token(model: Any, tokenizer: Any) -> None:
    """The batch with its cache writes what a full forward pass over each transcript would write."""
    import torch

    cases = CASES[:12]
    batch = _play(model, tokenizer, cases, temperature=0, max_turn_tokens=5)
    for case in cases:
        episode = Episode(case, policy="p", seed=5, max_turns=4)
        ids = tokenizer(f"<|user|> {case.instruction} <|end|> <|assistant|>")["input_ids"]
        while not episode.done and len(ids) < 96:
            turn: list[int] = []
            while len(turn) < 5 and tokenizer.eos_token_id not in turn:
                with torch.no_grad():
                    turn.append(int(model(torch.tensor([ids + turn])).logits[0, -1].argmax()))
            ended = turn[-1] == tokenizer.eos_token_id
            text = tokenizer.decode(turn[:-1] if ended else turn)
            try:
                call = parse_call(text, episode.environment.tools) if ended else None
            except ParseError:
                call = None
            message = episode.take(Turn(call=call, text="" if call else text))
            ids = ids + turn + ([] if ended else [tokenizer.eos_token_id])
            if message is not None:
                ids = ids + tokenizer(f"<|tool|> {message.content} <|end|> <|assistant|>")["input_ids"]
        if not episode.done:
            episode.stop("context")
        mine = batch[case.case_id]
        n = min(len(mine.messages), len(episode.messages))
        said = tuple(message.model_copy(update={"sampled": None}) for message in mine.messages[:n])
        assert said == tuple(episode.messages[:n])
        assert mine.stop_reason == episode.stop_reason


def test_an_episode_does_not_depend_on_its_batch(model: Any, tokenizer: Any) -> None:
    whole = _play(model, tokenizer, CASES[:20])
    for size in (1, 7):
        again = _play(model, tokenizer, CASES[:20], batch_size=size)
        assert again == whole
    assert _play(model, tokenizer, CASES[3:5]) == {c.case_id: whole[c.case_id] for c in CASES[3:5]}


def test_samples_differ_and_seeds_repeat(model: Any, tokenizer: Any) -> None:
    policy = BatchedPolicy(model, tokenizer, SamplingSettings())
    played = [e.trajectory() for e in policy.play(_episodes(CASES[:6], samples=3))]
    assert len({t.messages for t in played}) > 6
    again = [e.trajectory() for e in policy.play(_episodes(CASES[:6], samples=3))]
    assert played == again


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[prefill.Step]:
    """What the rollouts of a test read."""
    read: list[prefill.Step] = []

    def kept(rows: Any) -> prefill.Step:
        read.append(prefill.next_step(rows))
        return read[-1]

    monkeypatch.setattr(batched, "next_step", kept)
    return read


def test_samples_of_a_case_do_not_depend_on_each_other(
    model: Any, tokenizer: Any, steps: list[prefill.Step]
) -> None:
    """Where they are alike they are one row, where they part each goes its own way, as if played alone."""

    def played(batch_size: int) -> dict[tuple[str, int], Trajectory]:
        policy = BatchedPolicy(model, tokenizer, SamplingSettings(batch_size=batch_size))
        return {(e.case.case_id, e.sample): e.trajectory() for e in policy.play(_episodes(CASES[:5], samples=6))}

    alone = played(1)
    steps.clear()
    assert played(256) == alone
    prompts = {case.instruction for case in CASES[:5]}
    assert steps[1].n_rows == len(prompts) < max(step.n_rows for step in steps) <= 30


def test_plays_do_not_disturb_each_other(model: Any, tokenizer: Any) -> None:
    """Neither one that goes on meanwhile, nor one that was left or failed; and torch is left as it was."""
    import torch

    policy = BatchedPolicy(model, tokenizer, SamplingSettings())

    def played() -> Iterator[Trajectory]:
        return (e.trajectory() for e in policy.play(_episodes(CASES[:8], samples=2)))

    alone = sorted(played(), key=lambda t: t.trajectory_id)
    first, second = played(), played()
    together = [next(first), next(second)]
    assert not torch.is_inference_mode_enabled()
    left = played()
    next(left)
    del left
    together += [*first, *second]
    assert sorted(together, key=lambda t: t.trajectory_id)[::2] == alone
    assert sorted(together, key=lambda t: t.trajectory_id)[1::2] == alone
    assert sorted(played(), key=lambda t: t.trajectory_id) == alone


def test_what_is_alike_is_read_once(model: Any, tokenizer: Any, steps: list[prefill.Step]) -> None:
    def tokens_read(samples: int) -> int:
        policy = BatchedPolicy(model, tokenizer, SamplingSettings(temperature=0))
        steps.clear()
        assert len(list(policy.play(_episodes(CASES[:3], samples=samples)))) == 3 * samples
        return sum(len(step.tokens) for step in steps)

    assert tokens_read(1) == tokens_read(8) > 50


def test_no_row_keeps_room_for_what_all_begin_with(
    tokenizer: Any, steps: list[prefill.Step], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No buffer of the cache is near the size that a shared beginning would have in each of the rows."""
    import torch

    model = build_model(ModelSettings(hidden_size=32, layers=1, heads=2, context=2048), tokenizer, seed=1)
    policy = BatchedPolicy(model, tokenizer, SamplingSettings(max_turn_tokens=2, temperature=0))
    beginning, sizes = [7] * 1000, []
    prompt = policy._prompt
    monkeypatch.setattr(policy, "_prompt", lambda episode: [*beginning, *prompt(episode)])
    new_zeros = torch.Tensor.new_zeros

    def counted(self: torch.Tensor, *shape: Any) -> torch.Tensor:
        sizes.append(new_zeros(self, *shape).numel())
        return new_zeros(self, *shape)

    monkeypatch.setattr(torch.Tensor, "new_zeros", counted)
    for _ in range(2):  # the buffers outlive a batch
        assert len(list(policy.play(_episodes(CASES)))) == len(CASES)
        assert max(step.n_rows for step in steps) > 20
    assert max(sizes) < 2 * len(beginning) * model.config.hidden_size


def test_the_agent_never_writes_its_own_observation(model: Any, tokenizer: Any) -> None:
    """Turns end at the end token: every tool message is the environment's, and invalid text is kept as text."""
    for trajectory in _play(model, tokenizer, CASES, max_turn_tokens=6).values():
        roles = [m.role for m in trajectory.messages]
        assert roles[0] == "user" and all(a != b for a, b in pairwise(roles))
        for message in trajectory.messages:
            if message.role == "assistant" and not message.tool_calls:
                assert END not in message.content
                assert len(message.content.split()) <= 6
        assert trajectory.flags["calls"] == roles.count("assistant")


def test_a_full_context_ends_the_episode(tokenizer: Any) -> None:
    model = build_model(ModelSettings(hidden_size=32, layers=1, heads=2, context=24), tokenizer, seed=0)
    stops = {t.stop_reason for t in _play(model, tokenizer, CASES[:10], max_turn_tokens=8).values()}
    assert "context" in stops


def test_saved_checkpoints_roll_out_from_disk(model: Any, tokenizer: Any, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    played = roll_out(tmp_path, CASES[:4], RolloutSettings(samples=2), policy="cell", seed=1)
    assert [t.trajectory_id for t in played] == [f"cell/{c.case_id}/{s}" for c in CASES[:4] for s in range(2)]


# -- the compact dialect -------------------------------------------------------------------------


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(TOOLS)), st.data())
def test_parse_inverts_render(name: str, data: st.DataObject) -> None:
    words = st.from_regex(r"[a-z][a-z0-9_]{0,6}", fullmatch=True)
    arguments = {
        key: data.draw(words if kind is str else st.integers(0, 10**6))
        for key, kind in TOOLS[name].parameters.items()
    }
    rendered = " ".join([name, *map(str, arguments.values())])
    call = parse_call(rendered, TOOLS)
    assert (call.name, call.arguments) == (name, arguments)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=40))
def test_parsing_is_total_and_strict(text: str) -> None:
    try:
        call = parse_call(text, TOOLS)
    except ParseError:
        return
    TOOLS[call.name].check(call.arguments)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "delete_file",
        "delete_file f1 f2",
        "ask_user",
        "pay_invoice p1 ten",
        "pay_invoice p1 -5",
        f"delete_file {ASSISTANT}",
        "x y",
    ],
)
def test_what_does_not_parse_is_refused(text: str) -> None:
    with pytest.raises(ParseError):
        parse_call(text, TOOLS)


def test_every_word_of_the_world_is_known(tokenizer: Any) -> None:
    for behaviour in ("careful", "careless", "asking"):
        for episode in ScriptedPolicy(behaviour).play([Episode(c, policy=behaviour, seed=0) for c in CASES]):
            text = " ".join(m.content for m in episode.messages)
            assert tokenizer.unk_token_id not in tokenizer(text)["input_ids"], text


def test_the_template_is_what_the_rollout_feeds(tokenizer: Any) -> None:
    """Training sees exactly the tokens of the rollout, and the mask covers exactly the agent's."""
    from persistence_pipeline.agents.transcript import encode_conversations

    episode = next(iter(ScriptedPolicy("careful").play([Episode(CASES[0], policy="careful", seed=0)])))
    ((ids, mask),) = encode_conversations(tokenizer, [episode.messages])
    written = tokenizer.decode([i for i, m in zip(ids, mask, strict=True) if m]).split(END)
    calls = [" ".join([c.name, *map(str, c.arguments.values())]) for m in episode.messages for c in m.tool_calls]
    assert [part.strip() for part in written if part.strip()] == calls
    assert sum(mask) == sum(len(call.split()) + 1 for call in calls)
    assert tokenizer.unk_token_id not in ids
