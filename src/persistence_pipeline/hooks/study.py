"""Before a run: the session's folder, study, threads and keys."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, chdir, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.config import MissingConfigException
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.pipeline import Pipeline

from persistence_pipeline.provenance import command
from persistence_pipeline.session import parameters_of_session, study_environment
from persistence_pipeline.study import StudyError, parse_study

if TYPE_CHECKING:
    from persistence_pipeline.parameter_files import SessionParameters

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
QUIET = {
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TRL_EXPERIMENTAL_SILENCE": "1",
}


class FolderHooks:
    """Makes relative paths in parameters mean the project's folder, from wherever in it the command is given.

    Files must be found, and what a killed run has left, wherever one stands; outputs that hold parameters must not
    depend on it either.
    """

    def __init__(self) -> None:
        self._at_work = ExitStack()
        self._project = Path()

    @hook_impl(wrapper=True)
    def after_context_created(self, context: KedroContext) -> Iterator[None]:
        """While other hooks look at the parameters."""
        self._project = Path(context.project_path)
        with chdir(self._project):
            return (yield)

    @hook_impl
    def before_pipeline_run(self) -> None:
        """Enter the folder, after all that may still refuse the run."""
        self._at_work.enter_context(chdir(self._project))

    @hook_impl(trylast=True)
    def after_pipeline_run(self) -> None:
        """Go back."""
        self._at_work.close()

    @hook_impl(trylast=True)
    def on_pipeline_error(self) -> None:
        """Go back."""
        self._at_work.close()


class StudyHooks:
    """Applies what a session's parameters say about the study, the threads and the network."""

    def __init__(self) -> None:
        self._session: SessionParameters | None = None

    @hook_impl(tryfirst=True)
    def after_context_created(self, context: KedroContext) -> None:
        """Runs before pipelines are built (``context.params`` would build them) and before torch is imported."""
        loader = context.config_loader
        with suppress(Exception):  # whatever is wrong with them, read_parameters names it
            loader["parameters"] = loader["parameters"]  # a large table of policies is read once
            self._set_environment(loader["parameters"])  # before NumPy is loaded, which reads its threads once
        _refuse_other_stages(context)  # first: parameters of another kind of study are wrong in many ways
        from persistence_pipeline.parameter_files import read_parameters

        self._session = read_parameters(loader, sys.argv[1:])
        parameters = self._session.parameters.model_dump(mode="json")
        parameters["environment"] = study_environment(context.env)
        loader["parameters"] = parameters  # whole: with what files leave out
        self._refuse_remote_state(parameters)
        _, design = parse_study(parameters_of_session())  # refused here, where a study is wrong
        if design.emulated:
            from persistence_pipeline.needs import check_emulated_study

            check_emulated_study(parameters)

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, run_params: Mapping[str, Any], pipeline: Pipeline) -> None:
        """See that what the run needs is there, before it takes its locks."""
        if self._session is not None:
            self._session.check_run(pipeline.inputs(), here="Ray" not in str(run_params["runner"]))

    def _refuse_remote_state(self, parameters: Mapping[str, Any]) -> None:
        names = sorted(_state_at_urls(parameters))
        if names:
            raise StudyError(
                f"{', '.join(names)}: what a killed run continues from is kept in files, not at a URL; set to a "
                "path, on storage that all machines share where another one is to continue"
            )

    def _set_environment(self, parameters: Mapping[str, Any]) -> None:
        threads = parameters.get("threads")
        if threads:
            for variable in THREAD_VARIABLES:
                os.environ[variable] = str(threads)
        if parameters.get("offline", False):
            os.environ.update({"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"})
        for variable, value in QUIET.items():
            os.environ.setdefault(variable, value)
        warnings.filterwarnings("ignore", category=FutureWarning, module=r"transformers\..*")


def _refuse_other_stages(context: KedroContext) -> None:
    """As a stage of DVC: see that the stages are those of the study that the parameters describe."""
    if not command.in_dvc() or context.config_loader.runtime_params:
        return
    from persistence_pipeline.dvc.command import StudyDvc
    from persistence_pipeline.dvc.file import check_fits

    dvc = StudyDvc(Path(context.project_path), context.env or "base")
    if dvc.path.is_file():
        check_fits(dvc, context.config_loader["parameters"], str(context.config_loader["globals"]["data"]))


def _state_at_urls(parameters: Mapping[str, Any], within: str = "") -> Iterator[str]:
    """Names of the parameters that put scratch state at a URL."""
    for name, value in parameters.items():
        if isinstance(value, Mapping):
            yield from _state_at_urls(value, f"{within}{name}.")
        elif isinstance(value, str) and "://" in value and ".scratch" in value:
            yield f"{within}{name}"


class KeyHooks:
    """Hands the keys of servers in conf/local/credentials.yml to the environment, from which servers take theirs.

    An entry ``judge: {api_key: ...}`` becomes ``JUDGE_API_KEY``, unless that is set.
    """

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Before any node runs, also in processes that are started later."""
        try:
            credentials = context.config_loader["credentials"]
        except MissingConfigException:
            return
        for name, entry in credentials.items():
            if isinstance(entry, Mapping) and entry.get("api_key"):
                os.environ.setdefault(f"{name.upper()}_API_KEY", str(entry["api_key"]))
