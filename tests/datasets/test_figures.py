"""Figures as JSON: Kedro's bytes, without plotly in every process that reads a catalog."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import plotly.graph_objects as go
import pytest
from kedro.io import DatasetError
from kedro_datasets.plotly import JSONDataset

from persistence_pipeline.datasets import PlotlyDataset

FIGURE = go.Figure(go.Scatter(x=[1, 2.5], y=[0.1, None], name="Δ safety"), layout={"title": {"text": "ß"}})


def test_a_figure_comes_back_and_has_the_bytes_of_kedros_dataset(tmp_path: Path) -> None:
    ours = PlotlyDataset(filepath=str(tmp_path / "ours.json"))
    ours.save(FIGURE)
    JSONDataset(filepath=str(tmp_path / "theirs.json")).save(FIGURE)
    assert (tmp_path / "ours.json").read_bytes() == (tmp_path / "theirs.json").read_bytes()
    assert ours.load() == FIGURE
    assert ours.preview() == json.loads(FIGURE.to_json())


def test_what_is_no_figure_is_an_error_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "figure.json").write_text('{"data": [', encoding="utf-8")
    with pytest.raises(DatasetError, match=r"figure\.json"):
        PlotlyDataset(filepath=str(tmp_path / "figure.json")).load()


def test_reading_a_catalog_imports_no_plotly() -> None:
    code = "import persistence_pipeline.datasets, sys; raise SystemExit('plotly' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
