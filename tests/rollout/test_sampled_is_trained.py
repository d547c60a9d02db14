"""What training scores is, token for token, what a rollout sampled; its rows are what the model saw."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from persistence_pipeline.agents.compact import SPECIAL_TOKENS
from persistence_pipeline.agents.families import MODEL_FAMILIES, use_family
from persistence_pipeline.agents.models import ModelSettings, build_model
from persistence_pipeline.agents.tokenizer import train_tokenizer
from persistence_pipeline.datasets import JsonLinesDataset
from persistence_pipeline.preferences.export import split_prompt
from persistence_pipeline.records import PreferencePair, Trajectory
from persistence_pipeline.rollout.batched import BatchedPolicy, SamplingSettings
from persistence_pipeline.rollout.episode import Episode
from persistence_pipeline.training.encoding import RenderedTurnsError, encode_pairs
from persistence_pipeline.world.splits import WorldSettings, all_groups, generate_cases
from persistence_pipeline.world.vocabulary import vocabulary
from real_shapes import bpe_tokenizer, tiny_model

DIALECTS = ["compact", *MODEL_FAMILIES]
SIZES = {"train": 1, "test_iid": 0, "test_combination": 0, "test_domain": 0}
CASES = {
    phrasing: generate_cases(WorldSettings(phrasing=phrasing, twins_per_group=SIZES), 0)[::5]
    for phrasing in ("compact", "natural")
}
Key = tuple[str, int]


class Watched(BatchedPolicy):
    """Keeps what each episode was shown and what it sampled; may be told what to write instead of sampling."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.seen: dict[Key, list[int]] = {}
        self.wrote: dict[Key, list[list[int]]] = defaultdict(lambda: [[]])
        self.dictated: dict[Key, Iterator[int]] = {}
        self.tokenizer = args[1]

    def _prompt(self, episode: Episode) -> list[int]:
        prompt = super()._prompt(episode)
        self.seen[_key(episode)] = list(prompt)
        return prompt

    def _sample(self, logits: Any, rows: Any) -> list[int]:
        drawn = super()._sample(logits, rows)
        sequences = [sequence for row in rows for sequence in row.sequences]
        none: Iterator[int] = iter(())
        told = [self.dictated.get(_key(sequence.episode), none) for sequence in sequences]
        return [next(tokens, token) for tokens, token in zip(told, drawn, strict=True)]

    def _take_token(self, sequence: Any, token: int) -> list[int]:
        key, n_messages = _key(sequence.episode), len(sequence.episode.messages)
        self.wrote[key][-1].append(token)
        follows = super()._take_token(sequence, token)
        self.seen[key] += follows
        if len(sequence.episode.messages) > n_messages:
            self.wrote[key].append([])
        return follows


def _key(episode: Episode | Trajectory) -> Key:
    case_id = episode.case_id if isinstance(episode, Trajectory) else episode.case.case_id
    return case_id, episode.sample


@pytest.fixture(scope="module", params=DIALECTS)
def policy(request: pytest.FixtureRequest) -> Watched:
    if request.param == "compact":
        tokenizer = train_tokenizer([" ".join(vocabulary(all_groups()))])
        model = build_model(ModelSettings(hidden_size=32, layers=2, heads=2, context=128), tokenizer, seed=1)
        return Watched(model, tokenizer, SamplingSettings(max_turn_tokens=7))
    schemas = [tool for case in CASES["natural"] for tool in Episode(case, policy="p", seed=0).tools]
    tokenizer = bpe_tokenizer(request.param, [json.dumps(schemas)], 600)
    use_family(tokenizer, MODEL_FAMILIES[request.param])
    return Watched(tiny_model("llama", tokenizer), tokenizer, SamplingSettings(max_turn_tokens=60))


def _play(policy: Watched) -> list[Trajectory]:
    cases = CASES["compact" if policy.dialect == "compact" else "natural"]
    episodes = [Episode(case, policy="p", seed=3, sample=n, max_turns=5) for case in cases for n in range(2)]
    policy.wrote.clear()
    list(policy.play(episodes))
    return [episode.trajectory() for episode in episodes]


