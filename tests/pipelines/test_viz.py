"""What kedro-viz shows of a finished study: boxes that collapse, layers in order, previews of what matters."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.pipelines.conftest import copy_project
from tests.projects import HANGS

BOXES = {
    "seed0",
    "llama",
    "llama_s0",
    "study",
    *(f"llama_b0p1_s0_{o}" for o in ("safety", "helpfulness", "both")),
    *(f"llama_b0p1_s0_{o}" for o in ("safety_then_helpfulness", "helpfulness_then_safety")),
}
LAYERS = ["primary", "feature", "model_input", "models", "model_output", "reporting"]


@pytest.fixture(scope="module")
def built(smoke_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("kedro_viz")
    project = copy_project(tmp_path_factory.mktemp("viz") / "project")
    (project / "data").symlink_to(smoke_run / "data")
    command = [sys.executable, "-m", "kedro", "viz", "build", "--include-previews"]
    environment = {**os.environ, "KEDRO_ENV": "smoke"}
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=HANGS)
    assert done.returncode == 0 and (project / "build/index.html").is_file(), done.stdout[-2000:]
    return project / "build/api"


@pytest.fixture(scope="module")
def graph(built: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((built / "main").read_text())
    return loaded


def _preview(built: Path, graph: dict[str, Any], name: str) -> tuple[str, Any]:
    (identity,) = [node["id"] for node in graph["nodes"] if node["name"] == name and node["type"] == "data"]
    shown = json.loads((built / "nodes" / identity).read_text())
    return shown["preview_type"], shown["preview"]


def test_the_first_picture_is_nine_boxes_in_order(graph: dict[str, Any]) -> None:
    modules = graph["modular_pipelines"]
    assert set(modules) == {"__root__", *BOXES}
    shown = {child["id"] for child in modules["__root__"]["children"] if child["type"] == "modularPipeline"}
    assert shown == BOXES, "every node is in one of the boxes"
    assert not [child for child in modules["__root__"]["children"] if child["type"] == "task"]
    # Boxes, each after those whose datasets it reads.
    outputs = {box: set(modules[box]["outputs"]) for box in BOXES}
    follows = {box: {b for b in BOXES if b != box and outputs[b] & set(modules[box]["inputs"])} for box in BOXES}
    assert follows["llama_s0"] == {"seed0", "llama"}
    assert "llama_b0p1_s0_safety" in follows["llama_b0p1_s0_safety_then_helpfulness"]
    assert follows["study"] >= BOXES - {"study", "llama"}


def test_layers_follow_the_data(graph: dict[str, Any]) -> None:
    assert graph["layers"], "an empty list would mean that layers run in a circle"
    assert [layer for layer in graph["layers"] if layer in LAYERS] == LAYERS


def test_figures_metrics_pairs_and_checkpoints_have_previews(built: Path, graph: dict[str, Any]) -> None:
    kind, figure = _preview(built, graph, "study.figure_frontier")
    assert kind == "PlotlyPreview" and {trace.get("name") for trace in figure["data"]} >= {"source", "safety"}
    kind, metrics = _preview(built, graph, "study.metrics")
    assert kind == "JSONPreview" and "frontier" in json.loads(metrics)
    kind, pairs = _preview(built, graph, "llama_s0.pairs_safety")
    assert kind == "JSONPreview" and json.loads(pairs)[0]["objective"] == "safety"
    kind, checkpoint = _preview(built, graph, "llama_b0p1_s0_both.checkpoint")
    assert kind == "JSONPreview" and json.loads(checkpoint)["model_type"] == "llama"
    kind, table = _preview(built, graph, "study.grid")
    assert kind == "TablePreview" and "safety" in table["columns"]
    assert _preview(built, graph, "study.browser")[1] is None, "too large to be looked at there"


SHOWN = """
import sys
from pathlib import Path
from kedro_viz.integrations.kedro.data_loader import load_data
catalog, pipelines, _ = load_data(Path.cwd(), env=sys.argv[1] or None)
print(len({node.namespace for node in pipelines["__default__"].nodes}), len(pipelines["safety"].nodes))
print(*sorted({node.namespace.partition(".")[0] for node in pipelines["overview"].nodes}))
assert pipelines["overview"].datasets() == pipelines["__default__"].datasets()
print(catalog.get("study.report")._filepath)
"""


@pytest.mark.parametrize(("option", "variable"), [("grid", None), ("", "grid"), ("", None)])
def test_the_study_shown_is_that_of_the_environment(option: str, variable: str | None, tmp_path: Path) -> None:
    """As ``kedro viz run --env=grid`` and ``KEDRO_ENV=grid kedro viz run`` load it: without hooks."""
    pytest.importorskip("kedro_viz")
    project = copy_project(tmp_path / "project")
    environment = {**os.environ, **({"KEDRO_ENV": variable} if variable else {})}
    done = subprocess.run(
        [sys.executable, "-c", SHOWN, option], cwd=project, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    counts, boxes, report = done.stdout.splitlines()[-3:]
    # 5 seeds, of each a source of 2 shapes, 100 cells, the study; or 3 seeds, one shape and 15 cells
    grid = option or variable
    assert counts.split()[0] == str(5 + 10 + 100 + 1 if grid else 3 + 3 + 15 + 1)
    assert boxes.split() == (["cases", "gpt2", "llama", "study"] if grid else ["cases", "llama", "study"])
    assert report.endswith(
        "data/grid/08_reporting/report.html" if grid else "project/data/08_reporting/report.html"
    )
