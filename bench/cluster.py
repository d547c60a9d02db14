"""``python -m bench.cluster``: what a study of 1,000 cells asks of the driver of a Ray cluster; needs no cluster.

docs/cluster.md quotes the numbers.
"""

from __future__ import annotations

import json
import pickle
from time import perf_counter
from typing import Any

from kedro.config import OmegaConfigLoader
from kedro.io import DataCatalog, MemoryDataset

from bench.materials import ROOT

FACTORS: dict[str, list[Any]] = {
    "sources": ["llama", "gpt2"],
    "orderings": ["safety", "helpfulness", "safety>helpfulness", "helpfulness>safety", "both"],
    "betas": [0.01, 0.02, 0.05, 0.1, 0.2],
    "seeds": list(range(20)),
}


def measure_driver() -> dict[str, float]:
    """A study of 1,000 cells before its first task: seconds to build, to check and to pack; bytes of a task."""
    from persistence_pipeline.pipelines import compose
    from persistence_pipeline.runners.ray_runner import only, refuse_ephemeral
    from persistence_pipeline.study.spec import StudySpec, expand

    cells = expand(StudySpec(**FACTORS), dict.fromkeys(FACTORS["sources"]))
    clock = perf_counter()
    pipeline = compose.study(cells)
    dependencies = pipeline.node_dependencies
    built = perf_counter() - clock
    conf = OmegaConfigLoader(str(ROOT / "conf"), base_env="base", default_run_env="base")
    catalog = DataCatalog.from_config(conf["catalog"])
    for name in pipeline.inputs():
        catalog[name] = MemoryDataset({"a": "parameter"})
    clock = perf_counter()
    refuse_ephemeral(pipeline, catalog)
    checked = perf_counter() - clock
    clock = perf_counter()
    sizes = [len(pickle.dumps((one, only(one, catalog)))) for one in dependencies]
    packed = perf_counter() - clock
    return {
        "cells": len(cells),
        "nodes": len(dependencies),
        "build_seconds": built,
        "check_seconds": checked,
        "pack_seconds": packed,
        "median_task_kilobytes": sorted(sizes)[len(sizes) // 2] / 1000,
        "largest_task_kilobytes": max(sizes) / 1000,
    }


if __name__ == "__main__":
    print(json.dumps(measure_driver(), indent=1))
