"""The warm start of pretrained sources."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from persistence_pipeline.strict import SettingError, parse
from persistence_pipeline.training.errors import StageError
from persistence_pipeline.training.pretrained import PretrainedSettings
from persistence_pipeline.training.source import SourceSettings, make_source
from persistence_pipeline.training.warm_start import WarmStartSettings
from persistence_pipeline.world.splits import WorldSettings
from real_shapes import save_hub_model

WORLD = WorldSettings(
    twins_per_group={"train": 1, "test_iid": 1, "test_combination": 1, "test_domain": 1},
    kinds=["look", "identity"],
)
FROM_SCRATCH = WarmStartSettings(behaviours={"careful": 1.0})


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_hub_model("llama", "llama3_1", tmp_path_factory.mktemp("hub"), ["read the file"], context=4096)


def source(hub: Path, per_seed: bool = False, dtype: str = "float32", **change: Any) -> SourceSettings:
    fields = {"twins_per_group": 1, "steps": 6, "batch_size": 4, "save_every": 2, "learning_rate": 3e-3}
    warm = {"behaviours": {"careful": 0.5, "careless": 0.5}, "dtype": dtype, **fields, **change}
    pretrained = PretrainedSettings(model=str(hub), dtype="float32")
    return SourceSettings.model_validate(
        {"pretrained": pretrained.model_dump(), "warm_start": warm, "per_seed": per_seed}
    )


def make(settings: SourceSettings, scratch: Path, seed: int = 0) -> tuple[Path, list[float]]:
    checkpoint, log = make_source(WORLD, settings, FROM_SCRATCH, seed, scratch)
    return checkpoint, log["loss"].tolist()


def weights(checkpoint: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(checkpoint / "model.safetensors")


@pytest.mark.parametrize("change", [{}, {"lora": {"r": 4, "alpha": 8, "dropout": 0.1}}, {"dtype": "bfloat16"}])
def test_a_killed_warm_start_ends_with_the_same_bytes(
    hub: Path, change: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from persistence_pipeline.training import cloning

    settings = source(hub, **change)
    whole, losses = make(settings, tmp_path / "whole")
    once, calls = cloning._backward, 0

    def dies(*arguments: Any) -> float:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        return once(*arguments)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(cloning, "_backward", dies)
        make(settings, tmp_path / "killed")
    resumed, again = make(settings, tmp_path / "killed")
    assert again == losses and losses[-1] < losses[0]
    file = "model.safetensors"
    assert (resumed / file).read_bytes() == (whole / file).read_bytes()


def test_what_is_frozen_stays_and_the_rest_moves(hub: Path, tmp_path: Path) -> None:
    before = weights(hub)
    after = weights(make(source(hub, frozen=["embeddings", "model.layers.0"], steps=1), tmp_path)[0])
    still = {name for name in before if bool((before[name] == after[name]).all())}
    moving = {name for name in before if "layers.1." in name and "norm" not in name}
    assert {n for n in before if "embed" in n or "lm_head" in n or "layers.0." in n} <= still
    assert not moving & still


def test_masters_keep_what_bfloat16_would_lose(hub: Path, tmp_path: Path) -> None:
    """Steps far below the distance of neighbouring bfloat16 numbers add up."""
    change = {"learning_rate": 1e-5, "steps": 3, "warmup_share": 0.0}
    after = weights(make(source(hub, dtype="bfloat16", **change), tmp_path)[0])
    name = "model.layers.1.mlp.up_proj.weight"
    moved = (after[name] - weights(hub)[name]).abs()
    assert 0 < float(moved.max()) < 4e-5 and float((moved > 0).float().mean()) > 0.9


def test_a_demonstration_shows_its_tools(hub: Path) -> None:
    from transformers import AutoTokenizer

    from persistence_pipeline.agents.families import MODEL_FAMILIES, use_family
    from persistence_pipeline.training.cloning import demonstrate, encode_demonstrations
    from persistence_pipeline.world.splits import warm_start_cases

    tokenizer = AutoTokenizer.from_pretrained(hub)
    use_family(tokenizer, MODEL_FAMILIES["llama3_1"])
    world = WORLD.model_copy(update={"phrasing": "natural"})
    shown = demonstrate(warm_start_cases(world, 1, 0)[:1], {"careful": 1.0}, 0)
    ids, mask = encode_demonstrations(tokenizer, shown)[0]
    read = tokenizer.decode([token for token, own in zip(ids, mask, strict=True) if not own])
    assert all(f'"name": "{tool["function"]["name"]}"' in read for tool in shown[0].tools)


def test_each_seed_has_its_own_where_it_is_asked_for(hub: Path, tmp_path: Path) -> None:
    def losses(seed: int, per_seed: bool) -> list[float]:
        return make(source(hub, per_seed, steps=1), tmp_path / f"{seed}{per_seed}", seed)[1]

    assert losses(0, False) == losses(1, False)
    assert len({losses(0, False)[0], losses(0, True)[0], losses(1, True)[0]}) == 3


def test_a_batch_in_parts_has_the_gradients_of_the_whole(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from persistence_pipeline.training import cloning

    model = AutoModelForCausalLM.from_pretrained(hub)
    rows = [(list(range(5, 5 + n)), [0] * 3 + [1] * (n - 3)) for n in (9, 5, 14, 7)]
    found = []
    for at_once in (10**6, 1):
        monkeypatch.setattr(cloning, "UNITS_AT_ONCE", at_once)
        model.zero_grad()
        loss = cloning._backward(model, rows, None)
        found.append((loss, [p.grad.clone() for p in model.parameters()]))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(found[0][1], found[1][1], strict=True))
    ids = torch.tensor([rows[0][0]])
    labels = torch.tensor([[-100] * 3 + rows[0][0][3:]])
    whole = model(input_ids=ids, labels=labels).loss
    assert float(-cloning.own_log_probs(model, rows[:1]).mean()) == pytest.approx(float(whole), rel=1e-5)


def test_what_cannot_be_is_refused(hub: Path, tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"warm_start.frozen: no parameter's name begins with 'layers'"):
        make(source(hub, frozen=["layers"]), tmp_path)
    with pytest.raises(StageError, match=r"warm_start.frozen: model, lm_head leave nothing to train"):
        make(source(hub, frozen=["model", "lm_head"]), tmp_path)
    model = {"model": {"architecture": "llama"}, "warm_start": {"behaviours": {"careful": 1.0}}}
    with pytest.raises(SettingError, match=re.escape("is the group `warm_start`")):
        parse(SourceSettings, model)
