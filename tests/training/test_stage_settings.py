"""Settings of a stage refuse what TRL would refuse, before anything heavy is loaded."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest
from pydantic import ValidationError

from persistence_pipeline.training.settings import LOSSES, SCHEDULERS, StageConfig

BASE = {"objective": "safety", "beta": 0.1, "learning_rate": 1e-3, "max_length": 64}


@pytest.mark.parametrize(
    ("change", "field", "expected"),
    [
        ({"beta": -0.1}, "beta", "greater than 0"),
        ({"loss": "dpo"}, "loss", "unknown loss 'dpo'; known: sigmoid, hinge"),
        ({"scheduler": "cosin"}, "scheduler", "known: linear, cosine"),
        ({"objective": "speed"}, "objective", "'safety', 'helpfulness' or 'both'"),
        ({"reference": "base"}, "reference", "'previous' or 'source'"),
        ({"learning_rat": 1.0}, "learning_rat", "Extra inputs"),
        ({"lora": {"r": 0}}, "lora.r", "greater than 0"),
        ({"loss": "exo_pair"}, "", "label_smoothing"),
    ],
)
def test_a_bad_setting_is_named(change: dict[str, Any], field: str, expected: str) -> None:
    with pytest.raises(ValidationError) as error:
        StageConfig.model_validate({**BASE, **change})
    (fault,) = error.value.errors()
    assert ".".join(map(str, fault["loc"])) == field
    assert expected in fault["msg"]


def test_the_losses_are_those_of_the_installed_trainer() -> None:
    from trl import DPOTrainer

    source = inspect.getsource(DPOTrainer._compute_loss)
    assert set(re.findall(r'loss_type == "(\w+)"', source)) == set(LOSSES)


def test_the_schedulers_exist() -> None:
    from transformers.trainer_utils import SchedulerType

    assert set(SCHEDULERS) <= {kind.value for kind in SchedulerType}
