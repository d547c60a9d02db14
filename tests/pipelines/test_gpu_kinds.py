"""The other kinds of study in the environment gpu, each one ``kedro run``: ToolEmu's cases, published pairs."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from tests.pipelines.gpu_study import (
    HELD_OUT,
    Opinionated,
    kedro_run_gpu,
    make_hub,
    on_toolemu_cases,
    shrink,
    write_newsletters,
)

from chat_server import ChatServer
from projects import copy_project
from published.published_clone import N_CASES as N_PUBLISHED
from published.published_clone import make_clone

N_CASES = 8
CELLS = ("tiny_qwen2_b0p1_s0_safety", "tiny_qwen2_b0p1_s0_safety_then_helpfulness")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny model as a directory of the hub."""
    return make_hub(tmp_path_factory.mktemp("hub"), ["tiny_qwen2"])


@pytest.fixture(scope="module")
def toolemu(
    model: dict[str, Path], transformers_serve: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, Opinionated]]:
    """A project in which the study on ToolEmu's cases has run.

    The checkpoints are played by ``transformers serve``, which plays the tools too and is one of two judges. What
    that tiny model says is prose, so a second agent and a second judge give the study something to learn from.
    """
    folder = tmp_path_factory.mktemp("toolemu")
    files = write_newsletters(folder, N_CASES)
    project = copy_project(folder / "project")
    tiny = {"base_url": transformers_serve, "model": str(model["tiny_qwen2"]), "timeout_s": 600, "concurrency": 4}
    with ChatServer(Opinionated()) as server:
        changes = on_toolemu_cases(files, tiny, server.base_url)
        shrink(project, model, ["helpfulness"], changes)
        kedro_run_gpu(project)
        yield project, server.answer


def read(project: Path, path: str) -> pd.DataFrame:
    return pd.read_parquet(project / "data/gpu" / path)


@pytest.mark.slow
def test_a_study_on_toolemu_cases_runs_whole(toolemu: tuple[Path, Opinionated]) -> None:
    """Candidates, judgements, pairs, two merged stages, tests, scores, frontier and report, in one run."""
    project, _ = toolemu
    reporting = project / "data/gpu/08_reporting"
    summary = json.loads((reporting / "summary.json").read_text())
    assert {cell["ordering"] for cell in summary["cells"]} == {
        "source",
        "safety",
        "safety>helpfulness",
        "helpfulness",
    }
    assert summary["frontier"]["split"] == "test_iid" and summary["frontier"]["attainable"] == []
    assert len(summary["frontier"]["points"]) == 3
    for name in CELLS:
        report = json.loads((reporting / f"training/{name}/report.json").read_text())
        assert report["first_loss"] == pytest.approx(0.6931, abs=1e-3)
    page = (reporting / "report.html").read_text()
    trajectories = page.partition('id="browser-data">')[2].partition("<")[0]
    assert "Delete newsletter" in gzip.decompress(base64.b64decode(trajectories)).decode()
    assert "The dotted line is the best" not in page


@pytest.mark.slow
def test_pairs_are_of_the_train_half_and_tests_of_the_other(toolemu: tuple[Path, Opinionated]) -> None:
    project, _ = toolemu
    cases = read(project, "03_primary/emulated/seed0/case_table.parquet").set_index("case_id")["split"]
    assert (cases == "train").sum() == (cases == "test_iid").sum() == N_CASES // 2
    pairs = read(project, "05_model_input/tiny_qwen2_s0/pair_table_safety.parquet")
    assert len(pairs) and set(cases[pairs["case_id"]]) == {"train"}
    scores = read(project, "08_reporting/scores.parquet")
    assert set(cases[scores["case_id"]]) == {"test_iid"}
    assert set(scores["evaluator"]) == {"other", "tiny"} and scores["cell"].nunique() == 4


@pytest.mark.slow
def test_prose_is_missing_with_a_reason_and_spoils_nothing(toolemu: tuple[Path, Opinionated]) -> None:
    """The server's tiny model judges and plays tools in prose; an agent that calls tools learns nothing by it."""
    project, answers = toolemu
    scores = read(project, "08_reporting/scores.parquet")
    tiny = scores[scores["evaluator"] == "tiny"]
    assert tiny["safety"].isna().all()
    assert tiny["missing_reason"].str.contains("cut off at max_tokens|no JSON object").all()
    assert scores.loc[scores["evaluator"] == "other", "safety"].notna().all()
    candidates = read(project, "04_feature/tiny_qwen2_s0/candidate_scores.parquet").set_index("policy")
    calls = candidates.loc["caller"]
    assert (calls["stop_reason"] == "error").all() and calls["safety"].isna().all()
    unread = "the emulator's answer to MailboxSearch could not be read"
    assert calls["missing_reason"].str.contains(unread).all()
    assert candidates.loc["tiny_qwen2_s0", "safety"].notna().all()
    assert answers.played["agent"] == 4 * N_CASES // 2 and answers.played["tools"] == 0


@pytest.mark.slow
def test_a_study_on_published_pairs_runs_whole(model: dict[str, Path], tmp_path: Path) -> None:
    """Its pairs train both stages, the tool world tests them, and no candidate is played."""
    project = copy_project(tmp_path / "project")
    clone = make_clone(tmp_path / "clone")
    few = {"n_cases": N_PUBLISHED, "n_draws": 20, "sensitivity_draws": 20}
    changes = {
        "study": {"pairs": "published"},
        "published": {"root": str(clone), **few},
        "world": {"held_out_combinations": HELD_OUT[:4]},
        # the clone's trajectories all say the same
        "training": {objective: {"allow_unchanged": True} for objective in ("safety", "helpfulness")},
    }
    shrink(project, model, [], changes)
    kedro_run_gpu(project)
    reporting = project / "data/gpu/08_reporting"
    summary = json.loads((reporting / "summary.json").read_text())
    assert [cell["ordering"] for cell in summary["cells"]] == ["source", "safety", "safety>helpfulness"]
    table = read(project, "05_model_input/published/pair_table.parquet")
    own = table[(table["evaluator"] == "q32") & (table["pool"] == "every") & table["train_0"]]
    for name, objective in zip(CELLS, ("safety", "helpfulness"), strict=True):
        report = json.loads((reporting / f"training/{name}/report.json").read_text())
        assert report["n_pairs"] == (own["objective"] == objective).sum()
        assert report["first_loss"] == pytest.approx(0.6931, abs=1e-3)
    assert "Pairs" in (reporting / "report.html").read_text()
    assert not (project / "data/gpu/04_feature").exists()
