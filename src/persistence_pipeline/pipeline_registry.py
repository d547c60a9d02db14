"""Every name a user may run: a folder under ``pipelines/``, or a part of the study; without a name, all of it.

Kedro's ``find_pipelines`` calls ``create_pipeline()`` without arguments; here pipelines are functions of a study.
"""

from __future__ import annotations

import warnings
from importlib import import_module
from pathlib import Path

from kedro.framework import project
from kedro.pipeline import Pipeline

from persistence_pipeline.session import parameters_of_session
from persistence_pipeline.study import parse_study
from persistence_pipeline.suggestions import check_pipelines

DEFAULT = "__default__"
OVERVIEW = "overview"
"""The whole study in boxes within boxes, to be looked at."""


def register_pipelines() -> dict[str, Pipeline]:
    """Map pipeline names to pipelines."""
    # Datasets of other namespaces are named in full on purpose.
    warnings.filterwarnings("ignore", message="One or more dataset names contain '.' characters")
    from persistence_pipeline.pipelines import compose

    folders = {path.parent.name for path in (Path(__file__).parent / "pipelines").glob("*/pipeline.py")}
    known = [DEFAULT, *compose.PARTS, *sorted(folders)]
    # A run that names its pipelines must not pay for all others. Kedro tells only its own find_pipelines which.
    asked = getattr(project.pipelines, "_requested_pipelines", None)
    named = asked or known
    check_pipelines(named, known)
    study = parse_study(parameters_of_session())
    pipelines = {}
    for name in named:
        if name in folders:
            create = import_module(f"{compose.__package__}.{name}").create_pipeline
            pipelines[name] = create(*study)
        else:
            pipelines[name] = compose.part(name, *study) if name != DEFAULT else compose.study(*study)
    if not asked:  # as kedro-viz does
        pipelines[OVERVIEW] = compose.overview(pipelines[DEFAULT], study[0])
    return pipelines
