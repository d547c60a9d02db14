"""Kedro hooks: the session's grid and threads before a run, progress and the result after it."""

from __future__ import annotations

import errno
import io
import json
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, chdir, suppress
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Any

from kedro.config import MissingConfigException
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from persistence_pipeline.collecting import collect_and_set_aside
from persistence_pipeline.locks import DataLock
from persistence_pipeline.provenance import command
from persistence_pipeline.provenance.recorded import is_parameter
from persistence_pipeline.session import reporting_folder
from persistence_pipeline.study import StudyError
from persistence_pipeline.suggestions import explain

if TYPE_CHECKING:
    from persistence_pipeline.parameters import SessionParameters

logger = logging.getLogger(__name__)

TIMES_SHOWN = 40
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
DISK_SIGNS = (
    *map(os.strerror, (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES)),
    "PytorchStreamWriter failed",
    "unexpected pos",  # what torch.save says where it could not write on
)
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
    """Applies what a session's parameters say about the grid, the threads and the network."""

    def __init__(self) -> None:
        self._session: SessionParameters | None = None

    @hook_impl(tryfirst=True)
    def after_context_created(self, context: KedroContext) -> None:
        """Runs before pipelines are built (``context.params`` would build them) and before torch is imported."""
        loader = context.config_loader
        with suppress(Exception):  # whatever is wrong with them, read_parameters names it
            loader["parameters"] = loader["parameters"]  # a large table of cells is read once
            self._set_environment(loader["parameters"])  # before NumPy is loaded, which reads its threads once
        _refuse_other_stages(context)  # first: parameters of another kind of study are wrong in many ways
        from persistence_pipeline.parameters import read_parameters

        self._session = read_parameters(loader, sys.argv[1:])
        parameters = self._session.parameters.model_dump(mode="json")
        loader["parameters"] = parameters  # whole: with what files leave out
        self._refuse_remote_state(parameters)
        from persistence_pipeline.pipelines import grid

        grid.active_cells()  # refused here, where a study is wrong
        if grid.active_design().emulated:
            from persistence_pipeline.judging.emulated_rollout import check_emulated_study

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
    from persistence_pipeline.dvc.outside import check_fits

    dvc = StudyDvc(Path(context.project_path), context.env or "base")
    if (dvc.project / dvc.file).is_file():
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


class ErrorHooks:
    """Ends a run on bad input with one message instead of a traceback.

    ``PERSISTENCE_TRACEBACK=1`` shows the traceback all the same; faults of the program always show theirs.
    """

    def __init__(self) -> None:
        self._node = ""
        self.again = ""
        """The command that continues this run; empty where none has begun."""

    @hook_impl(tryfirst=True)
    def after_context_created(self, context: KedroContext) -> None:
        """Take the place of the interpreter's last word, before anything can go wrong."""
        self._study = Path(context.project_path), context.env or "base"
        if os.environ.get("PERSISTENCE_TRACEBACK") != "1" and not isinstance(sys.excepthook, _Excepthook):
            sys.excepthook = _Excepthook(self, sys.excepthook)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._stop)
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")  # a terminal without Δ must not end a study

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any]) -> None:
        """Take down what was typed; from now on Ctrl-C is answered too."""
        self.again = command.advice(command.typed(run_params), *self._study)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, self._stop)

    @hook_impl
    def before_node_run(self, node: Node) -> None:
        """Remember where it happens."""
        self._node = node.name

    @hook_impl
    def after_pipeline_run(self) -> None:
        """There is nothing to continue."""
        self.again = ""

    def _stop(self, number: int, _: object) -> None:
        """End an asked-for stop in good order: temporary files go, what is finished stays."""
        where = f" in {self._node}" if self._node else ""
        print(f"stopped{where}{self.again and f'; `{self.again}` continues'}", file=sys.stderr)  # noqa: T201
        raise SystemExit(128 + number)

    def message(self, error: BaseException) -> str:
        """The error in one line, with the node it came from."""
        where = f"{self._node}: " if self._node else ""
        disk = "the disk is full or may not be written to: " if _is_disk_error(error) and not _ours(error) else ""
        return f"error: {where}{disk}{error}"


