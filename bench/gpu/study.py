"""Studies of ``conf/gpu`` as a user runs them: a tiny one twice, and one on a pretrained model by part."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import yaml

from bench.gpu.models import random_checkpoint
from bench.gpu.report import Report
from bench.study import _copy, _run
from persistence_pipeline.world.splits import all_groups

ORDERINGS = ["safety", "helpfulness", "safety>helpfulness"]
TWINS = {"train": 1, "test_iid": 0, "test_combination": 1, "test_domain": 0}
SCRIPTS = ["careful", "careless", "refusing"]
"""Whose episodes the pairs are made of where a random model has none worth learning from."""
TRAINED_ON = "look"
HELD_OUT = [g for g in all_groups() if not g.startswith("servers/") and not g.endswith(f"/{TRAINED_ON}")]
"""So that little is left to train on."""
CHECKPOINT = "tiny_b0p1_s0_safety_then_helpfulness"


def measure_bytes(device: str, report: Report, work: Path) -> None:
    """The tiny study twice on the device and once on the CPU: equal bytes? How far apart?"""
    model = work / "tiny_model"
    if not model.is_dir():
        random_checkpoint("tiny", "cpu", work).rename(model)
    runs = {"first": device, "second": device, "cpu": "cpu"}
    for name, where in runs.items():
        if not report.done(name):
            report.measure(name, seconds=_run_tiny(work / name, model, where))
    first, second, other = (_results(work / name) for name in runs)
    equal = [path for path in first if first[path] == second.get(path)]
    report.measure(
        "twice",
        files=len(first),
        equal=len(equal),
        differing=sorted(set(first) - set(equal))[:20],
        checkpoints_equal=all(path in equal for path in first if path.endswith(".safetensors")),
    )
    report.measure(
        "against the CPU",
        equal=sum(first[path] == other.get(path) for path in first),
        weights=_apart(work / "first", work / "cpu"),
        reports=_reports_apart(work / "first", work / "cpu"),
    )


def measure_pretrained(device: str, model: str, report: Report, work: Path) -> None:
    """A small study on a pretrained model; seconds of each of Kedro's nodes, and what came of it."""
    if report.done("study"):
        return
    project = work / "pretrained"
    where = "auto" if device == "cuda" else "cpu"
    settings = {"device": where}
    changes = {
        "world": {"twins_per_group": TWINS},
        "rollout": {**settings, "samples": 1},
        "candidates": {**settings, "samples": 4},
        "pairing": {"both": {"rule": "no_worse"}},
        "training": dict.fromkeys(("safety", "helpfulness", "both"), settings),
    }
    source = {"model": str(Path(model).resolve()) if Path(model).is_dir() else model, "dtype": "bfloat16"}
    _prepare(project, "pretrained", source, changes)
    started = time.perf_counter()
    _run(project, "kedro", "run", "--env=gpu")
    seconds = time.perf_counter() - started
    summary = json.loads((project / "data/gpu/08_reporting/summary.json").read_text("utf-8"))
    report.measure(
        "study", seconds=seconds, parts=_times(project), cells=summary["cells"], persistence=summary["persistence"]
    )


def _run_tiny(project: Path, model: Path, device: str) -> float:
    where = "auto" if device == "cuda" else "cpu"
    short = {"samples": 1, "max_turns": 2, "max_turn_tokens": 8, "device": where}
    stage = {
        "max_length": 2048,
        "device": where,
        "gradient_accumulation": 2,
        "batch_size": 2,
        "rendered_turns": True,
    }
    changes = {
        "threads": 1,
        "offline": True,
        "world": {"twins_per_group": TWINS, "held_out_combinations": HELD_OUT},
        "rollout": short,
        "candidates": {**short, "max_turns": 8, "scripted": SCRIPTS},
        "pairing": {
            **{name: {"max_per_case": 1} for name in ("safety", "helpfulness")},
            "both": {"rule": "no_worse"},
        },
        "training": dict.fromkeys(("safety", "helpfulness", "both"), stage),
        "analysis": {"n_draws": 200},
    }
    _prepare(project, "tiny", {"model": str(model.resolve()), "dtype": "bfloat16"}, changes)
    started = time.perf_counter()
    _run(project, "kedro", "run", "--env=gpu")
    return time.perf_counter() - started


def _prepare(project: Path, source: str, pretrained: dict[str, Any], changes: dict[str, Any]) -> None:
    """A project whose environment gpu has one source, one seed, one beta, and these parameters."""
    _copy(project)
    gpu = project / "conf/gpu"
    spec = {"sources": [source], "orderings": ORDERINGS, "factors": {"beta": [0.1]}, "seeds": [0]}
    _edit(gpu / "study.yml", spec)
    (gpu / "parameters_sources.yml").write_text(yaml.safe_dump({"sources": {source: {"pretrained": pretrained}}}))
    _edit(gpu / "parameters.yml", changes)
    _run(project, "kedro", "cells", "--env=gpu")


def _edit(path: Path, changes: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump(_merged(yaml.safe_load(path.read_text("utf-8")), changes), sort_keys=False))


def _merged(old: Any, new: Any) -> Any:
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    return {**old, **{key: _merged(old.get(key), value) for key, value in new.items()}}


def _times(project: Path) -> dict[str, float]:
    path = project / "data/gpu/08_reporting/times.json"
    return dict(json.loads(path.read_text("utf-8"))) if path.is_file() else {}


def _results(project: Path) -> dict[str, str]:
    """SHA-256 of checkpoints, trajectories, scores and pairs."""
    kinds = ("*.safetensors", "*.jsonl", "*.parquet")
    files = sorted(
        path for kind in kinds for path in (project / "data/gpu").rglob(kind) if ".scratch" not in path.parts
    )
    return {str(p.relative_to(project)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def _apart(one: Path, other: Path) -> dict[str, float]:
    """How far the last checkpoint's weights lie apart, beside how far training moved them: root mean squares."""
    import torch
    from safetensors.torch import load_file

    def weights(project: Path, name: str) -> torch.Tensor:
        loaded = load_file(project / "data/gpu/06_models" / name / "model.safetensors")
        return torch.cat([loaded[key].double().flatten() for key in sorted(loaded)])

    source, ours, theirs = weights(one, "tiny"), weights(one, CHECKPOINT), weights(other, CHECKPOINT)
    return {
        "moved": float((ours - source).square().mean().sqrt()),
        "apart": float((ours - theirs).square().mean().sqrt()),
    }


def _reports_apart(one: Path, other: Path) -> dict[str, float]:
    """Largest differences between the stages' losses and mean log-probabilities."""
    apart: dict[str, float] = {}
    for path in sorted((one / "data/gpu/08_reporting/training").glob("*/report.json")):
        ours = json.loads(path.read_text("utf-8"))
        theirs = json.loads((other / path.relative_to(one)).read_text("utf-8"))
        for field, value in ours.items():
            if isinstance(value, float) and ("loss" in field or "logp" in field):
                apart[field] = max(apart.get(field, 0.0), abs(value - theirs[field]))
    return apart
