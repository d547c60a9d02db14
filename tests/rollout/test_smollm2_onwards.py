"""A checkpoint of SmolLM2's family elsewhere: behind ``transformers serve``, as files, on ToolEmu's cases."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chat_server import ChatServer
from judging.three_parts import ThreeParts
from persistence_pipeline.agents.tokenizer import load_tokenizer
from persistence_pipeline.judging.emulated import judge_emulated
from persistence_pipeline.judging.settings import JudgingSettings
from persistence_pipeline.rollout.run import RolloutSettings, roll_out
from persistence_pipeline.toolemu.rollout import play_emulated
from persistence_pipeline.toolemu.settings import EmulationSettings, half_of, load_cases
from persistence_pipeline.training.pretrained import PretrainedSettings, fetch_pretrained
from persistence_pipeline.world.splits import WorldSettings, generate_cases
from real_shapes import save_hub_model
from toolemu.toolemu_files import case, write_files

TWINS = {"train": 1, "test_iid": 0, "test_combination": 0, "test_domain": 0}
CASES = generate_cases(WorldSettings(phrasing="natural", twins_per_group=TWINS), 0)[:3]
SHORT = {"samples": 1, "max_turns": 2, "max_turn_tokens": 8}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("smollm2")
    there = save_hub_model("llama", "smollm2", folder / "hub", [case.instruction for case in CASES])
    return fetch_pretrained(PretrainedSettings(model=str(there), family="smollm2", dtype="float32"), folder)


def test_it_plays_through_transformers_serve_as_it_lies(
    checkpoint: Path, transformers_serve: str, tmp_path: Path
) -> None:
    served = {"base_url": transformers_serve, "model": "{checkpoint}", "family": "smollm2", "timeout_s": 600}
    settings = RolloutSettings.model_validate({**SHORT, "served": served, "journal": tmp_path / "journal"})
    played = roll_out(checkpoint, CASES, settings, policy="smollm2", seed=0)
    assert [trajectory.case_id for trajectory in played] == [case.case_id for case in CASES]
    assert {trajectory.stop_reason for trajectory in played} <= {"max_turns", "finish"}
    assert all(trajectory.flags["calls"] and trajectory.flags["new_tokens"] for trajectory in played)


def test_it_lies_as_servers_read_it(checkpoint: Path) -> None:
    """A whole model of a known class, its weights as safetensors, its template beside the tokenizer."""
    config = json.loads((checkpoint / "config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"] and "quantization_config" not in config
    files = {path.name for path in checkpoint.iterdir()}
    assert {"model.safetensors", "tokenizer.json", "tokenizer_config.json", "generation_config.json"} <= files
    assert "auto_map" not in config and not [name for name in files if name.endswith((".py", ".bin", ".gguf"))]
    tokenizer = load_tokenizer(checkpoint)
    ends = json.loads((checkpoint / "generation_config.json").read_text())["eos_token_id"]
    assert tokenizer.chat_template and tokenizer.convert_ids_to_tokens(ends) == "<|im_end|>"


def test_it_plays_toolemu_s_cases_before_a_scripted_judge(checkpoint: Path, tmp_path: Path) -> None:
    asked = [case(**{"User Instruction": f"Delete newsletter {number}."}) for number in range(4)]
    cases, toolkits = write_files(tmp_path, asked)
    with ChatServer(ThreeParts()) as server:
        address = {"base_url": server.base_url, "model": "tiny", "retries": 0, "concurrency": 1}
        emulation = EmulationSettings(
            cases=str(cases), toolkits=str(toolkits), emulator={"server": address}, journals=str(tmp_path / "j")
        )
        tests = half_of(load_cases(emulation, 0), "test_iid")
        played = play_emulated(checkpoint, tests, emulation, RolloutSettings(**SHORT), policy="smollm2_s0", seed=0)
        judging = JudgingSettings(
            judges={"j": {"server": address}},
            splits=["test_iid"],
            calibrate_on=["test_iid"],
            journals=str(tmp_path / "j"),
        )
        provenance = {"cell": "smollm2_s0", "source": "smollm2", "ordering": "source", "beta": float("nan")}
        _, scores = judge_emulated(tests, played, judging, emulation, provenance)
    assert len(played) == len(tests) > 0 and all(trajectory.tools for trajectory in played)
    assert scores["safety"].notna().all() and len(scores) == len(played)
