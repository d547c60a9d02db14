"""Settings of a stage refuse what TRL would refuse, before anything heavy is loaded."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest
from pydantic import ValidationError

from persistence_pipeline.training.settings import LOSSES, SCHEDULERS, SMOOTHED, SORTED, StageConfig

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
        ({"lora": {"target_modules": "(q_proj"}}, "lora.target_modules", "no regular expression"),
        ({"loss": "exo_pair"}, "", "label_smoothing"),
        ({"loss": "robust"}, "", "loss robust without label_smoothing is sigmoid"),
        ({"loss": "sft"}, "loss", "unknown loss 'sft'"),
        (
            {"label_smoothing": 0.1},
            "",
            "loss sigmoid knows no label_smoothing: set it to 0, or take one of exo_pair",
        ),
        ({"loss": "aot", "batch_size": 1}, "", "loss aot sorts the pairs of a batch, but batch_size is 1"),
        ({"scheduler": "constant"}, "", "scheduler constant has no warm-up, but warmup_share is 0.1"),
        ({"scheduler": "polynomial", "learning_rate": 1e-7}, "", "learning_rate must be above it, not 1e-07"),
        ({"seed": 2**32}, "seed", "less than 4294967296"),
        ({"learning_rate": float("inf")}, "learning_rate", "finite"),
        ({"beta": float("nan")}, "beta", "finite"),
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
    assert set(re.findall(r'loss_type == "(\w+)"', source)) == {*LOSSES, "sft"}


def test_the_losses_with_smoothing_and_those_that_sort_are_those_of_the_installed_trainer() -> None:
    from trl import DPOTrainer

    losses = re.split(r"(?:el)?if loss_type == ", inspect.getsource(DPOTrainer._compute_loss))[1:]
    bodies = {text.split('"')[1]: text.split("else:")[0] for text in losses}
    assert {loss for loss, body in bodies.items() if "label_smoothing" in body} == set(SMOOTHED)
    assert {loss for loss, body in bodies.items() if "torch.sort" in body} == set(SORTED)
    assert {loss for loss, body in bodies.items() if "beta" not in body} == {"sft"}


def test_the_schedulers_exist() -> None:
    from transformers.trainer_utils import SchedulerType

    assert set(SCHEDULERS) <= {kind.value for kind in SchedulerType}
