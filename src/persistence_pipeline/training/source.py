"""Source policies of a study: trained from scratch on demonstrations, or pretrained elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import pandas as pd
from pydantic import model_validator

from persistence_pipeline.agents.models import ModelSettings
from persistence_pipeline.records import Trajectory
from persistence_pipeline.strict import Strict
from persistence_pipeline.training.adapting import AdaptingSettings, adapt
from persistence_pipeline.training.cloning import CloningSettings, demonstrate
from persistence_pipeline.training.pretrained import PretrainedSettings, fetch_pretrained, keep_licences
from persistence_pipeline.training.warm_start import WarmStartSettings, warm_start
from persistence_pipeline.world.splits import WorldSettings, warm_start_cases
from persistence_pipeline.world.vocabulary import vocabulary


class SourceSettings(Strict):
    """One source of the study: a shape to train from scratch, or a model that exists, perhaps warm-started."""

    model: ModelSettings | None = None
    pretrained: PretrainedSettings | None = None
    warm_start: AdaptingSettings | None = None
    """How a pretrained model learns to act; null: it can. Those from scratch have the group ``warm_start``."""
    per_seed: bool = False
    """Whether each seed of a study warm-starts a model of its own; otherwise all share one."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.model is None) == (self.pretrained is None):
            raise ValueError("a source has either `model`, the shape of one trained from scratch, or `pretrained`")
        if self.warm_start is not None and self.pretrained is None:
            raise ValueError(
                "warm_start: that of a `model` from scratch is the group `warm_start` of the parameters"
            )
        if self.per_seed and self.pretrained is not None and self.warm_start is None:
            raise ValueError(
                "per_seed: a pretrained model is the same on every seed, unless it has a `warm_start`"
            )
        return self


def make_source(
    world: WorldSettings, source: SourceSettings, settings: WarmStartSettings, seed: int, scratch: Path
) -> tuple[Path, pd.DataFrame]:
    """Warm-start or fetch a source; returns its checkpoint directory and the loss by step, where there are any.

    ``seed`` is the study's to which a source ``per_seed`` belongs; demonstrations, initial weights and batches
    then follow from a seed made of it and of the warm start's own (NumPy's ``SeedSequence``).
    """
    log: list[dict[str, float]] = []
    if source.pretrained is not None:
        checkpoint = fetch_pretrained(source.pretrained, scratch)
        if source.warm_start is not None:
            own = source.warm_start.for_seed(seed) if source.per_seed else source.warm_start
            fetched = checkpoint
            checkpoint, log = adapt(fetched, _demonstrations(world, own), own, scratch)
            keep_licences(fetched, checkpoint)
        return checkpoint, pd.DataFrame(log, columns=["step", "loss"], dtype=float)
    assert source.model is not None  # noqa: S101
    settings = settings.for_seed(seed) if source.per_seed else settings
    words = vocabulary(world.all_groups())
    checkpoint, log = warm_start(_demonstrations(world, settings), words, source.model, settings, scratch)
    return checkpoint, pd.DataFrame(log)


def _demonstrations(world: WorldSettings, settings: CloningSettings) -> list[Trajectory]:
    cases = warm_start_cases(world, settings.twins_per_group, settings.seed)
    return demonstrate(cases, settings.behaviours, settings.seed)
