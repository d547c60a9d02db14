"""``python -m bench.cluster``: what a node of the graph costs on Ray, and what 1,000 cells ask of the driver.

Starts a cluster on this machine; takes a minute or two. docs/cluster.md quotes the numbers.
"""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable
from itertools import pairwise
from statistics import median
from time import perf_counter
from typing import Any

from kedro.config import OmegaConfigLoader
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline, node

from bench.materials import ROOT

FACTORS: dict[str, list[Any]] = {
    "sources": ["llama", "gpt2"],
    "orderings": ["safety", "helpfulness", "safety>helpfulness", "helpfulness>safety", "both"],
    "factors": {"beta": [0.01, 0.02, 0.05, 0.1, 0.2]},
    "seeds": list(range(20)),
}

N_NODES, N_IMPORTS = 12, 3


def measure_node() -> dict[str, float]:
    """Seconds from the end of a node to the end of the next one, which does nothing, in a chain."""
    from persistence_pipeline.runners.cluster import connected
    from persistence_pipeline.runners.outcome import Outcome
    from persistence_pipeline.runners.ray_runner import schedule
    from persistence_pipeline.runners.settings import RaySettings
    from persistence_pipeline.runners.worker import Setting

    steps = [node(abs, f"n{n}", f"n{n + 1}", name=f"node{n:02}") for n in range(N_NODES + 1)]
    outcome = Outcome(left=set(steps))
    settings = RaySettings(address="local")
    with tempfile.TemporaryDirectory() as folder, connected(settings):
        kind = "persistence_pipeline.datasets.JSONDataset"
        entries = {f"n{n}": {"type": kind, "filepath": f"{folder}/{n}.json"} for n in range(N_NODES + 2)}
        catalog = DataCatalog.from_config(entries)
        catalog.save("n0", 1)
        schedule(Pipeline(steps), catalog, settings, Setting("persistence_pipeline", str(ROOT), None), outcome)
    places = sorted(outcome.done.values(), key=lambda place: place["started"])
    ends = [place["started"] + place["seconds"] for place in places]
    took = [after - before for before, after in pairwise(ends)]
    own = [place["seconds"] for place in places[1:]]
    return {
        "chain": len(took),
        "node_seconds_median": median(took),
        "node_seconds_most": max(took),
        "of_these_in_its_process": median(own),
        "sequential_node_seconds": _sequential(steps),
    }


def _sequential(steps: list[Any]) -> float:
    """The same chain by Kedro's own runner, a node."""
    from kedro.runner import SequentialRunner

    catalog = DataCatalog({f"n{n}": MemoryDataset(1) for n in range(N_NODES + 2)})
    return _seconds(lambda: SequentialRunner().run(Pipeline(steps), catalog)) / len(steps)


def measure_imports() -> dict[str, float]:
    """Seconds that a process of its own spends on what a node imports."""
    parts = {
        "training": "from trl import DPOTrainer",
        "rollout": "import torch, transformers",
        "scoring": "import pandas",
    }

    def start(statement: str) -> None:
        subprocess.run([sys.executable, "-c", statement], check=True)

    return {
        f"import_{part}_seconds": median(_seconds(lambda s=one: start(s)) for _ in range(N_IMPORTS))  # type: ignore[misc]
        for part, one in parts.items()
    }


def _seconds(work: Callable[[], Any]) -> float:
    clock = perf_counter()
    work()
    return perf_counter() - clock


def measure_driver() -> dict[str, float]:
    """A study of 1,000 cells before its first task: seconds to build, to check and to pack; bytes of a task."""
    from persistence_pipeline.pipelines import compose
    from persistence_pipeline.runners.sending import only, refuse_ephemeral
    from persistence_pipeline.study import StudyDesign
    from persistence_pipeline.study.spec import StudySpec, expand

    cells = expand(StudySpec(**FACTORS), dict.fromkeys(FACTORS["sources"]))
    clock = perf_counter()
    pipeline = compose.study(cells, StudyDesign())
    dependencies = pipeline.node_dependencies
    built = perf_counter() - clock
    conf = OmegaConfigLoader(str(ROOT / "conf"), base_env="base", default_run_env="base")
    catalog = DataCatalog.from_config(conf["catalog"])
    for name in pipeline.inputs():
        catalog[name] = MemoryDataset({"a": "parameter"})
    catalog["parameters"] = MemoryDataset(dict(conf["parameters"]))
    checked = _seconds(lambda: refuse_ephemeral(pipeline, catalog))
    sizes: list[int] = []
    packed = _seconds(lambda: sizes.extend(len(pickle.dumps((one, only(one, catalog)))) for one in dependencies))
    return {
        "cells": len(cells),
        "nodes": len(dependencies),
        "build_seconds": built,
        "check_seconds": checked,
        "pack_seconds": packed,
        "median_task_kilobytes": median(sizes) / 1000,
        "largest_task_kilobytes": max(sizes) / 1000,
    }


if __name__ == "__main__":
    print(json.dumps({**measure_node(), **measure_imports(), **measure_driver()}, indent=1))