def _pairs(trajectories: Sequence[Trajectory]) -> list[PreferencePair]:
    """Two samples of each case, where both have a turn."""
    by_case: dict[str, list[Trajectory]] = defaultdict(list)
    for trajectory in trajectories:
        if any(message.role == "assistant" for message in trajectory.messages):
            by_case[trajectory.case_id].append(trajectory)
    return [
        PreferencePair(
            pair_id=case_id,
            case_id=case_id,
            objective="safety",
            chosen_id="a",
            rejected_id="b",
            prompt=split_prompt(sides[0].messages)[0],
            chosen=split_prompt(sides[0].messages)[1],
            rejected=split_prompt(sides[1].messages)[1],
            tools=sides[0].tools,
        )
        for case_id, sides in by_case.items()
        if len(sides) == 2
    ]


def _check(policy: Watched, trajectories: Sequence[Trajectory], folder: Any) -> int:
    """Compare rows of pairs that were saved and loaded with what was watched; the number of turns."""
    file = JsonLinesDataset(
        filepath=str(folder / "pairs.jsonl"), record="persistence_pipeline.records.PreferencePair"
    )
    file.save(_pairs(trajectories))
    pairs: list[Any] = file.load()
    assert pairs == _pairs(trajectories) and len(pairs) > len(trajectories) // 3
    rows, n_cut = encode_pairs(pairs, policy.tokenizer, 10_000)
    assert n_cut == 0
    n_turns = 0
    for pair, row in zip(pairs, rows, strict=True):
        for number, side in enumerate(("chosen", "rejected")):
            key = (pair.case_id, number)
            ids, mask = row["prompt_ids"] + row[f"{side}_ids"], row[f"{side}_mask"]
            turns = policy.wrote[key][:-1]
            scored = [token for token, mine in zip(row[f"{side}_ids"], mask, strict=True) if mine]
            assert scored == [token for turn in turns for token in turn]
            unfinished = policy.wrote[key][-1]
            seen = policy.seen[key][: len(policy.seen[key]) - len(unfinished)]
            both = min(
                len(ids), len(seen)
            )  # one ends with a header of a turn that never came, or with what no turn saw
            assert ids[:both] == seen[:both] and not any(mask[both - len(row["prompt_ids"]) :])
            n_turns += len(turns)
    return n_turns


def test_noise_of_a_random_model(policy: Watched, tmp_path: Any) -> None:
    policy.dictated = {}
    trajectories = _play(policy)
    assert _check(policy, trajectories, tmp_path) > 20
    turns = sum(message.role == "assistant" for t in trajectories for message in t.messages)
    ended = sum(int(t.flags["engine_ended_turns"]) for t in trajectories)
    assert 0 < ended <= turns
    assert {t.flags["dialect"] for t in trajectories} == {policy.dialect}
    _check_respelled(policy, trajectories)


def _check_respelled(policy: Watched, trajectories: Sequence[Trajectory]) -> None:
    """Flagged are just the turns that the template writes with other tokens."""
    transcript = policy._dialect.transcript
    for trajectory in trajectories:
        others = 0
        for message in trajectory.messages:
            if message.sampled is not None:
                sampled = [*message.sampled.ids, *transcript.appended(message.sampled.ids)]
                others += sampled != transcript.turn(message)
        assert trajectory.flags.get("respelled_turns", 0) == others


