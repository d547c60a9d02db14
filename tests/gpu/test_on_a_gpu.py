"""What only a GPU can show: stages in bfloat16 and rollouts there do what they do on a CPU, up to rounding."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bench.dialects import make_tokenizer
from bench.gpu.stage import make_pair

from persistence_pipeline.rollout.episode import Episode
from persistence_pipeline.rollout.run import RolloutSettings, load_policy
from persistence_pipeline.training.dpo import train_stage
from persistence_pipeline.training.settings import StageConfig
from persistence_pipeline.world.splits import WorldSettings, generate_cases
from real_shapes import tiny_model

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Qwen2 in float32 that speaks its family's dialect."""
    folder = tmp_path_factory.mktemp("model")
    tokenizer = make_tokenizer()
    tiny_model("qwen2", tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def stage(checkpoint: Path, folder: Path, **changes: Any) -> Any:
    """Sixteen pairs, four steps."""
    settings = {
        "objective": "safety",
        "beta": 0.1,
        "learning_rate": 1e-3,
        "batch_size": 2,
        "gradient_accumulation": 2,
        "max_length": 512,
        "rendered_turns": True,
        "lora": {"dropout": 0.0},
        "device": "auto",
        "gradient_checkpointing": True,
        **changes,
    }
    pairs = [make_pair(number, 48, "test") for number in range(16)]
    return train_stage(pairs, checkpoint, checkpoint, StageConfig.model_validate(settings), folder)


def test_a_lora_stage_in_bfloat16_passes_its_checks(checkpoint: Path, tmp_path: Path) -> None:
    """Its first loss is ln 2, its loss falls, and its checkpoint is the merged model, moved."""
    import torch
    from safetensors.torch import load_file

    result = stage(checkpoint, tmp_path / "s", dtype="bfloat16")
    assert result.report["first_loss"] == pytest.approx(0.6931, abs=0.01)
    assert result.report["last_loss"] < result.report["first_loss"]
    before = load_file(checkpoint / "model.safetensors")
    after = load_file(result.checkpoint / "model.safetensors")
    assert before.keys() == after.keys() and all(weight.dtype == torch.bfloat16 for weight in after.values())
    assert any((after[name] != before[name].bfloat16()).any() for name in before)


def test_a_float32_stage_is_that_of_the_cpu_up_to_rounding(checkpoint: Path, tmp_path: Path) -> None:
    results = [stage(checkpoint, tmp_path / device, device=device) for device in ("auto", "cpu")]
    on_gpu, on_cpu = (result.log["loss"].to_list() for result in results)
    assert on_gpu == pytest.approx(on_cpu, abs=2e-3)


def test_two_equal_stages_end_with_equal_bytes(checkpoint: Path, tmp_path: Path) -> None:
    ended = [stage(checkpoint, tmp_path / name, dtype="bfloat16").checkpoint for name in ("one", "two")]
    one, two = ((folder / "model.safetensors").read_bytes() for folder in ended)
    assert one == two


@pytest.mark.parametrize("lora", [{}, None], ids=["lora", "full"])
def test_what_is_trained_is_kept_in_float32_while_products_are_in_bfloat16(
    checkpoint: Path, lora: dict[str, Any] | None
) -> None:
    """The masters: a step smaller than bfloat16 resolves is not lost."""
    import torch

    from persistence_pipeline.training.models import load_model, with_adapters

    settings = {"objective": "safety", "beta": 0.1, "learning_rate": 1e-3, "max_length": 64, "dtype": "bfloat16"}
    config = StageConfig.model_validate({**settings, "lora": lora, "device": "auto"})
    model = with_adapters(load_model(checkpoint, config), config.lora, 0).cuda()
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    assert trained and {weight.dtype for weight in trained} == {torch.float32}
    with torch.autocast("cuda", dtype=torch.bfloat16):
        logits = model(input_ids=torch.arange(8, device="cuda").unsqueeze(0)).logits
    assert logits.dtype == torch.bfloat16


def played(checkpoint: Path, settings: RolloutSettings) -> list[Any]:
    """Two turns of eight cases, twice each."""
    twins = {"train": 1, "test_iid": 0, "test_combination": 0, "test_domain": 0}
    cases = generate_cases(WorldSettings(phrasing="natural", twins_per_group=twins), 0)[:8]
    episodes = [Episode(case, policy="p", seed=0, sample=k, max_turns=2) for case in cases for k in range(2)]
    return [e.trajectory().messages for e in load_policy(checkpoint, settings).play(episodes)]


@pytest.mark.parametrize("change", [{}, {"temperature": 0.0}], ids=["drawn", "likeliest"])
def test_rollouts_in_float32_are_those_of_the_cpu(
    checkpoint: Path, change: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Token for token: the random numbers are drawn on the host, and only rounding could part the transcripts."""
    settings = {"batch_size": 16, "max_turn_tokens": 12, **change}
    both: list[list[Any]] = []
    for device in ("auto", "cpu"):
        both.append(played(checkpoint, RolloutSettings.model_validate({**settings, "device": device})))
    same = sum(one == other for one, other in zip(*both, strict=True))
    assert same >= 15, f"{16 - same} of 16 transcripts differ"


def test_memory_that_runs_out_names_the_settings(
    checkpoint: Path, tmp_path: Path, make_huge: Callable[[], None]
) -> None:
    """The allocator of the device, not of the host."""
    from persistence_pipeline.training.errors import StageError

    make_huge()
    with pytest.raises(StageError, match=r"out of memory. Lower batch_size \(now 2\)"):
        stage(checkpoint, tmp_path / "full", dtype="bfloat16")


@pytest.fixture
def make_huge() -> Any:
    """Takes almost all of the device's memory until the test ends."""
    import torch

    held: list[Any] = []

    def take() -> None:
        free, _ = torch.cuda.mem_get_info()
        held.append(torch.empty(free - 2**20, dtype=torch.uint8, device="cuda"))

    yield take
    held.clear()
    torch.cuda.empty_cache()
