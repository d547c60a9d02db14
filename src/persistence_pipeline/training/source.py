"""Source policies of a study: trained from scratch on demonstrations, or pretrained elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
from pydantic import model_validator

from persistence_pipeline.agents.models import ModelSettings
from persistence_pipeline.strict import Strict
from persistence_pipeline.training.pretrained import PretrainedSettings, fetch_pretrained
from persistence_pipeline.training.warm_start import WarmStartSettings, demonstrate, warm_start
from persistence_pipeline.world.splits import WorldSettings, warm_start_cases
from persistence_pipeline.world.vocabulary import vocabulary


class SourceSettings(Strict):
    """One source of the study: a shape to train from scratch, or a model that exists."""

    model: ModelSettings | None = None
    pretrained: PretrainedSettings | None = None
    per_seed: bool = False
    """Whether each seed of a study warm-starts a model of its own; otherwise all share one."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.model is None) == (self.pretrained is None):
            raise ValueError("a source has either `model`, the shape of one trained from scratch, or `pretrained`")
        if self.per_seed and self.pretrained is not None:
            raise ValueError("per_seed: a pretrained model is the same on every seed; a seed can have a `model`")
        return self


def make_source(
    world: WorldSettings, source: SourceSettings, settings: WarmStartSettings, seed: int, scratch: Path
) -> tuple[Path, pd.DataFrame]:
    """Warm-start or fetch a source; returns its checkpoint directory and the loss by step, of none if fetched.

    ``seed`` is the study's to which a source ``per_seed`` belongs; demonstrations, initial weights and batches
    then follow from a seed made of it and of the warm start's own (NumPy's ``SeedSequence``).
    """
    if source.per_seed:
        own = int(np.random.SeedSequence((settings.seed, seed)).generate_state(1)[0])
        settings = settings.model_copy(update={"seed": own})
    if source.pretrained is not None:
        return fetch_pretrained(source.pretrained, scratch), pd.DataFrame({"step": [], "loss": []}, dtype=float)
    assert source.model is not None  # noqa: S101
    cases = warm_start_cases(world, settings.twins_per_group, settings.seed)
    demonstrations = demonstrate(cases, settings.behaviours, settings.seed)
    checkpoint, log = warm_start(demonstrations, vocabulary(world.all_groups()), source.model, settings, scratch)
    return checkpoint, pd.DataFrame(log)
