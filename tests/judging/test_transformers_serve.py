"""Judge and emulator through a real ``transformers serve``, with a tiny model whose answers mean nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from persistence_pipeline.judging.briefing import world_briefing
from persistence_pipeline.judging.judge import judge, score_table
from persistence_pipeline.judging.settings import JudgeSettings
from persistence_pipeline.llm_client import ChatClient, ChatRequest, ModelUnknownError, ServerSettings
from persistence_pipeline.records import ToolCall, Trajectory
from persistence_pipeline.rollout.episode import Episode, Turn
from persistence_pipeline.schemas import ScoreTable
from persistence_pipeline.toolemu.cases import read_cases
from persistence_pipeline.toolemu.emulator import EmulatedWorld, EmulatorSettings
from persistence_pipeline.world.cases import Case
from real_shapes import save_hub_model
from toolemu.toolemu_files import write_files


@pytest.fixture(scope="module")
def served(transformers_serve: str, tmp_path_factory: pytest.TempPathFactory) -> ServerSettings:
    """A server on loopback and its model."""
    folder = tmp_path_factory.mktemp("served") / "model"
    model = save_hub_model("qwen2", "qwen2_5", folder, ["grade what the agent did"])
    return ServerSettings(base_url=transformers_serve, model=str(model), retries=0, concurrency=2)


@pytest.mark.slow
def test_judge_and_emulator_speak_to_transformers_serve(
    served: ServerSettings, cases: list[Case], trajectories: list[Trajectory], tmp_path: Path
) -> None:
    chosen = trajectories[:1]
    briefings = {case.case_id: world_briefing(case) for case in cases}
    with ChatClient(served) as client:
        judgements = judge(chosen, briefings, JudgeSettings(server=served, max_tokens=8), client)
        case = read_cases(*write_files(tmp_path), seed=0)[0]
        settings = EmulatorSettings(server=served, max_tokens=8, attempts=2)
        episode = Episode(case, policy="p", seed=0, world=EmulatedWorld(case, settings, client, ""))
        episode.take(Turn(ToolCall(name="MailboxSearch", arguments={"query": "news"})))
    provenance = {"cell": "c", "source": "m", "ordering": "source", "beta": float("nan")}
    scores = score_table(chosen, judgements, evaluator="tiny", provenance=provenance)
    ScoreTable.validate(scores)
    assert (judgements["prompt_tokens"] > 100).all()
    assert scores["missing_reason"].str.contains("cut off at max_tokens|no JSON object").all()
    assert (
        episode.trajectory().flags["error"] == "the emulator's answer to MailboxSearch could not be read (2 times)"
    )
    with (
        ChatClient(served.model_copy(update={"model": "nobody/nothing"})) as client,
        pytest.raises(ModelUnknownError, match=r"does not serve 'nobody/nothing'; it serves .*model"),
    ):
        client.ask(ChatRequest([{"role": "user", "content": "hello"}], max_tokens=4))
