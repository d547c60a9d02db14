"""What a run made is committed to DVC where it belongs to what is declared, and refused elsewhere."""

from __future__ import annotations

import json

import pytest
from tests.dvc.conftest import THEN, Project

pytest.importorskip("ray")

PARAMETERS = "conf/base/parameters.yml"
CLUSTER = ("--runner=persistence_pipeline.runners.RayRunner", "--runner-params=address=local")


def _commit(project: Project, *arguments: str) -> str:
    return project.run("kedro", "commit", *arguments, check=False)


def test_only_what_belongs_to_its_inputs_is_committed(reproduced: Project) -> None:
    before = reproduced.hashes()
    reproduced.edit(PARAMETERS, {"training": {"helpfulness": {"learning_rate": 0.002}}})
    reproduced.run("kedro", "run", "--env=base", *CLUSTER, f"--nodes={THEN}.train_cell")
    reproduced.edit(PARAMETERS, {"training": {"helpfulness": {"learning_rate": 0.003}}})
    refused = _commit(reproduced)
    assert f"train@{THEN}: not committed" in refused and "\n0 of " in refused
    assert f"{THEN}.train_cell: params:training.helpfulness has changed" in refused
    assert reproduced.hashes() == before

    reproduced.edit(PARAMETERS, {"training": {"helpfulness": {"learning_rate": 0.002}}})
    said = _commit(reproduced)
    assert f"changed stages committed: train@{THEN}" in said
    assert f"rollout@{THEN}: not committed\n  {THEN}.roll_out: {THEN}.checkpoint has changed" in said
    assert f"train@{THEN}" not in reproduced.changed()
    assert f"Stage 'train@{THEN}' didn't change" in reproduced.dvc("repro", "--single-item", f"train@{THEN}")
    changed = {path for path, digest in reproduced.hashes().items() if before[path] != digest}
    assert changed and all(THEN in path for path in changed)

    placed = json.loads((reproduced.root / "data/08_reporting/placement.json").read_text())
    assert set(placed) == {f"{THEN}.train_cell"}
    (reproduced.root / "data/08_reporting/placement.json").unlink()
    reproduced.run("git", "checkout", "--quiet", "HEAD", "--", ".")
    assert reproduced.repro() == [] and reproduced.hashes() == before
