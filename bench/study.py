"""The default study against the sum of its parts, and what a run that has nothing to do costs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import floors, materials
from bench.timing import Row, overhead
from persistence_pipeline.collecting import collect_and_set_aside, import_unwatched

PROJECT = materials.WORK / "project"


def measure_default(repeats: int) -> list[Row]:
    """The default study as a user runs it, and its parts called one after another without Kedro."""
    parts: dict[str, float] = {}
    row = overhead(
        "default_study",
        "the default study, `kedro run`",
        "the sum of its parts, called one by one without Kedro",
        lambda: _kedro(_copy(PROJECT), "run"),
        lambda: parts.update(_parts()),
        target=1.15,
        repeats=repeats,
    )
    peak = _peak_of_children()
    row.details.update({"parts": parts, "peak_mb": peak})
    return [row]


def measure_nothing_to_do(repeats: int) -> list[Row]:
    """A run whose outputs are all there, against what only starts Kedro or DVC."""
    if not (PROJECT / "data/08_reporting/report.html").is_file():
        _kedro(_copy(PROJECT), "run")
    kedro = overhead(
        "kedro_noop",
        "`kedro run --only-missing-outputs` with nothing to do",
        "`kedro info`",
        lambda: _kedro(PROJECT, "run", "--only-missing-outputs"),
        lambda: _kedro(PROJECT, "info"),
        target=1.5,
        repeats=repeats,
        warm_up=True,
    )
    _with_dvc(PROJECT)
    dvc = overhead(
        "dvc_noop",
        "`dvc repro` with nothing to do",
        "`dvc status`",
        lambda: _run(PROJECT, "dvc", "repro"),
        lambda: _run(PROJECT, "dvc", "status"),
        target=1.5,
        repeats=repeats,
        warm_up=True,
    )
    return [floors.with_kedro_floor(kedro, _run, repeats), floors.with_dvc_floor(dvc, _run, repeats)]


def _with_dvc(project: Path) -> None:
    """Put a finished project under DVC as if DVC had made its outputs; the study stands alone there."""
    import yaml

    if (project / "dvc.lock").is_file():
        return
    shutil.rmtree(project / "src")
    shutil.copytree(materials.ROOT / "src", project / "src", ignore=shutil.ignore_patterns("__pycache__"))
    (project / ".dvc").mkdir()
    for name in (".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore", "dvc.yaml"):
        shutil.copy(materials.ROOT / name, project / name)
    for other in (project / "conf").glob("*/dvc.yaml"):
        other.unlink()
    subprocess.run(["git", "init", "--quiet"], cwd=project, check=True)
    stages = yaml.safe_load((project / "dvc.yaml").read_text("utf-8"))["stages"]
    _run(project, "dvc", "repro", *(name for name in stages if name.startswith("code_")))
    _run(project, "dvc", "commit", "--force")


def _copy(target: Path) -> Path:
    """A project folder without data; the code is this one's."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    shutil.copytree(materials.ROOT / "conf", target / "conf")
    for name in ("pyproject.toml", ".telemetry"):
        shutil.copy(materials.ROOT / name, target / name)
    (target / "src").mkdir()
    return target


def _kedro(project: Path, *arguments: str) -> None:
    _run(project, "kedro", *arguments)


def _run(folder: Path, module: str, *arguments: str) -> None:
    command = [sys.executable, "-m", module, *arguments]
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PYTHONPATH": str(materials.ROOT / "src"), "PATH": programs}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def _peak_of_children() -> float:
    import resource

    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def _parts() -> dict[str, float]:
    """Seconds of each part, in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": f"{materials.ROOT / 'src'}{os.pathsep}{materials.ROOT}"}
    done = subprocess.run(
        [sys.executable, "-m", "bench.study"],
        cwd=materials.ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Every node of the default study as a plain call, its results handed on in memory; seconds by function."""
    seconds: dict[str, float] = {}

    def clocked(name: str, work: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        result = work()
        seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - started
        return result

    pipeline, load = clocked("start-up", _prepare)
    clocked("imports", _import_all)
    data: dict[str, Any] = {}
    for node in pipeline.nodes:
        inputs = {name: data[name] if name in data else load(name) for name in node.inputs}
        data |= clocked(node.func.__name__, lambda node=node, inputs=inputs: node.run(inputs))
        clocked("collector", collect_and_set_aside)
    print(json.dumps(seconds))


def _prepare() -> tuple[Any, Callable[[str], Any]]:
    """The default pipeline, and a reader of its parameters."""
    from kedro.framework.project import pipelines
    from kedro.framework.session import KedroSession
    from kedro.framework.startup import bootstrap_project

    project = _copy(materials.WORK / "parts")
    bootstrap_project(project)
    context = KedroSession.create(project_path=project).load_context()
    return pipelines["__default__"], context.catalog.load


def _import_all() -> None:
    import_unwatched("plotly.graph_objects", "persistence_pipeline.training.trainer")
    import torch

    torch.set_num_threads(1)


if __name__ == "__main__":
    main()
