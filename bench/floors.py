"""What Kedro and DVC take by themselves: the commands of ``study.py`` on one node in memory, and on one stage."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bench import materials
from bench.timing import Row, overhead

Run = Callable[..., None]
"""``run(folder, module, *arguments)`` runs a Python module in a folder."""

KEDRO = {
    "pyproject.toml": '[tool.kedro]\npackage_name = "one_node"\nproject_name = "one_node"\n'
    'kedro_init_version = "1.7.0"\nsource_dir = "src"\n',
    "src/one_node/__init__.py": "",
    "src/one_node/settings.py": 'CONFIG_LOADER_ARGS = {"base_env": "base", "default_run_env": "local"}\n',
    "src/one_node/pipeline_registry.py": "from kedro.pipeline import Pipeline, node\n\n\n"
    "def one():\n    return 1\n\n\ndef register_pipelines():\n"
    '    return {"__default__": Pipeline([node(one, None, "number", name="one")])}\n',
    "conf/base/parameters.yml": "{}\n",
    "conf/base/catalog.yml": "{}\n",
    "conf/local/parameters.yml": "{}\n",
}
DVC = {"dvc.yaml": "stages:\n  one:\n    cmd: cp a b\n    deps: [a]\n    outs: [b]\n", "a": "1\n"}


def with_kedro_floor(row: Row, run: Run, repeats: int) -> Row:
    """The row with the same ratio for a project that has one node and no configuration."""
    project = _written(materials.WORK / "one_node", KEDRO)
    shutil.copy(materials.ROOT / ".telemetry", project / ".telemetry")
    return _with_floor(row, run, project, ("kedro", "run"), ("kedro", "info"), repeats, "a project of one node")


def with_dvc_floor(row: Row, run: Run, repeats: int) -> Row:
    """The row with the same ratio for a pipeline of one stage."""
    project = _written(materials.WORK / "one_stage", DVC)
    subprocess.run(["git", "init", "--quiet"], cwd=project, check=True)
    run(project, "dvc", "init", "--quiet")
    shutil.copy(materials.ROOT / ".dvc/config", project / ".dvc/config")
    run(project, "dvc", "repro")
    return _with_floor(row, run, project, ("dvc", "repro"), ("dvc", "status"), repeats, "one stage")


def _with_floor(
    row: Row, run: Run, project: Path, ours: tuple[str, ...], theirs: tuple[str, ...], repeats: int, what: str
) -> Row:
    floor = overhead(
        "floor",
        what,
        what,
        lambda: run(project, *ours),
        lambda: run(project, *theirs),
        target=row.target,
        repeats=repeats,
        warm_up=True,
    )
    details = {**row.details, "floor": {"ours": floor.ours, "theirs": floor.theirs, "ratio": floor.ratio}}
    return replace(row, note=f"on {what} {floor.ratio:.2f}×", details=details)


def _written(folder: Path, files: dict[str, str]) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    return folder
