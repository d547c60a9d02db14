"""A whole study under DVC, with real processes: what runs, what does not, what is kept.

The tests share one project; each leaves it as it found it.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from tests.dvc.conftest import SAFETY, THEN, Project
from tests.exhausting import only_exhausted
from tests.projects import HANGS

SECOND_STAGE = [f"train@{THEN}", f"rollout@{THEN}", f"score@{THEN}", "frontier", "metrics", "report"]
FASTER = {"training": {"helpfulness": {"learning_rate": 0.001}}}
PARAMETERS = "conf/base/parameters.yml"
PLAYED = ("candidates", "rollout")


def _restore(project: Project) -> None:
    """Put code and configuration back; DVC brings the data back."""
    project.run("git", "checkout", "--quiet", "HEAD", "--", ".")


def _cached(project: Project) -> dict[Path, bool]:
    """Files of the cache, and whether their content is what their name says."""
    files = [path for path in (project.root / ".dvc/cache/files/md5").rglob("*") if path.is_file()]
    return {
        p: hashlib.md5(p.read_bytes()).hexdigest() == (p.parent.name + p.name).removesuffix(".dir") for p in files
    }


def test_side_by_side_reproduces_everything(reproduced: Project) -> None:
    said = (reproduced.root.parent / "parallel.txt").read_text()
    assert f"{SAFETY}: done" in said and "report.html" in said
    lock = yaml.safe_load((reproduced.root / "dvc.lock").read_text())
    assert len(lock["stages"]) == 17
    assert (reproduced.root / "data/08_reporting/report.html").is_file()


def test_a_second_repro_runs_nothing(reproduced: Project) -> None:
    assert reproduced.repro() == []
    assert reproduced.run("git", "status", "--porcelain") == ""


def test_metrics_are_shown_and_compared(reproduced: Project) -> None:
    assert "frontier.n" in reproduced.dvc("metrics", "show")
    metrics = reproduced.root / "data/08_reporting/metrics.json"
    metrics.write_text(metrics.read_text().replace('"n": 2', '"n": 3'))
    assert reproduced.run("git", "status", "--porcelain") == ""
    assert "frontier.n" in reproduced.dvc("metrics", "diff")
    reproduced.dvc("checkout", "--force")
    assert reproduced.dvc("metrics", "diff") == ""


def test_a_changed_module_concerns_only_the_stages_that_depend_on_its_folder(reproduced: Project) -> None:
    source = reproduced.root / "src/persistence_pipeline"
    for module, expected in {
        "world/grading.py": {"cases", "source", "competence", *PLAYED, "score", "frontier", "report"},
        "rollout/run.py": {"source", "competence", *PLAYED},
        "training/dpo.py": {"source", "competence", "train"},
        "preferences/pairing.py": {"pairs"},
        "pipelines/tool_world.py": {"cases", "competence", *PLAYED, "score", "frontier", "report"},
        "analysis/headline.py": {"competence", "frontier", "metrics", "report"},
        "dvc/stages.py": set(),
        "records.py": set(),
    }.items():
        with (source / module).open("a") as file:
            file.write("# changed\n")
        (source / module).parent.joinpath("__pycache__").mkdir(exist_ok=True)
        (source / module).parent.joinpath("__pycache__/other.pyc").write_text("not of this study")
        assert {name.partition("@")[0] for name in reproduced.changed()} == expected, module
        _restore(reproduced)
    with (source / "preferences/pairing.py").open("a") as file:
        file.write("# changed\n")
    assert reproduced.repro() == ["pairs@llama_s0"], "what came of it is the same, and so is all that stands on it"
    _restore(reproduced)
    assert reproduced.repro() == []


def test_a_new_cell_concerns_only_itself_and_what_aggregates(reproduced: Project) -> None:
    reproduced.edit("conf/base/study.yml", {"factors": {"beta": [0.1, 0.2]}})
    reproduced.expand()
    new = {
        f"{stage}@{cell.replace('b0p1', 'b0p2')}"
        for stage in ("train", "rollout", "score")
        for cell in (SAFETY, THEN)
    }
    assert reproduced.changed() == {*new, "frontier", "report"}
    _restore(reproduced)


@pytest.fixture(scope="module")
def shared(reproduced: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that stands in for the remote, with everything pushed."""
    remote = tmp_path_factory.mktemp("remote")
    reproduced.dvc("remote", "add", "--local", "--default", "shared", str(remote))
    reproduced.dvc("push", "--quiet", "--run-cache")
    return remote


