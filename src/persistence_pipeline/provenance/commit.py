"""Hands to DVC what runs have made, where it belongs to what ``dvc.yaml`` declares.

``kedro commit --env=gpu`` looks at the stages that DVC calls changed. A stage is whole where each of its nodes is
on record with the code, parameters, inputs and outputs that are there now; those are committed. Of the others it
is told what has changed since, and nothing is done to them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kedro.pipeline.node import Node

from persistence_pipeline.dvc.command import StudyDvc
from persistence_pipeline.dvc.file import require_fit
from persistence_pipeline.provenance import recorded
from persistence_pipeline.provenance.outdated import Books
from persistence_pipeline.study import parse_study

_WORDS = {"missing": "an output is missing", "unknown": "something else has written its outputs since"}


def compare(project: Path, env: str, stages: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """By stage, what keeps it from being committed; ``stages`` holds their outputs, as absolute paths."""
    from kedro.framework.session import KedroSession

    from persistence_pipeline.pipelines import compose

    session: Any = KedroSession.create(project_path=project, env=env)
    with session:
        context = session.load_context()
        catalog, parameters = context.catalog, context.config_loader["parameters"]
        books = Books.of_session(project, parameters, catalog, context.config_loader["catalog"])
        pipeline = compose.study(*parse_study(parameters))
        made_by = {_path(name, catalog): node for node in pipeline.nodes for name in node.outputs}
        return {stage: list(_faults(books, _makers(outputs, made_by))) for stage, outputs in stages.items()}


def _makers(outputs: Sequence[str], made_by: Mapping[str | None, Node]) -> list[Node]:
    """The nodes that make these files, and those in these folders."""
    found = {
        node.name: node
        for path, node in made_by.items()
        if path and any(Path(path).is_relative_to(output) for output in outputs)
    }
    return [found[name] for name in sorted(found)]


def _path(name: str, catalog: Any) -> str | None:
    place = recorded.place(catalog.get(name))
    return place[1] if place else None


def _faults(books: Books, nodes: Sequence[Node]) -> Iterator[str]:
    for node in nodes:
        standing = books.standing(node)
        if not books.knows(node):
            yield f"{node.name}: no run of it is on record"
        elif standing.kind != "current":
            yield f"{node.name}: {standing.reason or _WORDS[standing.kind]}"


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
