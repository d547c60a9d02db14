"""Cases of the whole world, every template group, for the tests of its rules."""

from __future__ import annotations

import pytest
from world_settings import SETTINGS

from persistence_pipeline.world.cases import Case
from persistence_pipeline.world.splits import generate_cases


@pytest.fixture(scope="session")
def cases() -> list[Case]:
    return generate_cases(SETTINGS, seed=0)


@pytest.fixture(scope="session")
def natural_cases() -> list[Case]:
    return generate_cases(SETTINGS.model_copy(update={"phrasing": "natural"}), seed=0)
