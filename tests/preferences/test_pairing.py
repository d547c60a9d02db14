"""Pairing, export and audit of preference pairs."""

from __future__ import annotations

import json
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persistence_pipeline.preferences.audit import audit_pairs
from persistence_pipeline.preferences.export import openai_messages, split_prompt, to_trl
from persistence_pipeline.preferences.pairing import NoPairsError, pair_candidates, texts_of
from persistence_pipeline.records import Message, Sampled, ToolCall, Trajectory

SCORES = st.one_of(st.integers(0, 3).map(float), st.just(float("nan")))
POOLS = st.lists(st.tuples(st.sampled_from("abc"), SCORES, SCORES), min_size=1, max_size=14)


def pool(rows: list[tuple[str, float, float]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["case_id", "safety", "helpfulness"])
    return table.assign(trajectory_id=[f"t{i}" for i in range(len(rows))], n_tokens=range(len(rows)))


def brute_force(table: pd.DataFrame, objective: str, rule: str) -> set[tuple[str, str]]:
    """The definition, pair by pair: gap and chosen at least 2."""
    found = set()
    for a, b in permutations(table.dropna().to_dict("records"), 2):
        gaps = [a[m] - b[m] for m in ("safety", "helpfulness")]
        if a["case_id"] != b["case_id"]:
            continue
        if objective != "both":
            good = a[objective] - b[objective] >= 2 and a[objective] >= 2
        elif rule == "strict":
            good = min(gaps) >= 2 and min(a["safety"], a["helpfulness"]) >= 2
        else:
            good = min(gaps) >= 0 and sum(gaps) >= 2 and min(a["safety"], a["helpfulness"]) >= 2
        if good:
            found.add((a["trajectory_id"], b["trajectory_id"]))
    return found


@pytest.mark.parametrize(
    ("objective", "rule"),
    [("safety", "strict"), ("helpfulness", "strict"), ("both", "strict"), ("both", "no_worse")],
)
@settings(max_examples=120, deadline=None)
@given(POOLS)
def test_pairs_are_those_of_the_definition(
    objective: str, rule: str, rows: list[tuple[str, float, float]]
) -> None:
    table = pool(rows)
    expected = brute_force(table, objective, rule)
    arguments = {"min_gap": 2, "min_chosen": 2, "max_per_case": None, "seed": 0, "rule": rule}
    if not expected:
        with pytest.raises(NoPairsError, match=f"no preference pairs for {objective}"):
            pair_candidates(table, objective, **arguments)  # type: ignore[arg-type]
        return
    pairs, counts = pair_candidates(table, objective, **arguments)  # type: ignore[arg-type]
    assert set(zip(pairs["chosen_id"], pairs["rejected_id"], strict=True)) == expected
    assert pairs["pair_id"].is_unique
    assert counts["gap_too_small"] + counts["chosen_too_low"] + counts["pairs"] == counts["ordered_pairs"]
    shuffled, _ = pair_candidates(table.sample(frac=1, random_state=1), objective, **arguments)  # type: ignore[arg-type]
    assert set(shuffled["pair_id"]) == set(pairs["pair_id"])


@settings(max_examples=60, deadline=None)
@given(POOLS, st.integers(1, 4), st.integers(0, 5))
def test_the_cap_keeps_a_random_part_of_each_case(
    rows: list[tuple[str, float, float]], cap: int, seed: int
) -> None:
    table = pool(rows)
    arguments = {"min_gap": 1, "min_chosen": 1, "seed": seed}
    try:
        everything, _ = pair_candidates(table, "safety", max_per_case=None, **arguments)  # type: ignore[arg-type]
    except NoPairsError:
        return
    kept, counts = pair_candidates(table, "safety", max_per_case=cap, **arguments)  # type: ignore[arg-type]
    assert set(kept["pair_id"]) <= set(everything["pair_id"])
    sizes = everything.groupby("case_id").size().clip(upper=cap)
    assert kept.groupby("case_id").size().to_dict() == sizes.to_dict()
    assert counts["over_case_cap"] == len(everything) - len(kept)
    again, _ = pair_candidates(table, "safety", max_per_case=cap, **arguments)  # type: ignore[arg-type]
    pd.testing.assert_frame_equal(kept, again)


def test_the_cap_draws_differently_for_different_seeds() -> None:
    table = pool([("a", float(i % 4), 0.0) for i in range(40)])
    drawn = [
        set(pair_candidates(table, "safety", min_gap=1, min_chosen=1, max_per_case=5, seed=s)[0]["pair_id"])
        for s in range(4)
    ]
    assert len({frozenset(d) for d in drawn}) == 4


def test_an_empty_pair_set_counts_why() -> None:
    table = pool([("a", 1.0, 3.0), ("a", 0.0, 0.0), ("b", 3.0, 3.0), ("b", np.nan, np.nan)])
    with pytest.raises(NoPairsError) as caught:
        pair_candidates(table, "safety", min_gap=1, min_chosen=2, max_per_case=3, seed=0)
    for part in ("safety", "'candidates': 4", "'without_score': 1", "'gap_too_small': 1", "'chosen_too_low': 1"):
        assert part in str(caught.value)
    with pytest.raises(ValueError, match="unknown objective"):
        pair_candidates(table, "fame", min_gap=1, min_chosen=2, max_per_case=3, seed=0)  # type: ignore[arg-type]


# -- export ------------------------------------------------------------------------------------------


SAMPLED = Sampled(ids=(1, 2), tokenizer="of a model")


def trajectory(identity: str, calls: list[str], prompt: str = "do it") -> Trajectory:
    messages = [Message(role="user", content=prompt)]
    for name in calls:
        messages.append(
            Message(role="assistant", tool_calls=(ToolCall(name=name, arguments={"to": "ana", "n": 2}),))
        )
        messages.append(Message(role="tool", content="done", name=name))
    return Trajectory(
        trajectory_id=identity,
        case_id="c",
        template_group="files/insistence",
        split="train",
        policy="p",
        seed=0,
        sample=0,
        messages=tuple(messages),
        effects=(),
        final_state_hash="",
        stop_reason="finish",
    )


def _pair_table(chosen: str, rejected: str) -> pd.DataFrame:
    row = {"pair_id": "x", "case_id": "c", "objective": "safety", "chosen_id": chosen, "rejected_id": rejected}
    return pd.DataFrame([row])


def test_export_keeps_prompt_and_completions_apart() -> None:
    (pair,) = to_trl(_pair_table("a", "b"), [trajectory("a", ["look", "act"]), trajectory("b", ["act"])])
    assert [m.role for m in pair.prompt] == ["user"]
    assert [m.role for m in pair.chosen] == ["assistant", "tool", "assistant", "tool"]
    assert pair.rejected[0].tool_calls[0].arguments == {"to": "ana", "n": 2}


def test_export_refuses_what_does_not_belong_together() -> None:
    with pytest.raises(ValueError, match="no trajectory 'z'"):
        to_trl(_pair_table("a", "z"), [trajectory("a", ["look"])])
    with pytest.raises(ValueError, match="different prompts"):
        to_trl(_pair_table("a", "b"), [trajectory("a", ["look"]), trajectory("b", ["look"], "do that")])


def test_openai_messages_link_calls_and_answers() -> None:
    rendered = openai_messages(trajectory("a", ["look", "act"]).messages)
    calls = [m["tool_calls"][0] for m in rendered if "tool_calls" in m]
    answers = [m["tool_call_id"] for m in rendered if m["role"] == "tool"]
    assert [c["id"] for c in calls] == answers and len(set(answers)) == 2
    assert json.loads(calls[0]["function"]["arguments"]) == {"to": "ana", "n": 2}


def test_a_conversation_without_an_agent_is_all_prompt() -> None:
    messages = (Message(role="user", content="x"),)
    assert split_prompt(messages) == (messages, ())


def test_two_trajectories_that_say_the_same_are_no_pair() -> None:
    """Whatever a judge scored them, and whichever tokens said it."""
    table = pool([("c", 3.0, 3.0), ("c", 0.0, 0.0), ("c", 0.0, 0.0)])
    ids = list(table["trajectory_id"])
    played = [trajectory(ids[0], ["look"]), trajectory(ids[1], ["look"]), trajectory(ids[2], ["act"])]
    sampled = [message.model_copy(update={"sampled": SAMPLED}) for message in played[0].messages]
    played[0] = played[0].model_copy(update={"messages": tuple(sampled)})
    rule = {"min_gap": 1, "min_chosen": 1, "max_per_case": None, "seed": 0}
    every, counts = pair_candidates(table, "safety", **rule)  # type: ignore[arg-type]
    assert (len(every), counts["same_text"]) == (2, 0)
    pairs, counts = pair_candidates(table, "safety", texts=texts_of(played), **rule)  # type: ignore[arg-type]
    assert (list(pairs["rejected_id"]), counts["same_text"]) == ([ids[2]], 1)
    with pytest.raises(NoPairsError, match="'same_text': 1"):
        pair_candidates(table[:2], "safety", texts=texts_of(played), **rule)  # type: ignore[arg-type]


# -- audit -------------------------------------------------------------------------------------------


def test_the_audit_shows_conflict_and_what_the_other_metric_does() -> None:
    table = pool([("a", 3.0, 0.0), ("a", 0.0, 3.0), ("a", 3.0, 3.0), ("a", 0.0, 0.0)])
    pairs, _ = pair_candidates(table, "safety", min_gap=2, min_chosen=2, max_per_case=None, seed=0)
    rows = audit_pairs(table, [pairs]).set_index("set")
    assert rows.loc["pool", "best_of_both"] == 0.25
    assert rows.loc["pool", "score_correlation"] == pytest.approx(0)
    assert rows.loc["safety", "n"] == 4
    assert rows.loc["safety", "best_of_both"] == 0.5
    assert rows.loc["safety", "conflict_share"] == 0.25
    assert rows.loc["safety", "other_metric_gain"] == pytest.approx(0)
    assert rows.loc["safety", "chosen_tokens"] == pytest.approx(1.0)


def test_the_audit_counts_turns_by_set_and_dialect() -> None:
    table = pool([("c", 3.0, 0.0), ("c", 0.0, 3.0), ("c", 0.0, 1.0)])
    pairs, _ = pair_candidates(table, "safety", min_gap=2, min_chosen=2, max_per_case=1, seed=0)
    flags = {"dialect": "qwen2_5", "respelled_turns": 1, "engine_ended_turns": 2}
    played = []
    for number, identity in enumerate(table["trajectory_id"]):
        one = trajectory(identity, ["look", "act"])
        if number < 2:
            said = tuple(
                m.model_copy(update={"sampled": SAMPLED}) if m.role == "assistant" else m for m in one.messages
            )
            one = one.model_copy(update={"messages": said, "flags": flags})
        played.append(one)
    rows = audit_pairs(table, [pairs], played).set_index("set")
    counted = ["turns", "rendered_turns", "respelled_turns", "engine_ended_turns"]
    assert list(rows.index) == ["pool", "safety", "turns in other hands", "turns in qwen2_5"]
    assert rows.loc["pool", counted].tolist() == [6, 2, 2, 4]
    assert rows.loc["turns in qwen2_5", counted].tolist() == [4, 0, 2, 4]
    assert rows.loc["turns in other hands", counted[:2]].tolist() == [2, 2]
    assert rows.loc["turns in other hands", counted[2:]].isna().all(), "nobody knows"
    rejected = set(pairs["rejected_id"]) <= set(table["trajectory_id"][:2])
    assert rows.loc["safety", counted].tolist() == ([4, 0, 2, 4] if rejected else [4, 2, 1, 2])
