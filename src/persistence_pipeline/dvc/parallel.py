"""A study's stages side by side: several ``dvc repro``, each on stages that no other touches.

DVC itself runs one stage after the other, and two runs that share a stage stop each other. Here the policies are
divided by what they stand on: case sets and sources first, then source policies, then each first stage with the
stages that start from it. A plain ``dvc repro`` ends the run, so nothing can be left out.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue
from time import monotonic, perf_counter, sleep

import yaml

from persistence_pipeline.dvc.command import COMMAND, StudyDvc
from persistence_pipeline.dvc.file import require_fit
from persistence_pipeline.dvc.stages import EVERY, SOURCES, TRAINED
from persistence_pipeline.study.policies import Policy, StudyError, parse_policies, seed_name, seeds
from persistence_pipeline.study.spec import TABLE

AT_FIRST = "published"
"""A stage for the whole study, on which policies stand."""
SHOWN_LINES = 15
"""Last lines of a failed job's output that are shown."""
GRACE, POLL = 10.0, 0.05
"""Seconds that a job has to end by itself after it was asked to, and between two looks at it."""


@dataclass(frozen=True)
class Job:
    """Stages that one process runs one after the other."""

    name: str
    stages: tuple[str, ...]
    after: tuple[str, ...] = ()
    """Names of the jobs that must have ended well."""


def plan(policies: Mapping[str, Policy], stages: Mapping[str, Mapping[str, object]]) -> list[Job]:
    """The jobs of a study; together with ``frontier``, ``metrics`` and ``report`` they hold every stage.

    Args:
        policies: The study's policies by name.
        stages: The stages of its ``dvc.yaml`` by name, in the order in which those of one policy are run.
    """
    first = {AT_FIRST: AT_FIRST} if AT_FIRST in stages else {}
    shared = {name: policy for name, policy in policies.items() if not (policy.trained or policy.per_seed)}
    first |= {policy.checkpoint: f"source@{policy.checkpoint}" for policy in shared.values()}
    first |= {seed_name(seed): f"cases@{seed_name(seed)}" for seed in seeds(policies)}
    jobs = [Job(name, (stage,)) for name, stage in first.items()]
    for name, policy in policies.items():
        if not policy.trained:
            own, model = _stages_of({name: policy}, stages), f"source@{policy.checkpoint}"
            after = [other for other in (AT_FIRST, policy.checkpoint, seed_name(policy.seed)) if other in first]
            jobs.append(Job(name, (model, *own) if policy.per_seed else own, tuple(after)))
        elif policy.parent == policy.origin:
            jobs.append(Job(name, _stages_of(dict(_family(policies, name)), stages), (policy.origin,)))
    return jobs


def _stages_of(policies: Mapping[str, Policy], stages: Mapping[str, Mapping[str, object]]) -> tuple[str, ...]:
    """The stages of these policies, one policy after the other."""
    return tuple(
        f"{stage}@{name}"
        for name, policy in policies.items()
        for stage, content in stages.items()
        if content.get("foreach") in (EVERY, TRAINED if policy.trained else SOURCES)
    )


def _family(policies: Mapping[str, Policy], name: str) -> Iterator[tuple[str, Policy]]:
    """A policy and all that start from it, parents first."""
    yield name, policies[name]
    for child, policy in policies.items():
        if policy.parent == name:
            yield from _family(policies, child)


def needed(jobs: Sequence[Job], changed: set[str]) -> list[Job]:
    """Jobs with a changed stage, and those that come after one."""
    chosen: dict[str, Job] = {}
    for job in jobs:
        if changed.intersection(job.stages) or any(name in chosen for name in job.after):
            chosen[job.name] = job
    return list(chosen.values())


