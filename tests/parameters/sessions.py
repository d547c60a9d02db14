"""Configurations as a run reads them, without a run."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import click
from kedro.framework.cli.utils import _split_params

from persistence_pipeline.combinations import check_together
from persistence_pipeline.parameter_files import ParameterError, read_parameters
from persistence_pipeline.parameters import Parameters
from persistence_pipeline.session import StudyConfigLoader
from persistence_pipeline.settings import CONFIG_LOADER_ARGS
from persistence_pipeline.strict import parse

ROOT = Path(__file__).resolve().parents[2]
CONF = ROOT / "conf"
ENVIRONMENTS = ("base", "quick", "smoke", "grid", "gpu", "smollm2", "smollm2_large", "smollm2_random")


def loaded(env: str, typed: str = "", conf: Path = CONF) -> Parameters:
    """What ``kedro run --env=... --params=...`` makes of the configuration."""
    context = click.Context(click.Command("run"))
    given = _split_params(context, click.Option(["--params"]), typed) if typed else {}
    loader = StudyConfigLoader(str(conf), env=env, runtime_params=given, **CONFIG_LOADER_ARGS)
    return read_parameters(loader, ["run", f"--params={typed}"] if typed else []).parameters


def refusal(env: str, typed: str = "", conf: Path = CONF) -> str:
    """The one line that a run ends with."""
    try:
        loaded(env, typed, conf)
    except ParameterError as fault:
        assert "\n" not in str(fault)
        return str(fault)
    raise AssertionError(f"{env}: {typed} was accepted")


@cache
def _raw(env: str) -> dict[str, Any]:
    loader = StudyConfigLoader(str(CONF), env=env, **CONFIG_LOADER_ARGS)
    return {name: value for name, value in loader["parameters"].items() if not name.startswith("_")}


def raw(env: str) -> dict[str, Any]:
    """An environment's parameters as the files have them, for a test to change."""
    return copy.deepcopy(_raw(env))


def accepted(parameters: Mapping[str, Any]) -> Parameters:
    """Parameters that were read, alone and together."""
    read = parse(Parameters, parameters)
    check_together(read)
    return read


def leaves(group: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Places of all values that are no groups."""
    if isinstance(group, Mapping) and group:
        for name, value in group.items():
            yield from leaves(value, (*place, name))
    else:
        yield place


def within(group: Any, place: tuple[str, ...]) -> Any:
    """What stands at a place."""
    for part in place:
        group = group[part]
    return group
