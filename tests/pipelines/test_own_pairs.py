"""Pairs of one's own: audited as they are, never overwritten, refused where the pipeline's own would be."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
import yaml
from tests.projects import Run, hashes

from persistence_pipeline.preferences.own import OwnPairsError, audit_own_pairs, check_own_pairs
from persistence_pipeline.records import Message, PreferencePair

ARM = "data/smoke/05_model_input/llama_s0"
OBJECTIVES = ("safety", "helpfulness", "both")


def _pair(name: str, objective: str = "safety") -> PreferencePair:
    said = (Message(role="assistant", content="no"),)
    ids = {"pair_id": name, "case_id": f"case {name}", "chosen_id": "c", "rejected_id": "r"}
    prompt = (Message(role="user", content="do"),)
    return PreferencePair(**ids, objective=objective, prompt=prompt, chosen=said * 2, rejected=said)


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ([], "mine.jsonl: there are no pairs in it"),
        ([_pair("a"), _pair("b", "both")], "pair 'b': field objective: expected 'safety', .*; found 'both'"),
        ([_pair("a"), _pair("b"), _pair("a")], "two pairs have the id 'a'"),
    ],
)
def test_what_cannot_be_trained_on_is_named(pairs: Sequence[PreferencePair], said: str) -> None:
    with pytest.raises(OwnPairsError, match=said):
        check_own_pairs({"safety": pairs}, {"safety": "mine.jsonl"})


def test_the_audit_describes_the_pairs_that_there_are() -> None:
    pairs = {"safety": [_pair("a"), _pair("b")], "both": [_pair("c", "both")]}
    assert check_own_pairs(pairs, {})["passed"] == 4
    assert audit_own_pairs(pairs).to_dict("records") == [
        {"set": "safety", "n": 2, "n_cases": 2, "turns": 6, "rendered_turns": 6},
        {"set": "both", "n": 1, "n_cases": 1, "turns": 3, "rendered_turns": 3},
    ]


@pytest.mark.slow
def test_own_pairs_have_a_place_of_their_own(spoiled: Path, kedro_run: Run) -> None:
    """The audit in the report is that of the pairs trained on; the files stay as they are."""
    files = {}
    for place, objective in enumerate(OBJECTIVES):
        lines = (spoiled / ARM / f"pairs_{objective}.jsonl").read_text().splitlines(keepends=True)
        files[objective] = spoiled / f"mine/{objective}.jsonl"
        files[objective].parent.mkdir(exist_ok=True)
        files[objective].write_text("".join(lines[: place + 3]))
    before = {objective: path.read_bytes() for objective, path in files.items()}
    settings = spoiled / "conf/smoke/parameters.yml"
    original = settings.read_text()
    named = {"pairs": "own", "own_pairs": {objective: f"mine/{objective}.jsonl" for objective in OBJECTIVES}}
    settings.write_text(original + yaml.safe_dump({"study": named}))
    done = kedro_run(spoiled, "--nodes=llama_s0.take_own_pairs,study.summarise")
    assert done.returncode == 0, done.stdout[-3000:]
    audit = pd.read_parquet(spoiled / ARM / "pair_audit.parquet").set_index("set")
    assert dict(audit["n"]) == {"safety": 3, "helpfulness": 4, "both": 5}
    summary = json.loads((spoiled / "data/smoke/08_reporting/summary.json").read_text())
    told = {row["set"]: row["n"] for row in summary["audits"]["pairs"]}
    assert told == {"safety": 3, "helpfulness": 4, "both": 5}
    assert (spoiled / ARM / "pairs_both.jsonl").read_bytes() == before["both"]
    assert "Now outdated: outputs of " in done.stdout and "train_cell" in done.stdout

    settings.write_text(original)  # a plain study again
    done = kedro_run(spoiled, "--nodes=llama_s0.make_pairs_both")
    assert done.returncode == 0, done.stdout[-3000:]
    assert {objective: path.read_bytes() for objective, path in files.items()} == before


@pytest.mark.slow
def test_pairs_put_where_the_pipeline_s_own_would_be_are_refused(spoiled: Path, kedro_run: Run) -> None:
    path = spoiled / ARM / "pairs_safety.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:4]))
    before = hashes(spoiled)
    for what, does in (
        ("--nodes=llama_s0.make_pairs_safety", "overwrite them"),
        ("--pipelines=training", "use them beside the audit of others"),
    ):
        done = kedro_run(spoiled, what)
        told = " ".join(done.stdout.split())
        assert done.returncode == 1 and "Traceback" not in told
        assert f"pairs_safety.jsonl: no run has made these pairs, and this one would {does}; move the file" in told
    assert hashes(spoiled) == before
    done = kedro_run(spoiled, "--nodes=llama_s0.make_pairs_helpfulness")
    assert done.returncode == 0, "the others are the pipeline's own"
