"""Checks that a table of policies is what its spec expands to now, and that a study has a folder to itself."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from persistence_pipeline import yaml_files
from persistence_pipeline.study.policies import Policy, StudyError
from persistence_pipeline.study.spec import (
    TABLE,
    StudySpec,
    expand,
    load_spec,
    parse_spec,
    refused_as,
    render_policies,
    written,
)

SPEC = "study.yml"
DEFAULT_STUDY = ("base", "local")
"""Environments of the default study: ``local`` holds this machine's own settings."""


@dataclass(frozen=True)
class Expansion:
    """A spec, its policies, and the base environment's, which parameters of an environment are merged into."""

    spec: StudySpec
    policies: dict[str, Policy]
    base: dict[str, Policy]

    def render(self) -> str:
        """The table of policies as JSON."""
        return render_policies(self.policies, self.spec, self.base)


def expansion(conf: Path, env: str, changes: Sequence[str] = ()) -> Expansion:
    """The table of policies to which the spec of an environment expands.

    Args:
        conf: Folder of the configuration.
        env: The environment.
        changes: ``NAME=VALUE`` that take the place of what the spec says, e.g. ``factors.beta=[0.2]``.

    Raises:
        StudyError: naming the file or the policy, and what is wrong with it.
    """
    if env == DEFAULT_STUDY[1]:
        raise StudyError(
            f"{conf / env / SPEC}: conf/local holds this machine's settings, its data are the default study's; "
            f"move the spec to an environment of its own, conf/NAME/{SPEC}, and run with --env=NAME"
        )
    spec = _changed(load_spec(conf / env / SPEC), changes)
    with refused_as(told_as(conf, env, changes)):
        policies = _expand(spec, conf, env)
    if env == "base":
        return Expansion(spec, policies, policies)
    with refused_as(told_as(conf, "base")):
        base = _expand(load_spec(conf / "base" / SPEC), conf, "base")
    return Expansion(spec, policies, base)


def told_as(conf: Path, env: str, changes: Sequence[str] = ()) -> str:
    """The name of a spec for messages, with what was to be changed in it."""
    return f"{conf.name}/{env}/{SPEC}{''.join(f' --set {change}' for change in changes)}"


def check_expanded(conf: Path, env: str) -> None:
    """See that the table of an environment is that of its spec; without a spec of its own it has the base's.

    Raises:
        StudyError: the spec was never expanded or has been changed since; names the command.
    """
    owner = env if (conf / env / SPEC).is_file() else "base"
    if not (conf / owner / SPEC).is_file():
        return
    table, now = conf / owner / TABLE, expansion(conf, owner)
    command = f"`kedro cells --env={owner}` expands it"
    if not table.is_file():
        raise StudyError(f"{conf.name}/{owner}/{SPEC} has not been expanded to a table of policies: {command}")
    if read_table(table) != json.loads(now.render()):
        raise StudyError(
            f"{conf.name}/{owner}/{SPEC} no longer says what its table of policies was made from (now "
            f"{difference(table, now.policies)}): {command}"
        )


def read_table(table: Path) -> dict[str, Any]:
    """Read a table of policies; empty where it says nothing."""
    try:
        return dict(json.loads(table.read_text("utf-8")))
    except (OSError, ValueError):
        return {}


def difference(table: Path, policies: Mapping[str, Policy]) -> str:
    """In words, how policies differ from those of a table."""
    then = {name: fields for name, fields in read_table(table).get("policies", {}).items() if fields is not None}
    now = {name: written(policy) for name, policy in policies.items()}
    counts = {
        "added": len(now.keys() - then.keys()),
        "removed": len(then.keys() - now.keys()),
        "changed": sum(then[name] != now[name] for name in now.keys() & then.keys()),
    }
    told = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    return f"{len(now)} policies, {told or 'unchanged'}"


def check_own_data(conf: Path, env: str) -> None:
    """See that no other environment keeps its data where this one does.

    Raises:
        StudyError: naming both, and where to say otherwise.
    """
    if env in DEFAULT_STUDY:
        return
    folders = dict(_data_folders(conf))
    for other, folder in folders.items():
        if other != env and folder == folders.get(env):
            whose = "the default study" if other == "base" else f"the environment {other}"
            raise StudyError(
                f"the environment {env} would keep its data where {whose} keeps its own ({folder}), and each "
                "would overwrite the other's; give it another folder, e.g. "
                f"`data: data/{env}` in {conf.name}/{env}/globals.yml"
            )


def _data_folders(conf: Path) -> Iterator[tuple[str, str]]:
    """Environments and where each keeps its data, as ``StudyConfigLoader`` finds it."""
    base = _globals(conf / "base").get("data", "data")
    yield "base", _plain(base)
    for folder in sorted(conf.iterdir()):
        if folder.is_dir() and folder.name not in DEFAULT_STUDY:
            yield folder.name, _plain(_globals(folder).get("data", f"{base}/{folder.name}"))


def _globals(folder: Path) -> dict[str, Any]:
    path = folder / "globals.yml"
    return yaml.safe_load(path.read_text("utf-8")) or {} if path.is_file() else {}


def _plain(data: str) -> str:
    return data.rstrip("/") if "://" in data else os.path.normpath(data)


def _expand(spec: StudySpec, conf: Path, env: str) -> dict[str, Policy]:
    """The policies of a spec, by the sources that its environment knows."""
    paths = [conf / folder / "parameters_sources.yml" for folder in ("base", env)]
    found = [yaml.safe_load(path.read_text("utf-8")) for path in paths if path.is_file()]
    said: dict[str, dict[str, Any]] = {}
    for content in found:
        for name, settings in content["sources"].items():
            said.setdefault(name, {}).update(settings)
    per_seed, pretrained = (
        [name for name, settings in said.items() if settings.get(field)] for field in ("per_seed", "pretrained")
    )
    return expand(spec, said, per_seed, pretrained)


def _changed(spec: StudySpec, changes: Sequence[str]) -> StudySpec:
    changed = spec.model_dump(exclude_unset=True)
    for change in changes:
        name, _, written = change.partition("=")
        group, _, factor = name.partition(".")
        try:
            value = yaml_files.value(written, f"--set {name}")
            changed[group] = {**changed.get(group, {}), factor: value} if factor else value
        except yaml_files.YamlError as fault:
            raise StudyError(str(fault)) from None
    return parse_spec(changed, "--set")
