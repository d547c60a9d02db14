"""The study of the environment ``gpu`` cut down: tiny models, shorter, fewer; all else as it is."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml
from tests.projects import HANGS

from judging.three_parts import ThreeParts
from persistence_pipeline.records import OBJECTIVES
from persistence_pipeline.rollout.episode import Episode
from persistence_pipeline.study.policies import policy_name
from persistence_pipeline.study.spec import expand, load_spec, render_policies
from persistence_pipeline.world.splits import WorldSettings, all_groups, generate_cases
from real_shapes import save_hub_model
from toolemu.toolemu_files import case, write_files

SHAPES = {
    "tiny_qwen2": ("qwen2", "qwen2_5"),
    "tiny_llama": ("llama", "llama3_1"),
    "tiny_phi3": ("phi3", "phi4"),
    "tiny_gpt2": ("gpt2", "phi4"),
}
FURTHER_ORDERINGS = ("helpfulness", "helpfulness>safety", "both")
"""Played with one of the models; all have both stages of safety>helpfulness."""
TRAINED_ON = "look"
TWINS = {"train": 1, "test_iid": 0, "test_combination": 1, "test_domain": 0}
HELD_OUT = [g for g in all_groups() if not g.startswith("servers/") and not g.endswith(f"/{TRAINED_ON}")]


def world_texts() -> list[str]:
    """What the tiny tokenizers are trained on, so that prompts are short."""
    world = WorldSettings(phrasing="natural", twins_per_group=TWINS)
    episodes = [Episode(case, policy="p", seed=0) for case in generate_cases(world, 0)]
    tools = [tool for episode in episodes for tool in episode.tools]
    schemas = {json.dumps(tool, indent=indent) for tool in tools for indent in (None, 4)}
    return [*sorted(schemas), *(m.content for episode in episodes for m in episode.messages)]


class Opinionated(ThreeParts):
    """Judges by the bytes of the transcript: equal transcripts get equal scores, others differ."""

    def __call__(self, request: dict[str, Any]) -> Any:
        """What the part that is asked for says."""
        said = super().__call__(request)
        if request["messages"][0]["content"].startswith("You grade"):
            drawn = hashlib.sha256(json.dumps(request["messages"]).encode()).digest()[0]
            return json.dumps({"reason": "so it seems", "score": drawn % 4})
        return said


def write_newsletters(folder: Path, n: int) -> tuple[Path, Path]:
    """Files of that many cases in ToolEmu's format and of their toolkit."""
    return write_files(folder, [case(**{"User Instruction": f"Delete newsletter {i}."}) for i in range(n)])


def on_toolemu_cases(files: tuple[Path, Path], tiny: dict[str, Any], other: str) -> dict[str, Any]:
    """Parameters of a study on these cases.

    The server ``tiny`` plays the tools and the checkpoints, and is one of two judges. What its model says is
    prose, so a second agent and a second judge, at the address ``other``, give the study something to learn from.
    """
    second = {"base_url": other, "model": "tiny"}
    cases, toolkits = map(str, files)
    emulator = {"server": tiny, "max_tokens": 8, "attempts": 2}
    judges = {"other": {"server": second}, "tiny": {"server": tiny, "max_tokens": 8}}
    return {
        "study": {"cases": "toolemu"},
        "analysis": {"split": "test_iid"},
        "emulation": {"cases": cases, "toolkits": toolkits, "emulator": emulator},
        "judging": {"judges": judges, "pairs_by": "other", "n_draws": 50},
        "candidates": {"samples": 4, "scripted": [], "models": {"caller": second}},
        "rollout": {"served": {**tiny, "model": "{checkpoint}", "family": "qwen2_5"}},
    }


def make_hub(folder: Path, names: Iterable[str] = SHAPES) -> dict[str, Path]:
    """One tiny model of each architecture, as directories of the hub."""
    texts = world_texts()
    return {name: save_hub_model(*SHAPES[name], folder / name, texts) for name in names}


def kedro_run_gpu(project: Path) -> str:
    """``kedro run --env=gpu`` in a project; returns what it prints."""
    command = [sys.executable, "-m", "kedro", "run", "--env=gpu"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=HANGS)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout


def shrink(
    project: Path,
    hub: dict[str, Path],
    further: Sequence[str] = FURTHER_ORDERINGS,
    changes: dict[str, Any] | None = None,
) -> None:
    """Put the tiny models into a project's environment gpu, and make its study small.

    ``further`` are orderings of the first model beside ``safety>helpfulness``, ``changes`` further parameters.
    """
    gpu = project / "conf/gpu"
    _edit(
        gpu / "study.yml",
        {
            "sources": list(hub),
            "orderings": ["safety>helpfulness"],
            "factors": {"beta": [0.1]},
            "seeds": [0],
            "extra": {
                policy_name("tiny_qwen2", {"beta": 0.1}, 0, ordering): {
                    "source": "tiny_qwen2",
                    "factors": {"beta": 0.1},
                    "seed": 0,
                    "ordering": ordering,
                }
                for ordering in further
            },
        },
    )
    sources = {
        name: {"pretrained": {"model": str(path), "family": SHAPES[name][1], "dtype": "float32"}}
        for name, path in hub.items()
    }
    _edit(gpu / "parameters_sources.yml", {"sources": sources})
    small = {"samples": 1, "max_turns": 2, "max_turn_tokens": 8, "dtype": "float32", "device": "cpu"}
    small["max_invalid_share"] = 1  # random weights write no call
    scripts = ["careful", "careless", "refusing"]
    stage = {"max_length": 2048, "dtype": "float32", "device": "cpu", "save_every": 0, "gradient_accumulation": 2}
    stage["rendered_turns"] = True  # scripts, served agents and published pairs: nobody has their tokens
    _edit(
        gpu / "parameters.yml",
        {
            "threads": 1,
            "offline": True,
            "world": {"twins_per_group": TWINS, "held_out_combinations": HELD_OUT},
            "candidates": {**small, "max_turns": 8, "scripted": scripts},
            "rollout": small,
            # scripts and invalid calls alone: nothing is worse on both metrics than a careful script
            "pairing": {
                **{name: {"max_per_case": 1} for name in OBJECTIVES},
                "both": {"rule": "no_worse", "max_per_case": 1},
            },
            "training": {**dict.fromkeys(OBJECTIVES, stage), "both": {**stage, "epochs": 1}},
            "analysis": {"n_draws": 200},
        },
    )
    _edit(gpu / "parameters.yml", changes or {})
    spec, base = load_spec(gpu / "study.yml"), load_spec(project / "conf/base/study.yml")
    policies, others = expand(spec, hub, pretrained=hub), expand(base, base.sources)
    (gpu / "parameters_policies.json").write_text(render_policies(policies, spec, others))


def _edit(path: Path, changes: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump(_merged(yaml.safe_load(path.read_text()), changes), sort_keys=False))


def _merged(old: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Nested dicts are merged, except that the sources are replaced whole."""
    merged = dict(old)
    for key, value in changes.items():
        nested = isinstance(value, dict) and isinstance(merged.get(key), dict) and key != "sources"
        merged[key] = _merged(merged[key], value) if nested else value
    return merged
