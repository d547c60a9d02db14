"""A Kedro session of this project: where an environment keeps its data, and which study it describes.

Both hold wherever Kedro opens a session, also where hooks are left out, as kedro-viz does. Kedro asks for
pipelines without saying for which session: ``parameters_of_session`` knows whose context was made last.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from kedro.config import OmegaConfigLoader
from kedro.framework import project as kedro_project
from kedro.framework.context import KedroContext
from kedro.utils import find_kedro_project

from persistence_pipeline.study.expanded import DEFAULT_STUDY, check_expanded, check_own_data


def configuration(conf: Path, env: str) -> OmegaConfigLoader:
    """An environment's configuration, as a run with ``--env`` reads it, without this machine's own settings."""
    if kedro_project.PACKAGE_NAME is None:
        kedro_project.configure_project(__name__.partition(".")[0], preserve_logging=True)
    settings = kedro_project.settings
    arguments = {**settings.CONFIG_LOADER_ARGS, "default_run_env": "base"}
    loader: OmegaConfigLoader = settings.CONFIG_LOADER_CLASS(str(conf), env=env, **arguments)
    return loader


def reporting_folder(project: Path, config: Mapping[str, Any]) -> str:
    """The folder in which an environment with this configuration keeps its reports: a path or a URL."""
    data = config["globals"]["data"]
    return f"{data if '://' in data else project / data}/08_reporting"


def study_environment(env: str | None) -> str:
    """Name of the environment whose study a session describes: the base's where it names none of its own."""
    return DEFAULT_STUDY[0] if env is None or env in DEFAULT_STUDY else env


class StudyConfigLoader(OmegaConfigLoader):
    """Gives each environment a data folder of its own: ``data/<env>``, unless its globals.yml names one."""

    def __getitem__(self, key: str) -> dict[str, Any]:
        """As Kedro's; ``globals`` with the data folder of the environment."""
        found = super().__getitem__(key)
        env = self.env or self.default_run_env
        if key != "globals" or env in DEFAULT_STUDY or "data" not in found:
            return found
        own = self._read_raw_config(key)[1].values()  # nothing public tells an environment's files from the base's
        return found if any("data" in content for content in own) else {**found, "data": f"{found['data']}/{env}"}


class StudyContext(KedroContext):
    """Knows which study the session's environment describes."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        _context.set(self)

    def study_parameters(self) -> Mapping[str, Any]:
        """All parameters, once it is sure that they are those of the environment's study.

        Raises:
            StudyError: the study's spec has not been expanded, or its data folder is another's.
        """
        conf, env = Path(self.config_loader.conf_source), self.env or DEFAULT_STUDY[1]
        if conf.is_dir():  # not an archive
            check_expanded(conf, env)
            check_own_data(conf, env)
        return dict(self.config_loader["parameters"])


_context: ContextVar[StudyContext] = ContextVar("context")
_PROJECT = Path(__file__).resolve().parents[2]


def parameters_of_session() -> Mapping[str, Any]:
    """All parameters of the session; without one, as in ``kedro registry list``, those of ``KEDRO_ENV``.

    Raises:
        StudyError: as ``StudyContext.study_parameters``.
    """
    context = _context.get(None)
    if context is not None:
        return context.study_parameters()
    project = find_kedro_project(Path.cwd()) or _PROJECT
    parameters: Mapping[str, Any] = configuration(project / "conf", os.environ.get("KEDRO_ENV", "base"))[
        "parameters"
    ]
    return parameters
