"""What a ``dvc.yaml`` is written for: environment, data folder, kind of study, files read from outside.

These stand at its head. Where the parameters say something else by now, its stages are those of another study, and
a run of them stops.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import yaml

from persistence_pipeline.study.cells import StudyError
from persistence_pipeline.study.design import StudyDesign, parse_design
from persistence_pipeline.study.dvc import StudyDvc


def configuration(conf: Path, env: str) -> Mapping[str, Any]:
    """An environment's configuration, as a run with ``--env`` reads it."""
    from kedro.config import OmegaConfigLoader

    from persistence_pipeline.settings import CONFIG_LOADER_ARGS

    return OmegaConfigLoader(str(conf), env=env, **{**CONFIG_LOADER_ARGS, "default_run_env": "base"})


def outside_files(parameters: Mapping[str, Any]) -> dict[str, list[str]]:
    """Files and folders outside the project that a study reads, by the word for them in the stages' template.

    Args:
        parameters: All parameters of the study.

    Raises:
        StudyError: the kind of study needs one that the parameters do not name.
    """
    design = parse_design(parameters["study"])
    found = {}
    if design.emulated:
        names = ("cases", "toolkits")
        found["EMULATION_FILES"] = [_named(parameters, "emulation", name, "cases: toolemu") for name in names]
    if design.pairs == "published":
        found["PUBLISHED_FILES"] = _clone(parameters)
    return found


def _named(parameters: Mapping[str, Any], group: str, name: str, kind: str) -> str:
    value = parameters[group][name]
    if not value:
        raise StudyError(f"parameter {group}.{name}: expected a path, for study has {kind}; got {value!r}")
    return str(value)


def _clone(parameters: Mapping[str, Any]) -> list[str]:
    """Folders of the clone with results, and the toolkits' file where there is one."""
    from persistence_pipeline.published.layout import folders_read
    from persistence_pipeline.published.pairs import toolkit_file
    from persistence_pipeline.published.settings import PublishedSettings

    root = _named(parameters, "published", "root", "pairs: published")
    settings = PublishedSettings.model_validate(parameters["published"])
    toolkits = toolkit_file(settings.pairs, root)
    return [*map(str, folders_read(Path(root).expanduser())), *([str(toolkits)] if toolkits else [])]


def variables(env: str, parameters: Mapping[str, Any], data: str) -> dict[str, Any]:
    """What a ``dvc.yaml`` is written for, as it stands in its ``vars``.

    Args:
        env: Environment of the study.
        parameters: All parameters of the study.
        data: Where the environment keeps its data.

    Raises:
        StudyError: the kind of study needs something that the parameters do not name.
    """
    outside = list(chain.from_iterable(outside_files(parameters).values()))
    design = parse_design(parameters["study"]).model_dump()
    return {"env": env, "data": data, "study": design, **({"outside": outside} if outside else {})}


def require_fit(dvc: StudyDvc) -> None:
    """End the program where a study's ``dvc.yaml`` does not fit its parameters.

    Raises:
        SystemExit: with what ``check_fits`` says.
    """
    config = configuration(dvc.project / "conf", dvc.env)
    try:
        check_fits(dvc, config["parameters"], str(config["globals"]["data"]))
    except StudyError as error:
        raise SystemExit(f"error: {error}") from None


def check_fits(dvc: StudyDvc, parameters: Mapping[str, Any], data: str) -> None:
    """See that a study's ``dvc.yaml`` holds the stages of the study that the parameters describe.

    Args:
        dvc: The study.
        parameters: All its parameters.
        data: Where its environment keeps its data.

    Raises:
        StudyError: it does not; names what differs and the command that writes it anew.
    """
    there = {"study": StudyDesign().model_dump(), **_recorded(dvc.project / dvc.file)}
    now = variables(dvc.env, parameters, data)
    for key in {**now, **there}:
        if there.get(key) != now.get(key):
            raise StudyError(
                f"{dvc.file} holds the stages of another study: {key} is {_shown(there.get(key))} there, "
                f"{_shown(now.get(key))} in the parameters; `make cells` (python -m persistence_pipeline.study "
                f"--env={dvc.env}) writes it anew"
            )


def _recorded(dvc_file: Path) -> dict[str, Any]:
    """The variables at the head of the file; the stages are not read."""
    head = dvc_file.read_text("utf-8").partition("\nstages:")[0]
    entries = (yaml.safe_load(head) or {}).get("vars", [])
    return {key: value for entry in entries if isinstance(entry, Mapping) for key, value in entry.items()}


def _shown(value: object) -> str:
    return "not given" if value is None else json.dumps(value)
