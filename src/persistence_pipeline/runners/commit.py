"""Hands to DVC what a run on a cluster made, where it belongs to what ``dvc.yaml`` declares.

``kedro commit --env=gpu`` looks at the stages that DVC calls changed. A stage is
whole where each of its nodes is on record with the code, parameters, inputs and outputs that are there now; those
are committed. Of the others it is told what has changed since, and nothing is done to them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kedro.pipeline.node import Node

from persistence_pipeline.dvc.command import StudyDvc
from persistence_pipeline.dvc.file import require_fit
from persistence_pipeline.provenance import recorded
from persistence_pipeline.runners.ray_runner import PLACEMENT
from persistence_pipeline.study import parse_study


def compare(project: Path, env: str, stages: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """By stage, what keeps it from being committed; ``stages`` holds their outputs, as absolute paths."""
    from kedro.framework.session import KedroSession

    from persistence_pipeline.pipelines import compose

    session: Any = KedroSession.create(project_path=project, env=env)
    with session:
        context = session.load_context()
        catalog = context.catalog
        pipeline = compose.study(*parse_study(context.config_loader["parameters"]))
        record = catalog.load(PLACEMENT) if catalog.exists(PLACEMENT) else {}
        made_by = {_path(name, catalog): node for node in pipeline.nodes for name in node.outputs}
        nodes = {stage: set(_makers(outputs, made_by)) for stage, outputs in stages.items()}
        chosen = {node.name for together in nodes.values() for node in together if node.name in record}
        now = _now(pipeline.filter(node_names=sorted(chosen)), catalog) if chosen else {}
    return {stage: _faults(sorted(node.name for node in nodes[stage]), record, now) for stage in stages}


def _makers(outputs: Sequence[str], made_by: Mapping[str | None, Node]) -> Iterator[Node]:
    """The nodes that make these files, and those in these folders."""
    for path, node in made_by.items():
        if path and any(Path(path).is_relative_to(output) for output in outputs):
            yield node


def _path(name: str, catalog: Any) -> str | None:
    place = recorded.place(catalog.get(name))
    return place[1] if place else None


def _now(pipeline: Any, catalog: Any) -> dict[str, dict[str, Any]]:
    """What would be on record of these nodes if they ran now and made what lies there."""
    given = recorded.declared(pipeline, catalog)
    data = recorded.digests(pipeline.datasets(), catalog)
    for node in pipeline.nodes:
        given[node.name]["inputs"] = {name: data[name] for name in node.inputs if name in data}
        given[node.name]["outputs"] = {name: data[name] for name in node.outputs if name in data}
    return given


def _faults(nodes: Sequence[str], record: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    faults = []
    for name in nodes:
        found = (
            recorded.changes(record[name], now[name]) if name in record else ["no run on a cluster is on record"]
        )
        faults += [f"{name}: {fault}" for fault in found]
    return faults


def _outputs(dvc: StudyDvc) -> dict[str, list[str]]:
    """Absolute paths of what each stage makes, by its name."""
    from dvc.repo import Repo

    with Repo(dvc.project) as repo:
        stages = repo.stage.load_all(str(dvc.project / dvc.file))
        return {stage.name: [out.fs_path for out in stage.outs] for stage in stages}


def _on(dvc: StudyDvc, stages: Sequence[str], *command: str) -> None:
    done = dvc.run(*command, "--quiet", *dvc.targets(stages))
    if done.returncode:
        raise SystemExit(done.returncode)


def commit(project: Path, env: str, check: bool) -> tuple[str, bool]:
    """Compare, tell, commit what is whole.

    Args:
        project: Root of the project.
        env: Environment of the study.
        check: Tell only; commit nothing.

    Returns:
        What was done, in words, and whether every changed stage is whole.

    Raises:
        SystemExit: with what ``require_fit`` says.
    """
    dvc = StudyDvc(project, env)
    require_fit(dvc)
    outputs = _outputs(dvc)
    faults = compare(project, env, {name: outputs[name] for name in sorted(dvc.changed())})
    whole = [stage for stage, found in faults.items() if not found]
    if whole and not check:
        _on(dvc, whole, "commit", "--force")
    lines = [f"{stage}: not committed\n  " + "\n  ".join(found) for stage, found in faults.items() if found]
    verb = "can be committed" if check else "committed"
    lines.append(f"{len(whole)} of {len(faults)} changed stages {verb}{': ' if whole else ''}{', '.join(whole)}")
    return "\n".join(lines), len(whole) == len(faults)