@pytest.fixture(scope="module")
def elsewhere(reproduced: Project, shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A clone on another machine: reproduced, then one learning rate changed, run and pushed."""
    second = Project(tmp_path_factory.mktemp("elsewhere") / "second")
    reproduced.run("git", "clone", "--quiet", ".", str(second.root))
    second.dvc("remote", "add", "--local", "--default", "shared", str(shared))
    assert second.repro("--pull") == [], "a clone at the same commit runs nothing"
    assert second.hashes() == reproduced.hashes() and second.changed() == set()

    second.edit(PARAMETERS, FASTER)
    assert second.repro() == SECOND_STAGE, "a changed learning rate concerns only what descends from it"
    second.dvc("push", "--quiet", "--run-cache")
    return second


def test_only_the_outputs_of_changed_stages_differ(reproduced: Project, elsewhere: Project) -> None:
    before, after = reproduced.hashes(), elsewhere.hashes()
    differing = {path for path in after if after[path] != before[path]}
    assert f"data/06_models/{THEN}" in differing
    assert not [path for path in differing if SAFETY in path.split("/") or "llama_s0" in path]


def _kill_in_training(project: Project, cell: str, *command: str) -> None:
    """Start a command and kill it with all its children once the trainer has saved a state."""
    state = project.root / "data/.scratch" / cell / "trainer"
    process = subprocess.Popen(
        command,
        cwd=project.root,
        env=project.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + HANGS
    while not list(state.glob("checkpoint-*/trainer_state.json")):
        assert process.poll() is None and time.monotonic() < deadline, "training ended before it could be killed"
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_a_killed_training_continues_and_ends_with_the_same_hash(reproduced: Project, elsewhere: Project) -> None:
    """The other machine trained without interruption; what the two make must be one."""
    reproduced.edit(PARAMETERS, FASTER)
    again = (sys.executable, "-m", "dvc", "repro", "--single-item", f"train@{THEN}")
    _kill_in_training(reproduced, THEN, *again)
    assert not (reproduced.root / "data/06_models" / THEN).exists()
    assert "continuing from step" in " ".join(reproduced.run(*again).split())
    checkpoint = f"data/06_models/{THEN}"
    assert reproduced.hashes()[checkpoint] == elsewhere.hashes()[checkpoint]


def test_what_the_other_machine_ran_is_not_run_again(reproduced: Project, elsewhere: Project) -> None:
    reproduced.edit(PARAMETERS, FASTER)
    assert reproduced.repro("--pull") == []
    assert reproduced.hashes() == elsewhere.hashes()


def test_a_parameter_put_back_brings_the_results_back(reproduced: Project) -> None:
    reproduced.edit(PARAMETERS, FASTER)
    reproduced.repro()
    _restore(reproduced)
    assert reproduced.changed(), "data are still those of the other learning rate"
    assert reproduced.repro() == []
    assert reproduced.changed() == set()


def test_a_stray_kedro_run_is_noticed_and_undone_and_never_reaches_the_cache(reproduced: Project) -> None:
    kept = _cached(reproduced)
    assert kept and all(kept.values())
    scores = reproduced.root / f"data/07_model_output/scores/{SAFETY}.parquet"
    cases = reproduced.root / "data/03_primary/seed0/cases.jsonl"
    before = cases.read_bytes(), scores.read_bytes()
    stray = ("kedro", "run", "--env=base", "--params=world.conflict_share=1")
    reproduced.run(*stray, "--pipelines=synthesis", "--namespaces=seed0")
    reproduced.run(*stray, "--pipelines=scoring", f"--namespaces={SAFETY}")
    assert cases.read_bytes() != before[0] and scores.read_bytes() != before[1]
    assert {"cases@seed0", f"score@{SAFETY}"} <= reproduced.changed()
    assert _cached(reproduced) == kept
    assert reproduced.repro() == []
    assert (cases.read_bytes(), scores.read_bytes()) == before
    assert _cached(reproduced) == kept


def test_a_run_by_kedro_alone_makes_the_same_outputs(reproduced: Project) -> None:
    reproduced.run("kedro", "run", "--env=base", "--pipelines=scoring,frontier")
    assert reproduced.changed() == set()


@only_exhausted
def test_a_queued_sweep_over_beta(reproduced: Project) -> None:
    reproduced.expand("--set", "factors.beta=[0.2]", "--set", "orderings=[safety]")
    sweep = (
        "--name",
        "beta-0.2",
        "-S",
        "conf/base/study.yml:factors.beta=[0.2]",
        "-S",
        "conf/base/study.yml:orderings=[safety]",
    )
    reproduced.dvc("exp", "run", "--queue", *sweep)
    _restore(reproduced)
    reproduced.dvc("exp", "run", "--run-all")
    rows = csv.DictReader(io.StringIO(reproduced.dvc("exp", "show", "--csv")))
    (row,) = [row for row in rows if row["Experiment"] == "beta-0.2"]
    assert row["State"] == "Success" and "[0.2]" in row.values()
    lock = yaml.safe_load(reproduced.run("git", "show", f"{row['rev']}:dvc.lock"))
    assert "train@llama_b0p2_s0_safety" in lock["stages"]
    assert reproduced.run("git", "status", "--porcelain") == "", "the workspace stays as it was"


@pytest.mark.parametrize("folder", ["data/06_models", "data/07_model_output"])
def test_dvc_writes_no_ignore_files_among_the_data(reproduced: Project, folder: str) -> None:
    assert not list((reproduced.root / folder).rglob(".gitignore"))
