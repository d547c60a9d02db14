"""A project with a study of each further kind, made once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import pytest
from tests.study.kinds import Place, expand, make_kind

from persistence_pipeline.pipelines import grid
from persistence_pipeline.study import StudyDesign


@pytest.fixture(autouse=True, scope="module")
def _default_study_again() -> Iterator[None]:
    """Pipelines that later tests build are those of the default study."""
    yield
    grid._session_cells.clear()
    grid._session_design[:] = [StudyDesign()]


@pytest.fixture(scope="session")
def of_kind(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Place]:
    """The expanded project of a kind, which tests leave as it is."""

    @cache
    def made(kind: str) -> Place:
        place = make_kind(tmp_path_factory.mktemp(kind), kind)
        expand(place)
        return place

    return made
