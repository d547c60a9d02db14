"""``kedro cells``: study specs become tables of policies and ``dvc.yaml`` files."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from persistence_pipeline.dvc.command import StudyDvc
from persistence_pipeline.dvc.file import render
from persistence_pipeline.session import configuration
from persistence_pipeline.study.expanded import difference, expansion, read_table, told_as
from persistence_pipeline.study.spec import TABLE, check_settings, refused_as
from persistence_pipeline.training.settings import StageConfig


def write_studies(conf: Path, environments: Sequence[str] = (), changes: Sequence[str] = ()) -> Iterator[str]:
    """Expand specs: the table of policies, ``dvc.yaml`` but for ``dvc: false``; what was done for each, in words.

    Args:
        conf: Folder of the configuration.
        environments: Whose specs; left out: of all that have one.
        changes: ``NAME=VALUE`` that take the place of what the specs say, e.g. ``factors.beta=[0.2]``.

    Raises:
        StudyError: naming the file or the policy, and what is wrong with it.
    """
    warnings.filterwarnings("ignore", message="One or more dataset names contain '.' characters")
    for env in environments or sorted(path.parent.name for path in conf.glob("*/study.yml")):
        yield _expand(conf.resolve(), env, changes)


def _expand(conf: Path, env: str, changes: Sequence[str]) -> str:
    """Write what has changed, and say what that is."""
    now = expansion(conf, env, changes)
    table = conf / env / TABLE
    if not read_table(table):
        table.unlink(missing_ok=True)  # no table, so it may not stand in the way of the new one
    with refused_as(told_as(conf, env, changes)):
        check_settings(now.spec, StageConfig)
    study, config = StudyDvc(conf.parent, env), configuration(conf, env)
    policies = {name: policy.model_dump() for name, policy in now.policies.items()}
    told = difference(table, now.policies)
    texts = {table: now.render()}
    if config["globals"].get("dvc", True):  # what is refused is so before anything is written
        parameters = {**config["parameters"], "policies": policies}
        texts[study.path] = render(study, parameters, str(config["globals"]["data"]))
    names = ", ".join(study.named(path) for path, text in texts.items() if _put(path, text))
    return f"{conf.name}/{env}: {told}; {f'written: {names}' if names else 'files unchanged'}"


def _put(path: Path, text: str) -> bool:
    """Let a file hold this text, in one step; whether it did not before."""
    if path.is_file() and path.read_bytes() == text.encode():
        return False
    temporary = path.with_name(f".{path.name}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
    return True
