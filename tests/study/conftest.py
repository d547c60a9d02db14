"""A project with a study of each further kind, made once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
from tests.study.kinds import Place, expand, make_kind


@pytest.fixture(scope="session")
def of_kind(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Place]:
    """The expanded project of a kind, which tests leave as it is."""

    @cache
    def made(kind: str) -> Place:
        place = make_kind(tmp_path_factory.mktemp(kind), kind)
        expand(place)
        return place

    return made
