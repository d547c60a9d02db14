"""The jobs that a study is divided into, and the order they run in; DVC itself is tested in ``tests/dvc``."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from tests.dvc.kinds import KINDS, ROOT, Place

from persistence_pipeline.dvc.command import StudyDvc
from persistence_pipeline.dvc.parallel import Job, Workers, needed, plan, reproduce, run_jobs
from persistence_pipeline.study import StudyError, parse_policies

GRID = Place(ROOT, "grid")
AT_THE_END = {"frontier", "metrics", "report"}


def _jobs(place: Place) -> list[Job]:
    table = json.loads((place.conf / place.env / "parameters_policies.json").read_text())["policies"]
    return plan(parse_policies(table), yaml.safe_load(place.dvc_file.read_text())["stages"])


@pytest.mark.parametrize("study", ["base", "grid", "toolemu", "published"])
def test_every_stage_of_dvc_is_in_one_job_after_what_it_depends_on(
    study: str, of_kind: Callable[[str], Place]
) -> None:
    from dvc.repo import Repo

    place = of_kind(study) if study in KINDS else Place(ROOT, study)
    with Repo(str(place.root)) as repo:
        loaded = repo.stage.load_all(str(place.dvc_file))
    stages = {stage.name: stage for stage in loaded}
    writer = {out.fs_path: name for name, stage in stages.items() for out in stage.outs}
    jobs = {job.name: job for job in _jobs(place)}
    assert sorted(stage for job in jobs.values() for stage in job.stages) == sorted(set(stages) - AT_THE_END)
    for job in jobs.values():
        before = {stage for name in _ancestors(jobs, job) for stage in jobs[name].stages}
        for stage in job.stages:
            needs = {writer[dep.fs_path] for dep in stages[stage].deps if dep.fs_path in writer}
            assert needs <= before, stage
            before.add(stage)


def _ancestors(jobs: dict[str, Job], job: Job) -> set[str]:
    return {name for parent in job.after for name in {parent, *_ancestors(jobs, jobs[parent])}}


def test_only_jobs_with_changed_stages_and_their_followers_are_needed() -> None:
    jobs = _jobs(GRID)
    assert needed(jobs, set()) == []
    slow = "gpt2_b0p1_helpfulnesslr0p0001_s1_safety"
    (cell,) = needed(jobs, {f"rollout@{slow}_then_helpfulness"})
    assert cell.name == slow
    assert {job.name for job in needed(jobs, {"cases@seed1"})} > {
        "seed1",
        "gpt2_s1",
        "llama_s1",
        "llama_b0p1_helpfulnesslr0p0003_s1_both",
    }


class _Recorded(Workers):
    """Sleeps instead of calling DVC; keeps who ran when."""

    def __init__(self, n: int, failing: str = "") -> None:
        super().__init__(StudyDvc(Path(), "base"), [{}] * n)
        self.failing, self.running, self.most = failing, set[str](), 0
        self.started: list[str] = []
        self._guard = threading.Lock()

    def run(self, job: Job) -> int:
        place = self.places.get()
        with self._guard:
            self.started.append(job.name)
            self.running.add(job.name)
            self.most = max(self.most, len(self.running))
        time.sleep(0.01)
        with self._guard:
            self.running.discard(job.name)
        self.places.put(place)
        return int(job.name == self.failing)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_jobs_run_side_by_side_in_their_order() -> None:
    jobs, workers = _jobs(GRID), _Recorded(3)
    assert run_jobs(jobs, workers, lambda job, status: None) == []
    assert workers.most == 3 and sorted(workers.started) == sorted(job.name for job in jobs)
    for job in jobs:
        assert all(workers.started.index(name) < workers.started.index(job.name) for name in job.after)


def test_a_failure_stops_only_what_depends_on_it() -> None:
    jobs, workers = _jobs(GRID), _Recorded(2, failing="llama_s1")
    left = {job.name for job in run_jobs(jobs, workers, lambda job, status: None)}
    cells = {job.name for job in jobs if job.name.startswith("llama_") and "_s1_" in job.name}
    assert len(cells) == 6 and left == {"llama_s1", *cells}
    assert left - {"llama_s1"} == {job.name for job in jobs} - set(workers.started)


def test_an_unknown_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="conf/nowhere has no table of policies"):
        reproduce(tmp_path, "nowhere", [{}])
