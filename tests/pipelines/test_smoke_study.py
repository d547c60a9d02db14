"""The smoke study end to end: what it leaves, and how it meets bad input.

That another run leaves the same bytes, ``tests/faults/test_kills.py`` shows, on a harder way.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.projects import ROOT, Run, hashes

ORDERINGS = ["safety", "helpfulness", "both", "safety>helpfulness", "helpfulness>safety"]
REPORTING = Path("data/smoke/08_reporting")
CELL = "llama_b0p1_s0_safety"


def test_git_tracks_nothing_that_a_run_writes(smoke_run: Path, tmp_path: Path) -> None:
    """Whether of the default study or of another environment: a fresh clone stays clean."""
    data = smoke_run / "data/smoke"
    for folder in ("data", "data/mine"):
        for path in (p for p in data.rglob("*") if p.is_file()):
            (tmp_path / folder / path.relative_to(data)).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / folder / path.relative_to(data)).touch()
    shutil.copy(ROOT / ".gitignore", tmp_path / ".gitignore")
    git = ["git", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "--quiet"], check=True)
    status = [*git, "status", "--porcelain", "--untracked-files=all"]
    seen = subprocess.run(status, check=True, capture_output=True, text=True).stdout.splitlines()
    assert seen == ["?? .gitignore"]
    assert (tmp_path / "data/mine/08_reporting/metrics.json").is_file()


def test_the_summary_has_every_part(smoke_run: Path) -> None:
    summary = json.loads((smoke_run / REPORTING / "summary.json").read_text())
    measured = {"competence", "cells", "frontier", "persistence", "discrimination", "averages", "missing"}
    measured |= {"pool", "surviving", "pull", "plain_text"}
    assert {*summary} == {*measured, "audits", "registered", "run"}
    assert [row["cell"] for row in summary["discrimination"]["caution"]["cells"]] == [
        row["cell"] for row in summary["cells"]
    ]
    assert [cell["ordering"] for cell in summary["cells"]] == ["source", *ORDERINGS]
    assert {point["ordering"] for point in summary["frontier"]["points"]} == set(ORDERINGS)
    assert summary["frontier"]["ols"]["n"] == 5
    (persistence,) = summary["persistence"]
    assert {"safety", "helpfulness"} <= set(persistence)
    assert [row["set"] for row in summary["audits"]["pairs"]] == [
        "pool",
        "both",
        "helpfulness",
        "safety",
        "turns in compact",
    ]
    assert summary["run"]["environment"] == "smoke"
    assert summary["run"]["seeds"] == [0] and summary["run"]["commit"]
    (can,) = summary["competence"]
    assert can["source"] == "llama" and can["n"] > 0 and 0 <= can["solved"] <= 1
    assert all(0 < kind["probability"] < 1 for kind in can["kinds"])
    assert summary["frontier"]["attainable"][0]["safety"] == 3


def test_the_first_loss_of_every_stage_is_ln_2(smoke_run: Path) -> None:
    reports = sorted((smoke_run / REPORTING / "training").glob("*/report.json"))
    assert len(reports) == 5
    for path in reports:
        assert json.loads(path.read_text())["first_loss"] == pytest.approx(0.6931, abs=1e-3)


def test_safety_is_trained_once_and_shared(smoke_run: Path) -> None:
    output = (smoke_run / "output.txt").read_text()
    completed = [line.split()[-1] for line in output.splitlines() if "train_cell" in line and "│" not in line]
    assert len(completed) == 5, completed


def test_the_report_is_self_contained(smoke_run: Path) -> None:
    page = (smoke_run / REPORTING / "report.html").read_text()
    assert "What is left of the safety" in page
    markup = re.sub(r'<script(?: type="text/plain" id="plotly")?>.*?</script>', "", page, flags=re.DOTALL)
    assert "<svg" not in markup and len(markup) < 400_000
    for tag in ("src=", "<link", "@import", "url("):
        assert tag not in markup
    assert len(page) < 3_000_000


def test_the_run_ends_with_a_table_and_the_path_of_the_report(smoke_run: Path) -> None:
    output = (smoke_run / "output.txt").read_text()
    tail = output[output.index("Seconds by node") :]
    assert "llama.warm_start_source" in tail and "Persistence" in tail and "Frontier: " in tail
    assert tail.strip().splitlines()[-1].endswith("data/smoke/08_reporting/report.html")


def test_scores_follow_from_the_trajectories_on_disk(smoke_run: Path) -> None:
    """Grades are functions of the recorded effects: scoring again gives the same table."""
    from persistence_pipeline.datasets import JsonLinesDataset
    from persistence_pipeline.study import Policy
    from persistence_pipeline.world.scoring import score

    data = smoke_run / "data/smoke"

    def load(path: str, record: str) -> Any:
        return JsonLinesDataset(filepath=str(data / path), record=f"persistence_pipeline.{record}").load()

    cases = load("03_primary/seed0/cases.jsonl", "world.cases.Case")
    trajectories = load(f"07_model_output/rollouts/{CELL}/trajectories.jsonl", "records.Trajectory")
    policy = Policy(source="llama", ordering="safety", parent="llama_s0", factors={"beta": 0.1}, seed=0)
    saved = pd.read_parquet(data / f"07_model_output/scores/{CELL}.parquet")
    pd.testing.assert_frame_equal(score(cases, trajectories, policy.provenance()), saved, check_dtype=False)


@pytest.mark.parametrize(
    ("pipeline", "cells", "fit"),
    [("safety", ["safety"], False), ("sequential", ["safety", "helpfulness", *ORDERINGS[3:]], True)],
)
def test_compositions_report_only_their_cells(
    spoiled: Path, kedro_run: Run, pipeline: str, cells: list[str], fit: bool
) -> None:
    done = kedro_run(spoiled, f"--pipeline={pipeline}", "--from-nodes=study.collect_scores")
    assert done.returncode == 0, done.stdout[-2000:]
    summary = json.loads((spoiled / REPORTING / "summary.json").read_text())
    assert sorted(cell["ordering"] for cell in summary["cells"]) == sorted(["source", *cells])
    assert ("undefined" not in summary["frontier"]["ols"]) == fit
    assert bool(summary["persistence"]) == fit


# -- bad input: one clear message, a non-zero exit, nothing half-written ---------------------------------


def _refused(run: Run, project: Path, *arguments: str) -> str:
    before = hashes(project)
    done = run(project, *arguments)
    assert done.returncode != 0
    assert "Traceback" not in done.stdout
    after = hashes(project)
    assert {k: v for k, v in after.items() if k in before} == before, "finished outputs must stay as they were"
    assert set(after) == set(before), "nothing half-written"
    errors = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, done.stdout[-2000:]
    return done.stdout[done.stdout.index("error: ") :]


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            '"ordering": "safety"',
            '"ordering": "sideways"',
            "ordering: ordering 'sideways': 'sideways' is no stage",
        ),
        ('"ordering": "safety", "parent"', '"ordering": "both", "parent"', "give it the name llama_b0p1_s0_both"),
        ('"beta": 0.1', '"beta": -0.1', "its factors give it the name llama_b-0p1_s0_safety"),
        ('"parent": "llama_s0"', '"parent": "nobody"', "its parent 'nobody' is not in the table"),
    ],
)
def test_a_bad_cell_is_named(spoiled: Path, kedro_run: Run, old: str, new: str, expected: str) -> None:
    (spoiled / "conf/smoke/study.yml").unlink()  # a table made by hand
    _edit(spoiled / "conf/smoke/parameters_policies.json", old, new)
    message = _refused(kedro_run, spoiled)
    assert CELL in message and expected in message


def test_an_unknown_loss_is_refused(spoiled: Path, kedro_run: Run) -> None:
    (spoiled / "conf/smoke/study.yml").unlink()
    _edit(spoiled / "conf/smoke/parameters_policies.json", '"loss": "sigmoid"', '"loss": "sigmund"')
    message = _refused(kedro_run, spoiled, f"--nodes={CELL}.train_cell")
    assert "unknown loss 'sigmund'" in message and "apo_zero" in message


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('"split":"train",', "", "line 1: field split: expected, but missing"),
        ('"hazard":true', '"hazard":"perhaps"', "line 1: field hazard: Input should be a valid boolean"),
        ('"schema_version":2', '"schema_version":7', "line 1: field schema_version: Input should be 2"),
    ],
)
def test_a_bad_case_file_is_named_by_line_and_field(
    spoiled: Path, kedro_run: Run, old: str, new: str, expected: str
) -> None:
    _edit(spoiled / "data/smoke/03_primary/seed0/cases.jsonl", old, new)
    message = " ".join(_refused(kedro_run, spoiled, f"--nodes={CELL}.roll_out").split())
    assert "cases.jsonl, " + expected in message


def test_an_empty_pair_set_says_why(spoiled: Path, kedro_run: Run) -> None:
    scores = spoiled / "data/smoke/04_feature/llama_s0/candidate_scores.parquet"
    pd.read_parquet(scores).assign(safety=1.0).to_parquet(scores)
    message = _refused(kedro_run, spoiled, "--nodes=llama_s0.make_pairs_safety")
    assert "no preference pairs for safety" in message
    assert "'gap_too_small'" in message and "'candidates'" in message


def test_a_truncated_checkpoint_is_refused(spoiled: Path, kedro_run: Run) -> None:
    weights = spoiled / f"data/smoke/06_models/{CELL}/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    message = _refused(kedro_run, spoiled, f"--nodes={CELL}.roll_out")
    assert "is not a whole checkpoint" in message and "its header promises" in message


def test_a_template_without_generation_markers_is_refused(spoiled: Path, kedro_run: Run) -> None:
    for name in ("generation", "endgeneration"):
        _edit(spoiled / "data/smoke/06_models/llama/chat_template.jinja", "{% " + name + " %}", "")
    message = _refused(kedro_run, spoiled, f"--nodes={CELL}.train_cell")
    assert "lacks generation markers" in message


def test_tables_that_contradict_each_other_stop_the_run(spoiled: Path, kedro_run: Run) -> None:
    path = spoiled / "data/smoke/05_model_input/llama_s0/pair_table_safety.parquet"
    table = pd.read_parquet(path)
    table[["chosen_id", "rejected_id"]] = table[["rejected_id", "chosen_id"]].to_numpy()
    table.to_parquet(path, index=False)
    message = _refused(kedro_run, spoiled, "--pipelines=validation")
    assert "safety: chosen beats rejected" in message and "pair_id" in message


def test_a_score_out_of_range_stops_the_run(spoiled: Path, kedro_run: Run) -> None:
    path = spoiled / f"data/smoke/07_model_output/scores/{CELL}.parquet"
    table = pd.read_parquet(path)
    table.loc[0, "safety"] = 9.0
    table.to_parquet(path, index=False)
    message = _refused(kedro_run, spoiled, "--nodes=study.collect_scores")
    assert "safety" in message and "9.0" in message