class Workers:
    """Runs DVC in processes of their own, at most as many at once as there are places.

    Args:
        dvc: DVC on the study.
        places: Environment variables of each place.
        options: Further options of ``dvc repro``.
    """

    def __init__(self, dvc: StudyDvc, places: Sequence[Mapping[str, str]], options: Sequence[str] = ()) -> None:
        self._dvc, self._options = dvc, options
        self._logs = dvc.project / ".dvc" / "tmp" / "parallel"
        self._logs.mkdir(parents=True, exist_ok=True)
        self._running: set[subprocess.Popen[bytes]] = set()
        self.places: SimpleQueue[Mapping[str, str]] = SimpleQueue()
        for place in places:
            self.places.put(place)

    def run(self, job: Job) -> int:
        """Run one job in the next free place; its output goes to a log. Returns the exit status."""
        targets = self._dvc.targets(job.stages)
        command = [*COMMAND, "--wait-for-lock", "repro", "--single-item", *self._options, *targets]
        place = self.places.get()
        try:
            with self.log(job).open("wb") as log:
                process = subprocess.Popen(  # noqa: S603
                    command,
                    cwd=self._dvc.project,
                    env={**self._dvc.environment, **place},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
                self._running.add(process)
                status = process.wait()
                self._running.discard(process)
                return status
        finally:
            self.places.put(place)

    def stop(self) -> None:
        """End what is running, with all that it has started; waits until nothing of it is left."""
        groups = [process.pid for process in list(self._running)]
        for group in groups:
            _signal(group, signal.SIGTERM)
        deadline = monotonic() + GRACE
        while any(_signal(group, 0) for group in groups) and monotonic() < deadline:
            sleep(POLL)
        for group in groups:
            _signal(group, signal.SIGKILL)

    def finish(self) -> int:
        """Reproduce what is left of the study, in this process's output. Returns the exit status."""
        return self._dvc.run("repro", *self._options, self._dvc.file).returncode

    def log(self, job: Job) -> Path:
        """The file of a job's output."""
        return self._logs / f"{job.name}.txt"


def _signal(group: int, number: int) -> bool:
    """Send a signal to a group of processes; whether there is such a group."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


def run_jobs(jobs: Sequence[Job], workers: Workers, ended: Callable[[Job, int], None]) -> list[Job]:
    """Run the jobs as their order allows; a failed job stops only those that come after it.

    Args:
        jobs: Jobs; those that they come after and that are not among them count as done.
        workers: What runs them.
        ended: Called with each job that has ended and its exit status.

    Returns:
        Jobs that failed or, because of that, did not start.
    """
    pool = ThreadPoolExecutor(workers.places.qsize())
    try:
        return _run_in(pool, jobs, workers, ended)
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        workers.stop()
        raise
    finally:
        pool.shutdown()


def _run_in(
    pool: ThreadPoolExecutor, jobs: Sequence[Job], workers: Workers, ended: Callable[[Job, int], None]
) -> list[Job]:
    names = {job.name for job in jobs}
    waiting, done = list(jobs), set[str]()
    running: dict[Future[int], Job] = {}
    failed: list[Job] = []
    while True:
        ready = [job for job in waiting if done.issuperset(names.intersection(job.after))]
        running |= {pool.submit(workers.run, job): job for job in ready}
        waiting = [job for job in waiting if job not in ready]
        if not running:
            return failed + waiting
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            job = running.pop(future)
            ended(job, future.result())
            if future.result() == 0:
                done.add(job.name)
            else:
                failed.append(job)


def reproduce(project: Path, env: str, places: Sequence[Mapping[str, str]], pull: bool = False) -> int:
    """Bring a study up to date with several processes.

    Args:
        project: Root of the project.
        env: Environment of the study.
        places: Environment variables of each process.
        pull: Fetch what the remote has instead of running it.

    Returns:
        Exit status of the ``dvc repro`` that ends the run.

    Raises:
        StudyError: there is no such study, it does not fit its parameters, or a job failed.
    """
    if not (project / "conf" / env / TABLE).is_file():
        raise StudyError(f"conf/{env} has no table of policies: write a study.yml there and run `kedro cells`")
    if find_spec("dvc") is None:
        raise StudyError(
            "DVC is not installed: python -m pip install --constraint constraints.txt --editable '.[dvc]'"
        )
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    dvc = StudyDvc(project, env)
    dvc.require_repository()
    require_fit(dvc)
    table = json.loads(dvc.table.read_text("utf-8"))["policies"]
    workers = Workers(dvc, places, ["--pull"] if pull else [])
    stages = yaml.safe_load(dvc.path.read_text("utf-8"))["stages"]
    jobs = needed(plan(parse_policies(table), stages), dvc.changed())
    if left := run_jobs(jobs, workers, _Progress(workers, len(jobs))):
        raise StudyError(f"not reproduced: {', '.join(job.name for job in left)}")
    return workers.finish()


class _Progress:
    """One line for each job that ends."""

    def __init__(self, workers: Workers, total: int) -> None:
        from rich.console import Console

        self._workers, self._total, self._ended = workers, total, 0
        self._console = Console(highlight=False, soft_wrap=True)
        self._started = perf_counter()

    def __call__(self, job: Job, status: int) -> None:
        self._ended += 1
        spent = perf_counter() - self._started
        left = spent / self._ended * (self._total - self._ended)
        outcome = "done" if status == 0 else f"failed with exit status {status}"
        self._console.print(
            f"{self._ended}/{self._total} {job.name}: {outcome}; {spent:.0f} s, about {left:.0f} s left"
        )
        if status:
            log = self._workers.log(job)
            lines = log.read_text("utf-8", errors="replace").splitlines()[-SHOWN_LINES:]
            self._console.print("\n".join([f"  the last lines of {log}:", *(f"  | {line}" for line in lines)]))
