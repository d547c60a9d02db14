"""Datasets of one local file that is not there: the error names it in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from kedro.io import DatasetError

from persistence_pipeline.datasets.tables import JSONDataset, ParquetDataset, PlotlyDataset, TextDataset


@pytest.mark.parametrize("kind", [JSONDataset, ParquetDataset, PlotlyDataset, TextDataset])
def test_the_error_names_the_file_in_one_line(kind: Any, tmp_path: Path) -> None:
    path = tmp_path / "none.json"
    with pytest.raises(DatasetError) as refused:
        kind(filepath=str(path)).load()
    assert str(refused.value) == f"{path}: no such file; an earlier step of the study makes it"
