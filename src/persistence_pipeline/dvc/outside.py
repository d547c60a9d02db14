"""What a ``dvc.yaml`` is written for: data folder, kind of study, files read from outside, where parameters stand.

These stand at its head. Where the configuration says something else by now, the stages do not fit it, and a run of
them stops.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import yaml

from persistence_pipeline.dvc.command import StudyDvc
from persistence_pipeline.session import configuration
from persistence_pipeline.study.design import StudyDesign, parse_design
from persistence_pipeline.study.expanded import check_expanded, check_own_data
from persistence_pipeline.study.policies import StudyError

ONE_BY_ONE = ("training", "pairing", "sources")
"""Parameters that stages depend on one entry at a time."""


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
        named = (_named(parameters, "emulation", name, "cases: toolemu") for name in names)
        found["EMULATION_FILES"] = [str(Path(path).expanduser()) for path in named]
    if design.pairs == "published":
        found["PUBLISHED_FILES"] = _clone(parameters)
    if design.pairs == "own":
        found["OWN_PAIRS"] = list(dict.fromkeys(design.own_pairs.values()))
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


def variables(conf: Path, env: str, parameters: Mapping[str, Any], data: str) -> dict[str, Any]:
    """What a ``dvc.yaml`` is written for, as it stands in its ``vars``.

    Args:
        conf: Folder of the configuration.
        env: Environment of the study.
        parameters: All parameters of the study.
        data: Where the environment keeps its data.

    Raises:
        StudyError: the kind of study needs something that the parameters do not name.
    """
    outside = list(chain.from_iterable(outside_files(parameters).values()))
    design = parse_design(parameters["study"]).written()
    found = {"env": env, "data": data, "study": design, **({"outside": outside} if outside else {})}
    return {**found, "keys": _keys(conf, env)}


def _keys(conf: Path, env: str) -> dict[str, list[str]]:
    """What the environment's own parameter files set: a stage depends on a parameter in the files that set it."""
    keys = {}
    for path in sorted((conf / env).glob("parameters*.yml")):
        content = yaml.safe_load(path.read_text("utf-8")) or {}
        nested = [f"{name}.{key}" for name in ONE_BY_ONE for key in content.get(name) or {}]
        keys[path.name] = sorted({*(name for name in content if name[0] != "_"), *nested})
    return keys


def require_fit(dvc: StudyDvc) -> None:
    """End the program where a study's table of policies does not fit its spec, or its ``dvc.yaml`` its parameters.

    Raises:
        SystemExit: with what ``check_expanded``, ``check_own_data`` or ``check_fits`` says.
    """
    conf = dvc.project / "conf"
    config = configuration(conf, dvc.env)
    try:
        check_expanded(conf, dvc.env)
        check_own_data(conf, dvc.env)
        check_fits(dvc, config["parameters"], str(config["globals"]["data"]))
    except StudyError as error:
        raise SystemExit(f"error: {error}") from None


def check_fits(dvc: StudyDvc, parameters: Mapping[str, Any], data: str) -> None:
    """See that a study's ``dvc.yaml`` was written for the parameters that there are now.

    Args:
        dvc: The study.
        parameters: All its parameters.
        data: Where its environment keeps its data.

    Raises:
        StudyError: it was not; names what differs and the command that writes it anew.
    """
    now = variables(dvc.project / "conf", dvc.env, parameters, data)
    unsaid = {"study": StudyDesign().written(), "keys": now["keys"]}  # by files of earlier versions
    difference = _difference({**unsaid, **_recorded(dvc.project / dvc.file)}, now)
    if difference:
        raise StudyError(
            f"{dvc.file} was written for other parameters: {difference}; "
            f"`kedro cells --env={dvc.env}` writes it anew"
        )


def _recorded(dvc_file: Path) -> dict[str, Any]:
    """The variables at the head of the file; the stages are not read."""
    head = dvc_file.read_text("utf-8").partition("\nstages:")[0]
    entries = (yaml.safe_load(head) or {}).get("vars", [])
    return {key: value for entry in entries if isinstance(entry, Mapping) for key, value in entry.items()}


def _difference(then: Any, now: Any, name: str = "") -> str:
    """The first difference in words; empty where there is none."""
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        inner = (_difference(then.get(k), now.get(k), f"{name}.{k}" if name else k) for k in {**then, **now})
        return next(filter(None, inner), "")
    if isinstance(then or [], list) and isinstance(now or [], list):
        parts = {
            "now has": [item for item in now or [] if item not in (then or [])],
            "no longer has": [item for item in then or [] if item not in (now or [])],
        }
        return "; ".join(f"{name} {word} {', '.join(items)}" for word, items in parts.items() if items)
    return "" if then == now else f"{name} was {then} and is {now}"
