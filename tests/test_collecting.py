"""The collector is off while libraries are imported, and leaves what they brought alone."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from persistence_pipeline.collecting import collect_and_set_aside, import_unwatched


@pytest.fixture(autouse=True)
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "a_library.py").write_text(
        "import gc\nwatched = gc.isenabled()\nbrought = [[] for _ in range(1000)]\n"
    )
    (tmp_path / "a_broken_library.py").write_text("raise RuntimeError('broken')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("a_library", None)
    gc.unfreeze()
    gc.enable()


def test_imports_are_not_watched_and_not_looked_at_again() -> None:
    import_unwatched("a_library")
    library = sys.modules["a_library"]
    assert not library.watched and gc.isenabled()
    looked_at = {id(thing) for thing in gc.get_objects()}
    assert not any(id(thing) in looked_at for thing in library.brought)


def test_what_has_been_imported_costs_nothing() -> None:
    frozen = gc.get_freeze_count()
    import_unwatched("sys", "gc")
    assert gc.get_freeze_count() == frozen


@pytest.mark.parametrize("watched", [True, False])
def test_the_collector_is_left_as_it_was(watched: bool) -> None:
    if not watched:
        gc.disable()
    with pytest.raises(RuntimeError, match="broken"):
        import_unwatched("a_broken_library")
    assert gc.isenabled() == watched


def test_what_a_node_leaves_in_a_cycle_is_freed() -> None:
    class Model:
        def __init__(self) -> None:
            self.trainer = [self]

    gc.disable()
    model = Model()
    left = weakref.ref(model)
    del model
    assert left() is not None
    collect_and_set_aside()
    assert left() is None
