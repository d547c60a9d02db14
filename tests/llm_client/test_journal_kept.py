"""When the journal of a rollout goes: when all that was made of its replies has been saved, whoever saves it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from kedro.framework.hooks.manager import _create_hook_manager
from kedro.framework.project import configure_project
from kedro.io import AbstractDataset, DataCatalog, MemoryDataset, SharedMemoryDataCatalog
from kedro.pipeline import Pipeline, node
from kedro.runner import AbstractRunner, ParallelRunner, SequentialRunner
from tests.rollout.test_served import CASES, NOTHING, Careful, _settings

from chat_server import Act, ChatServer
from persistence_pipeline.datasets import JsonLinesDataset
from persistence_pipeline.hooks.data import JournalHooks
from persistence_pipeline.records import Trajectory
from persistence_pipeline.rollout.episode import Episode
from persistence_pipeline.rollout.played import Played
from persistence_pipeline.rollout.run import RolloutSettings, roll_out
from persistence_pipeline.rollout.scripted import ScriptedPolicy


class Touchy(AbstractDataset[Any, Any]):
    """A file that cannot be saved while another lies beside it."""

    def __init__(self, filepath: str) -> None:
        self._path = Path(filepath)

    def load(self) -> Any:
        return self._path.read_text()

    def save(self, data: Any) -> None:
        if self._path.with_suffix(".full").exists():
            raise OSError("No space left on device")
        self._path.write_text(str(data))

    def _describe(self) -> dict[str, Any]:
        return {}


def _play(settings: RolloutSettings) -> tuple[Played, int]:
    played = roll_out(NOTHING, CASES, settings, policy="cell", seed=0)
    return played, len(played)


def _run(settings: RolloutSettings, folder: Path, runner: AbstractRunner) -> None:
    """The node with both of its outputs, as a session would run it."""
    parallel = isinstance(runner, ParallelRunner)
    record = "persistence_pipeline.records.Trajectory"
    kind = SharedMemoryDataCatalog if parallel else DataCatalog
    catalog = kind(
        {
            "settings": MemoryDataset(settings),
            "played": JsonLinesDataset(filepath=str(folder / "played.jsonl"), record=record),
            "counted": Touchy(str(folder / "counted.txt")),
        }
    )
    manager = _create_hook_manager()
    manager.register(JournalHooks())
    pipeline = Pipeline([node(_play, "settings", ["played", "counted"], name="play")])
    runner.run(pipeline, catalog, None if parallel else manager)


@pytest.fixture(scope="module")
def careful() -> Careful:
    episodes = [Episode(case, policy="careful", seed=0) for case in CASES]
    return Careful({e.case.instruction: e.trajectory() for e in ScriptedPolicy("careful").play(episodes)})


def test_a_journal_goes_with_the_last_output_that_is_saved(careful: Careful, tmp_path: Path) -> None:
    with ChatServer(careful, model="cell") as server:
        settings = _settings(server, tmp_path)
        (tmp_path / "counted.full").touch()
        with pytest.raises(Exception, match="No space left"):
            _run(settings, tmp_path, SequentialRunner())
        assert len((tmp_path / "played.jsonl").read_text().splitlines()) == len(CASES)
        assert len(list(settings.journal.iterdir())) == 1, "one output was saved, the other was not"
        (tmp_path / "counted.full").unlink()
        asked = len(server.requests)
        _run(settings, tmp_path, SequentialRunner())
        assert len(server.requests) == asked and not list(settings.journal.iterdir())


def test_a_journal_goes_in_a_worker_too(careful: Careful, tmp_path: Path) -> None:
    configure_project("persistence_pipeline")  # workers take the project's hooks
    with ChatServer(careful, model="cell") as server:
        settings = _settings(server, tmp_path)
        _run(settings, tmp_path, ParallelRunner(max_workers=1))
        assert (tmp_path / "counted.txt").read_text() == str(len(CASES)) and not list(settings.journal.iterdir())


@pytest.mark.parametrize("kept", [True, False])
def test_a_journal_stays_where_it_is_to_be_kept_or_an_episode_was_not_played(
    careful: Careful, tmp_path: Path, kept: bool
) -> None:
    odd = CASES[2].instruction

    def answer(request: dict[str, Any]) -> Any:
        about = next(m["content"] for m in request["messages"] if m["role"] == "user")
        return Act(400, '{"error": {"message": "odd"}}') if about == odd and not kept else careful(request)

    with ChatServer(answer, model="cell") as server:
        settings = _settings(server, tmp_path, keep_journal=kept)
        _run(settings, tmp_path, SequentialRunner())
        assert len(list(settings.journal.iterdir())) == 1
        server.answer, asked = careful, len(server.requests)
        _run(settings, tmp_path, SequentialRunner())
    played = [
        Trajectory.model_validate_json(line) for line in (tmp_path / "played.jsonl").read_text().splitlines()
    ]
    assert {t.stop_reason for t in played} == {"finish"}
    assert len(server.requests) - asked == (0 if kept else played[2].flags["calls"])
    assert bool(list(settings.journal.iterdir())) == kept


def test_the_journals_of_what_is_put_together_go_together(tmp_path: Path) -> None:
    import pickle

    first, second = tmp_path / "a", tmp_path / "b"
    for journal in (first, second):
        journal.touch()
    together = Played(spent=[first])
    together += Played(spent=[second])
    together += []
    assert pickle.loads(pickle.dumps(together)).spent == [first, second]
    together.remove_journals()
    together.remove_journals()
    assert not list(tmp_path.iterdir())