class _Excepthook:
    """Prints errors that stem from the input; hands all others on."""

    def __init__(self, hooks: ErrorHooks, otherwise: Callable[..., Any]) -> None:
        self._hooks = hooks
        self._otherwise = otherwise

    def __call__(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        error = explain(error) or error
        if is_input_error(error):
            print(self._hooks.message(error), file=sys.stderr)  # noqa: T201
        else:
            self._otherwise(kind, error, trace)
        if self._hooks.again and "kedro run" not in str(error):
            print(f"once that is mended, `{self._hooks.again}` continues", file=sys.stderr)  # noqa: T201


def is_input_error(error: BaseException) -> bool:
    """Errors that this project or the libraries it validates with raise about what they were given."""
    from kedro.io import DatasetError
    from pandera.errors import SchemaError, SchemaErrors
    from pydantic import ValidationError

    known = isinstance(error, DatasetError | SchemaError | SchemaErrors | ValidationError)
    return _ours(error) or known or _is_disk_error(error)


def _ours(error: BaseException) -> bool:
    return type(error).__module__.startswith("persistence_pipeline.")


def _is_disk_error(error: BaseException) -> bool:
    """A full, read-only or forbidden disk, in whatever exception a library hands it on."""
    return any(sign in str(error) for sign in DISK_SIGNS)


class LockHooks:
    """Lets no two runs work on the same data at once, and clears away what a killed one left half-written."""

    def __init__(self) -> None:
        self._lock: DataLock | None = None

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Find the lock of this environment's data: beside the trainers' state, which is in files always."""
        scratch = Path(context.project_path) / context.config_loader["parameters"]["scratch"]
        self._lock = DataLock(scratch / "lock")

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> None:
        """Take the datasets that the run writes and reads."""
        if self._lock is None:
            return
        written = pipeline.all_outputs()
        self._lock.acquire(written, {name for name in pipeline.inputs() if not is_parameter(name)})
        from persistence_pipeline.datasets._atomic import remove_leftovers

        for dataset in map(catalog.get, written):
            place = getattr(dataset, "_filepath", None) or getattr(dataset, "_path", None)
            if place is not None and Path(place).is_absolute():  # not in an object store
                remove_leftovers(Path(place))

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Let other runs have them."""
        self._release()

    @hook_impl
    def on_pipeline_error(self) -> None:
        """Let other runs have them."""
        self._release()

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()


class ProgressHooks:
    """Times each node, and ends a run with a short table and the path of the report."""

    def __init__(self) -> None:
        self._started: dict[str, float] = {}
        self._seconds: dict[str, float] = {}
        self._reporting = ""

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Find the folder of this environment's reports: a path or a URL."""
        self._reporting = reporting_folder(context)

    @hook_impl
    def before_node_run(self, node: Node) -> None:
        """Start the clock of a node."""
        self._started[node.name] = perf_counter()

    @hook_impl
    def after_node_run(self, node: Node) -> None:
        """Free what the node has left, before another one loads its models; stop its clock."""
        collect_and_set_aside()
        self._seconds[node.name] = perf_counter() - self._started[node.name]

    @hook_impl
    def after_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> None:
        """Print the times, the result and where the report lies."""
        from persistence_pipeline.report.kit.tables import table_console

        console = table_console()
        if self._seconds:  # nodes that ran elsewhere are timed by the runner
            console.print(_times_table(self._seconds))
            self._write_times()
        outputs = pipeline.all_outputs()
        if "study.summary" in outputs:
            from persistence_pipeline.report.tables import console_table

            console.print(console_table(catalog.load("study.summary"), console.width))
        for name in ("study.report", "judging.report", "published.report"):
            if name in outputs:
                place = catalog[name]._fs.unstrip_protocol(str(catalog[name]._filepath))
                console.print(f"Report: {place.removeprefix('file://')}", style="bold", soft_wrap=True)

    def _write_times(self) -> None:
        """Times of the last run, beside the report; never part of a cached output."""
        import fsspec

        try:
            with fsspec.open(f"{self._reporting}/times.json", "w", encoding="utf-8") as file:
                json.dump(self._seconds, file, indent=1, sort_keys=True)
        except OSError as error:
            logger.warning("times were not written: %s", error)


def _times_table(seconds: Mapping[str, float]) -> Any:
    from rich.table import Table

    table = Table(title="Seconds by node", title_justify="left", header_style="bold")
    table.add_column("node")
    table.add_column("seconds", justify="right")
    slowest = sorted(seconds.items(), key=lambda item: -item[1])
    for name, spent in slowest[:TIMES_SHOWN]:
        table.add_row(name, f"{spent:.1f}")
    if slowest[TIMES_SHOWN:]:
        rest = slowest[TIMES_SHOWN:]
        table.add_row(f"{len(rest)} more (times.json)", f"{sum(spent for _, spent in rest):.1f}")
    table.add_section()
    table.add_row("all nodes", f"{sum(seconds.values()):.1f}")
    return table
