"""Margins of pairs that an agent's last stage was not about, read from the checkpoints of a finished study."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tests.projects import ROOT
from transformers import AutoModelForCausalLM

from persistence_pipeline.agents.tokenizer import load_tokenizer
from persistence_pipeline.records import PreferencePair
from persistence_pipeline.training.encoding import encode_pairs

ARM, THEN = "llama_s0", "llama_b0p1_s0_safety_then_helpfulness"
READ = {
    (THEN, "safety"),
    ("llama_b0p1_s0_helpfulness_then_safety", "helpfulness"),
    ("llama_b0p1_s0_both", "safety"),
    ("llama_b0p1_s0_both", "helpfulness"),
}


def _margin(checkpoint: Path, pairs: list[PreferencePair]) -> float:
    """The same in plain PyTorch, a side at a time."""
    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()
    rows, _ = encode_pairs(pairs, load_tokenizer(checkpoint), 1024)
    total = 0.0
    for row in rows:
        for side, sign in (("chosen", 1), ("rejected", -1)):
            own = torch.tensor([0] * len(row["prompt_ids"]) + row[f"{side}_mask"])[1:]
            ids = torch.tensor([row["prompt_ids"] + row[f"{side}_ids"]])
            with torch.no_grad():
                logps = model(input_ids=ids).logits[0, :-1].log_softmax(-1)
            total += sign * float((logps.gather(1, ids[0, 1:, None])[:, 0] * own).sum())
    return total / len(rows)


def test_pairs_of_other_stages_are_read_and_what_was_read_is_kept(spoiled: Path) -> None:
    results, data = spoiled / "docs/results/smoke-margins.json", spoiled / "data/smoke"
    before = {"cell": "llama_b0p1_s0_both", "objective": "helpfulness", "n_pairs": 1, "margin": 123.0}
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps({"numbers": {"margins": [before]}}))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}
    command = [sys.executable, "-m", "bench", "margins", "smoke"]
    done = subprocess.run(command, cwd=spoiled, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]

    rows = json.loads(results.read_text())["numbers"]["margins"]
    assert rows[0] == before and len(rows) == len(READ)
    assert {(row["cell"], row["objective"]) for row in rows} == READ
    lines = (data / f"05_model_input/{ARM}/pairs_safety.jsonl").read_text().splitlines()
    pairs = [PreferencePair.model_validate_json(line) for line in lines]
    (row,) = (row for row in rows if (row["cell"], row["objective"]) == (THEN, "safety"))
    assert row["n_pairs"] == len(pairs)
    assert row["margin"] == pytest.approx(_margin(data / "06_models" / THEN, pairs), abs=1e-4)
