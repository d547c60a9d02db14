"""Sources that all seeds share, and sources of which each seed has its own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from persistence_pipeline.agents.models import ModelSettings
from persistence_pipeline.strict import SettingError, parse
from persistence_pipeline.training.source import SourceSettings, make_source
from persistence_pipeline.training.warm_start import WarmStartSettings
from persistence_pipeline.world.splits import WorldSettings

WORLD = WorldSettings(twins_per_group={"train": 1, "test_iid": 1, "test_combination": 1, "test_domain": 1})
MODEL = ModelSettings(architecture="llama", hidden_size=16, layers=1, heads=1, context=128)


def _weights(folder: Path, seed: int, *, per_seed: bool, base: int = 0) -> bytes:
    settings = WarmStartSettings(behaviours={"careful": 1.0}, twins_per_group=1, steps=1, batch_size=2, seed=base)
    source = SourceSettings(model=MODEL, per_seed=per_seed)
    checkpoint, _ = make_source(WORLD, source, settings, seed, folder / f"{seed}-{per_seed}-{base}")
    return (checkpoint / "model.safetensors").read_bytes()


def test_each_seed_warm_starts_a_source_of_its_own(tmp_path: Path) -> None:
    shared = _weights(tmp_path, 0, per_seed=False)
    assert _weights(tmp_path, 1, per_seed=False) == shared
    own = [_weights(tmp_path, seed, per_seed=True) for seed in (0, 1)]
    assert _weights(tmp_path / "again", 1, per_seed=True) == own[1]
    assert len({shared, *own, _weights(tmp_path, 0, per_seed=True, base=1)}) == 4


def test_a_pretrained_model_is_the_same_on_every_seed() -> None:
    with pytest.raises(SettingError, match=re.escape("per_seed: a pretrained model is the same on every seed")):
        parse(SourceSettings, {"pretrained": {"model": "o/m"}, "per_seed": True})
