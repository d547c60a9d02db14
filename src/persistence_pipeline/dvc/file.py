"""A study's ``dvc.yaml``: written from its stages and parameters, and held against them whenever it is run."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import indent
from typing import Any

import yaml

from persistence_pipeline.dvc.command import StudyDvc
from persistence_pipeline.dvc.outside import outside_files
from persistence_pipeline.dvc.parameters import ParameterFiles
from persistence_pipeline.dvc.stages import Names, Stage, stages
from persistence_pipeline.session import configuration
from persistence_pipeline.study.design import parse_study
from persistence_pipeline.study.expanded import check_expanded, check_own_data
from persistence_pipeline.study.policies import StudyError, objectives
from persistence_pipeline.study.spec import TABLE

HEADER = "# Written by `make cells`, which overwrites it. docs/what-runs-again.md says what reruns when.\n"
PACKAGE_FOLDER = "src/persistence_pipeline"
WIDTH = 75
"""Characters after which a list goes on in the next line, once the entry there is at its end."""


def render(study: StudyDvc, parameters: Mapping[str, Any], data: str) -> str:
    """A study's ``dvc.yaml``.

    Args:
        study: The study.
        parameters: All its parameters, as a run reads them.
        data: Where its environment keeps its data.

    Raises:
        StudyError: the kind of study needs something that the parameters do not name.
    """
    policies, design = parse_study(parameters)
    names = Names(
        sources=list(dict.fromkeys(policy.source for policy in policies.values())),
        objectives=objectives(policies),
        outside=outside_files(parameters),
        pretrained=any(policy.pretrained for policy in policies.values()),
    )
    files = ParameterFiles(study, design, {"training": names.objectives, "sources": names.sources})
    table = study.named(study.table) if study.at_root else TABLE
    variables = [table, {"env": study.env, "data": data, "code": PACKAGE_FOLDER}, {"study": design.written()}]
    parts = [
        _written({name: _stage(stage, files.by_file(stage.params), study.at_root)})
        for name, stage in stages(design, names).items()
    ]
    return "\n".join([HEADER + _written({"vars": variables}), "stages:", *(indent(part, "  ") for part in parts)])


def _written(part: Mapping[str, Any]) -> str:
    """As YAML: what holds only names on one line, or on as few as it needs."""
    text = yaml.safe_dump(part, sort_keys=False, default_flow_style=None, width=WIDTH, allow_unicode=True)
    return text.replace(": []\n", ":\n")  # a file of parameters as a whole


def _stage(stage: Stage, params: Mapping[str, list[str]], at_root: bool) -> dict[str, Any]:
    """A stage as DVC has it; it runs at the root of the project, wherever its file is."""
    listed = {
        "deps": [*(f"${{code}}/{folder}" for folder in sorted(stage.code)), *stage.reads],
        "params": [{file: keys} for file, keys in params.items()],
        "outs": list(stage.makes),
        "metrics": list(stage.metrics),
        "plots": [{file: dict(look)} for file, look in stage.plots.items()],
    }
    place = {} if at_root else {"wdir": "../.."}
    one: dict[str, Any] = {"cmd": f"kedro run --env=${{env}} {stage.run}", **place}
    one |= {part: entries for part, entries in listed.items() if entries}
    return {"foreach": stage.each, "do": one} if stage.each else one


def require_fit(study: StudyDvc) -> None:
    """End the program where a study's table of policies does not fit its spec, or its ``dvc.yaml`` its parameters.

    Raises:
        SystemExit: there is none, or what ``check_expanded``, ``check_own_data`` or ``check_fits`` refuses.
    """
    if not study.path.is_file():
        raise SystemExit(
            f"error: there is no {study.file}; `kedro cells` writes one for each study.yml, but where globals.yml "
            f"has `dvc: false`: `kedro run --env={study.env}` runs that study"
        )
    config = configuration(study.conf, study.env)
    try:
        check_expanded(study.conf, study.env)
        check_own_data(study.conf, study.env)
        check_fits(study, config["parameters"], str(config["globals"]["data"]))
    except StudyError as error:
        raise SystemExit(f"error: {error}") from None


def check_fits(study: StudyDvc, parameters: Mapping[str, Any], data: str) -> None:
    """See that a study's ``dvc.yaml`` is what is written for the parameters that there are now.

    Args:
        study: The study.
        parameters: All its parameters.
        data: Where its environment keeps its data.

    Raises:
        StudyError: it is not; names what differs and the command that writes it anew.
    """
    then, now = study.path.read_text("utf-8"), render(study, parameters, data)
    if then == now:
        return
    difference = next(filter(None, map(_difference, _parts(then), _parts(now))), "")
    if difference:
        raise StudyError(
            f"{study.file} was written for other parameters: {difference}; "
            f"`kedro cells --env={study.env}` writes it anew"
        )


def _parts(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Variables and stages of a ``dvc.yaml``, by name."""
    content = yaml.safe_load(text)
    entries = [entry for entry in content.get("vars", []) if isinstance(entry, Mapping)]
    return {key: value for entry in entries for key, value in entry.items()}, content["stages"]


def _difference(then: Any, now: Any, name: str = "") -> str:
    """Of two parts, the first difference in words; empty where there is none."""
    then, now = _merged(then), _merged(now)
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        if then.keys() != now.keys():
            return _difference(list(then), list(now), name or "it")
        inner = (_difference(then[key], now[key], f"{name}.{key}" if name else key) for key in now)
        return next(filter(None, inner), "")
    if isinstance(then, list) and isinstance(now, list):
        parts = {
            "now has": [str(item) for item in now if item not in then],
            "no longer has": [str(item) for item in then if item not in now],
        }
        return "; ".join(f"{name} {word} {', '.join(items)}" for word, items in parts.items() if items)
    return "" if then == now else f"{name} was {then} and is {now}"


def _merged(value: Any) -> Any:
    """A list of mappings, as DVC has parameters of files, as one mapping."""
    if isinstance(value, list) and value and all(isinstance(entry, Mapping) for entry in value):
        return {key: inner for entry in value for key, inner in entry.items()}
    return value
