"""The judging pipeline as a user runs it, with a real server that plays a judge."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import yaml
from tests.pipelines.conftest import Run

from chat_server import ChatServer
from judging.three_parts import ThreeParts
from noisy_judge import NoisyJudge
from persistence_pipeline.datasets import JsonLinesDataset
from toolemu.toolemu_files import write_files

DATA = Path("data/smoke")
CANARY = "sk-canary-91c2"


def noisy_judge(project: Path) -> NoisyJudge:
    """A judge that knows the project's trajectories."""
    trajectories, truth = [], {}
    made = project / DATA / "07_model_output"
    for folder in sorted((made / "rollouts").iterdir()):
        record = "persistence_pipeline.records.Trajectory"
        trajectories += JsonLinesDataset(filepath=str(folder / "trajectories.jsonl"), record=record).load()
        scores = pd.read_parquet(made / f"scores/{folder.name}.parquet").set_index("trajectory_id")
        truth |= scores[["safety", "helpfulness"]].to_dict("index")
    return NoisyJudge(trajectories, truth)


def configure(project: Path, server: ChatServer, **changes: object) -> None:
    address = {
        "base_url": server.base_url,
        "model": "tiny",
        "api_key": "TINY_API_KEY",
        "concurrency": 2,
        **changes,
    }
    judge = {"evidence": "effects", "server": address}
    path = project / "conf/smoke/parameters_judging.yml"
    path.write_text(yaml.safe_dump({"judging": {"judges": {"noisy": judge}, "n_draws": 100}}))
    (project / "conf/local").mkdir(exist_ok=True)
    (project / "conf/smoke/credentials.yml").write_text(yaml.safe_dump({"tiny": {"api_key": CANARY}}))


def test_judges_are_asked_and_calibrated_and_the_key_is_kept_nowhere(spoiled: Path, kedro_run: Run) -> None:
    with ChatServer(noisy_judge(spoiled)) as server:
        configure(spoiled, server)
        done = kedro_run(spoiled, "--pipelines=judging")
    assert done.returncode == 0, done.stdout[-3000:]
    assert "noisy, safety: kappa" in done.stdout
    reporting = spoiled / DATA / "08_reporting/judging"
    document = json.loads((reporting / "calibration.json").read_text())["noisy"]
    assert document["calibrated_on"] == ["test_iid"] and not document["in_sample"]
    assert len(document["frontier"]["corrected"]["points"]) == 5
    assert len(pd.read_parquet(reporting / "points.parquet")) == 3 * 5
    pages = {name: spoiled / DATA / f"08_reporting/{name}.html" for name in ("report", "report_with_judges")}
    assert f"Report: {pages['report_with_judges']}" in done.stdout
    assert (
        'id="judges"' in pages["report_with_judges"].read_text()
        and 'id="judges"' not in pages["report"].read_text()
    )
    scores = pd.read_parquet(spoiled / DATA / "07_model_output/judge_scores/llama_s0.parquet")
    assert set(scores["evaluator"]) == {"noisy"} and scores["safety"].notna().all()
    assert {header["Authorization"] for header in server.headers} == {f"Bearer {CANARY}"}
    credentials = spoiled / "conf/smoke/credentials.yml"
    written = [p for p in spoiled.rglob("*") if p.is_file() and p != credentials]
    assert (spoiled / DATA / ".scratch/judging/llama_s0-noisy.jsonl") in written
    assert not [p for p in written if CANARY.encode() in p.read_bytes()]
    assert CANARY not in done.stdout


def test_a_server_that_is_down_is_named_in_one_line(spoiled: Path, kedro_run: Run) -> None:
    with ChatServer(lambda _: "") as server:
        configure(spoiled, server, retries=0)
    failed = kedro_run(spoiled, "--pipelines=judging")
    assert failed.returncode != 0 and "Traceback" not in failed.stdout
    error, advice = failed.stdout.splitlines()[-2:]
    assert error.startswith("error: ") and "no server answers at http://127.0.0.1" in error
    assert (
        advice.startswith("in llama_")
        and "`kedro run --env=smoke --pipelines=judging --only-missing-outputs` continues" in advice
    )


def test_checkpoints_play_emulated_cases(spoiled: Path, kedro_run: Run, tmp_path: Path) -> None:
    with ChatServer(ThreeParts()) as server:
        configure(spoiled, server, api_key=None)
        cases, toolkits = write_files(tmp_path)
        address = {"base_url": server.base_url, "model": "tiny"}
        emulation = {"cases": str(cases), "toolkits": str(toolkits), "emulator": {"server": address}}
        rollout = {"served": address, "max_turn_tokens": 64, "samples": 1}
        path = spoiled / "conf/smoke/parameters_emulation.yml"
        path.write_text(yaml.safe_dump({"emulation": emulation, "rollout": rollout}))
        parameters = yaml.safe_load((spoiled / "conf/smoke/parameters.yml").read_text())
        (spoiled / "conf/smoke/parameters.yml").write_text(
            yaml.safe_dump({name: value for name, value in parameters.items() if name != "rollout"})
        )
        planned = kedro_run(spoiled, "--pipelines=plan")
        assert planned.returncode == 0, planned.stdout[-3000:]
        assert not server.requests and "No request was made" in planned.stdout
        done = kedro_run(spoiled, "--pipelines=emulation")
    assert done.returncode == 0, done.stdout[-3000:]
    estimated = pd.read_parquet(spoiled / DATA / "08_reporting/plan.parquet").set_index(["what", "quantity"])
    assert estimated.loc[("judge noisy, emulated, tiny", "requests"), "value"] == 2 * 6
    assert server.answer.played == {"agent": 2 * 6, "tools": 6, "judge": 2 * 6}
    scores = pd.read_parquet(spoiled / DATA / "08_reporting/emulation/scores.parquet")
    assert scores["cell"].nunique() == 6 and scores["evaluator"].unique() == ["noisy"]