def _spellings(family: Any) -> list[str]:
    """Ways to write one call, and what is none; each but the first has other tokens than its rendering."""
    arguments = {"a": "é <b>", "n": 100.0, "target": "m1"}
    call = {"name": "look", family.calls.arguments: arguments}
    bodies = [
        json.dumps(call, ensure_ascii=False),
        json.dumps(call, separators=(",", ":"), ensure_ascii=False),
        json.dumps(call),
        json.dumps(call, indent=1, ensure_ascii=False),
        json.dumps(dict(reversed(call.items())), ensure_ascii=False),
        json.dumps(call, ensure_ascii=False).replace("100.0", "1e2"),
        json.dumps(call, ensure_ascii=False).replace("m1", r"\u003c" + family.end[1:-1] + r"\u003e"),
        json.dumps(call, ensure_ascii=False).replace("m1", r"\ud83d\ude00"),
    ]
    wrap = "<tool_call>\n{}\n</tool_call>" if family.calls.tagged else "{}"
    written = [wrap.format(body) for body in bodies]
    written += [written[0].replace("\n", " "), f"\n\n{written[1]}", f"I look.\n{written[0]}"]
    return written


def test_every_spelling_of_a_call(policy: Watched, tmp_path: Any) -> None:
    """Among them the JSON escapes of the token that ends a turn, and a call in letters one by one."""
    if policy.dialect == "compact":
        words = [
            ["finish"],
            ["finish", "finish"],
            ["<|user|>", "finish"],
            [],
            ["missing", "<|assistant|>"],
            ["<|unknown|>"],
            ["<|end|>"],
        ]
        spelled = [policy.tokenizer.convert_tokens_to_ids([*turn, "<|end|>"]) for turn in words]
        assert set(SPECIAL_TOKENS) >= {"<|user|>", "<|assistant|>", "<|end|>"}
    else:
        family, tokenizer = MODEL_FAMILIES[policy.dialect], policy.tokenizer
        texts = [*_spellings(family), f"Done.{family.further_ends[0]}", f"Done.{family.end}"]
        spelled = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
        body = _spellings(family)[0]
        letters = [body[:12], *body[12:-12], body[-12:]]
        spelled.append([i for ids in tokenizer(letters, add_special_tokens=False)["input_ids"] for i in ids])
    policy._settings.max_turn_tokens = 300
    cases = CASES["compact" if policy.dialect == "compact" else "natural"]
    policy.dictated = {
        (case.case_id, sample): iter([*spelled[(2 * n + sample) % len(spelled)], *spelled[(n + 1) % len(spelled)]])
        for n, case in enumerate(cases)
        for sample in range(2)
    }
    trajectories = _play(policy)
    policy._settings.max_turn_tokens = 7 if policy.dialect == "compact" else 60
    assert _check(policy, trajectories, tmp_path) > 20
    _check_respelled(policy, trajectories)
    if policy.dialect != "compact":
        first = [next(m for m in t.messages if m.role == "assistant") for t in trajectories]
        calls = [call for message in first for call in message.tool_calls]
        assert any(MODEL_FAMILIES[policy.dialect].end in str(call.arguments) for call in calls)
        assert sum(int(t.flags["respelled_turns"]) for t in trajectories) > len(trajectories) // 2


def test_turns_of_another_tokenizer_are_rendered_and_refused(policy: Watched) -> None:
    policy.dictated = {}
    pairs = _pairs(_play(policy))
    strange = []
    for pair in pairs:
        first, *others = pair.chosen
        assert first.sampled is not None
        other = first.sampled.model_copy(update={"tokenizer": "of another"})
        strange.append(pair.model_copy(update={"chosen": (first.model_copy(update={"sampled": other}), *others)}))
    n = len(pairs)
    with pytest.raises(
        RenderedTurnsError, match=rf"stage on safety: of {n} of \d+ turns, in {n} of {n} pairs, .*"
    ):
        encode_pairs(strange, policy.tokenizer, 10_000)
    rendered, _ = encode_pairs(strange, policy.tokenizer, 10_000, rendered_turns=True)
    sampled, _ = encode_pairs(pairs, policy.tokenizer, 10_000)
    assert [row["rejected_ids"] for row in rendered] == [row["rejected_ids"] for row in sampled]
    if policy.dialect != "compact":  # where a word is a token, most turns have one spelling only
        assert [row["chosen_ids"] for row in rendered] != [row["chosen_ids"] for row in sampled]
