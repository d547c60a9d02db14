"""Checks before a run's first node that what it needs is there: files, servers, GPUs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from persistence_pipeline.parameters import Parameters
from persistence_pipeline.records import Split
from persistence_pipeline.strict import SettingError
from persistence_pipeline.training.launch import read_launch
from persistence_pipeline.training.settings import StageSettings

TESTED: Split = "test_iid"


def check_needs(parameters: Parameters, inputs: Iterable[str], *, here: bool) -> None:
    """See that what a run will read is there.

    Args:
        parameters: Those of the session.
        inputs: Datasets and parameters that the run starts from.
        here: Whether its nodes run on this machine.

    Raises:
        SettingError: naming the parameter.
        CaseError: a file of ToolEmu's is missing or malformed.
    """
    wanted = {name.removeprefix("params:") for name in inputs if name.startswith("params:")}
    if "plan" in wanted:  # asks nobody, and says what is not named
        return
    if "published" in wanted:
        _published(parameters)
    if "emulation" in wanted:
        _emulation(parameters, played="rollout" in wanted)
    if "judging" in wanted:
        _judges(parameters, calibrated="analysis" in wanted and not parameters.study.emulated)
    if here:
        for objective, stage in _stages(parameters, wanted):
            _devices(objective, stage)


def _published(parameters: Parameters) -> None:
    root = parameters.published.root
    if not root:
        raise SettingError(
            ("published", "root"), "is not set: --params=published.root=<clone of the published repository>"
        )
    if not Path(root).expanduser().is_dir():
        raise SettingError(("published", "root"), f"no directory {root}")


def _emulation(parameters: Parameters, *, played: bool) -> None:
    from persistence_pipeline.toolemu.settings import EmulationError, emulator_of, load_cases

    try:
        load_cases(parameters.emulation, 0)
        emulator_of(parameters.emulation)
    except EmulationError as fault:
        raise SettingError(("emulation",), str(fault)) from None
    if played and parameters.rollout.served is None:
        for source in {policy.source for policy in parameters.own_policies().values()}:
            if parameters.sources[source].model is not None:
                raise SettingError(
                    ("rollout", "served"),
                    f"source {source} is trained from scratch and knows the tool world's words alone: name a "
                    "server that plays ToolEmu's cases",
                )


def _judges(parameters: Parameters, *, calibrated: bool) -> None:
    judging, headline = parameters.judging, parameters.analysis.split
    if not judging.judges:
        raise SettingError(("judging", "judges"), "none is named: docs/judging.md says how")
    if calibrated and headline not in judging.splits:
        raise SettingError(
            ("judging", "splits"), f"{headline} is missing, on which the study is measured (analysis.split)"
        )


def _stages(parameters: Parameters, wanted: set[str]) -> Iterator[tuple[str, StageSettings]]:
    for name in sorted(wanted):
        group, _, objective = name.partition(".")
        if group == "training" and objective:
            yield objective, getattr(parameters.training, objective)


def _devices(objective: str, stage: StageSettings) -> None:
    launch = None if stage.launch is None else read_launch(Path(stage.launch))
    n_wanted = launch.n_processes if launch and not launch.on_cpu else int(stage.device == "cuda")
    if not n_wanted:
        return
    import torch

    n_found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if n_wanted > n_found:
        field, what = ("launch", f"{stage.launch} starts {n_wanted} processes") if launch else ("device", "cuda")
        raise SettingError(("training", objective, field), f"{what}, and this machine has {n_found} GPUs")


def check_emulated_study(parameters: Mapping[str, Any]) -> None:
    """See before anything runs that a study on ToolEmu's cases has all that it needs.

    Raises:
        EmulationError: something is not named, or cannot be part of such a study.
        CaseError: a file is missing or malformed, or a case names an unknown toolkit.
        JudgingError: no judge is named.
    """
    from persistence_pipeline.judging.settings import JudgingSettings
    from persistence_pipeline.rollout.run import CandidateSettings
    from persistence_pipeline.toolemu.settings import EmulationError, EmulationSettings, emulator_of, load_cases

    settings = EmulationSettings.model_validate(parameters["emulation"])
    load_cases(settings, 0)
    emulator_of(settings)
    JudgingSettings.model_validate(parameters["judging"]).for_pairs()
    if CandidateSettings.model_validate(parameters["candidates"]).scripted:
        raise EmulationError(
            "candidates.scripted: scripts play the tool world alone; name models in candidates.models"
        )
    for name, split in {"analysis": parameters["analysis"]["split"], "emulation": settings.split}.items():
        if split != TESTED:
            raise EmulationError(f"{name}.split: a study on ToolEmu's cases is tested on {TESTED}, not {split}")
