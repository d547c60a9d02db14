"""Kedro hooks that keep the records, and say what is outdated before a run and after it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import SharedMemoryDataCatalog
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from persistence_pipeline.provenance import command, graph
from persistence_pipeline.provenance.ledger import Desk, Digests
from persistence_pipeline.provenance.note import RunNote, cut_off, desk_of_run
from persistence_pipeline.provenance.outdated import Books, Standing, data_of, roots, told
from persistence_pipeline.provenance.pairs import refuse_foreign_pairs
from persistence_pipeline.report.notice import Notice
from persistence_pipeline.session import reporting_folder

logger = logging.getLogger(__name__)


class RecordHooks:
    """Takes down what each node makes from what, in whichever process of this machine it runs."""

    def __init__(self) -> None:
        self._desk: Desk | None = None
        self._taken: dict[str, tuple[Any, dict[str, str]]] = {}
        self._unsaved: dict[str, set[str]] = {}

    @hook_impl
    def before_node_run(self, node: Node, catalog: Any) -> None:
        """Look at the inputs while they are those that the node has read."""
        self._desk = desk_of_run()
        if self._desk is not None:
            self._taken[node.name] = (catalog, Digests(catalog, self._desk.ledger).of(data_of(node)))

    @hook_impl
    def before_dataset_saved(self, node: Node) -> None:
        """From the first output on, until the last one, they belong to nothing."""
        if self._desk is not None and node.name not in self._unsaved:
            self._unsaved[node.name] = set(node.outputs)
            self._desk.started(node.name, self._taken[node.name][1])

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, node: Node) -> None:
        """With the last output the record is whole."""
        left = self._unsaved.get(node.name, set())
        left.discard(dataset_name)
        if self._desk is not None and not left:
            catalog, inputs = self._taken.pop(node.name)
            del self._unsaved[node.name]
            self._desk.finished(node.name, inputs, Digests(catalog, self._desk.ledger).of(node.outputs))


class OutdatedHooks:
    """Outdated outputs count as missing; what a run leaves outdated, or stands on that is, is said at its end."""

    def __init__(self) -> None:
        self._note: RunNote | None = None
        self._whole = Pipeline([])
        self._words: list[str] = []
        self._unseen: Sequence[Node] = []

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Find the records of this environment's data: beside the trainers' state, in files always."""
        self._parameters = context.config_loader["parameters"]
        self._scratch = Path(context.project_path) / self._parameters["scratch"]
        self._notice = Notice(reporting_folder(Path(context.project_path), context.config_loader))
        self._project, self._env = Path(context.project_path), context.env or "base"

    @hook_impl
    def after_catalog_created(self, conf_catalog: dict[str, Any]) -> None:
        """Keep what says how data are written."""
        self._entries = conf_catalog

    def _books(self, catalog: Any) -> Books:
        return Books.of_session(self._project, self._parameters, catalog, self._entries)

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: Any) -> None:
        """Say what a killed run left, find what is outdated, and leave a note of this run."""
        books = self._books(catalog)
        refuse_foreign_pairs(books, pipeline, catalog)
        self._words = command.typed(run_params)
        again = command.advice(self._words, self._project, self._env)
        desk = Desk(books.ledger.folder, {node.name: books.given(node) for node in pipeline.nodes})
        nodes, shown = pipeline.nodes, catalog.exists(graph.RESULT)
        if run_params.get("only_missing_outputs"):
            standings = books.examine(nodes)
            nodes = [node for node in nodes if standings[node.name].kind in ("outdated", "missing")]
            count_as_missing(nodes, standings, catalog)
        if not command.in_dvc():
            for killed in cut_off(self._scratch / "runs"):
                this = ": this run does" if killed == again else ""
                _say([f"A run was killed; `{killed}` continues it{this}."])
            self._whole = graph.whole_study(run_params, self._parameters, books.ledger)
            names = {node.name for node in nodes}
            books.take_stock(self._whole, names)
            if shown and graph.RESULT in graph.made_from(self._whole, names):
                text = f"Maybe older than what it is made from: `{again}` was started and has not ended."
                desk.warning = (self._notice.folder, text)
        self._unseen = nodes if isinstance(catalog, SharedMemoryDataCatalog) else []
        for node in self._unseen:
            desk.started(node.name, {})
        self._note = RunNote.open(self._scratch / "runs", again, desk)

    @hook_impl
    def after_pipeline_run(self, pipeline: Pipeline, catalog: Any) -> None:
        """Compare what is there now with what it was made from."""
        self._take_down_unseen(catalog)
        self._close()
        if command.in_dvc():  # which keeps its own books
            if graph.RESULT in pipeline.all_outputs():
                self._notice.clear()
            return
        standings = self._books(catalog).examine(self._whole.nodes)
        again = command.whole(self._words)
        lines = _tell(standings, {node.name for node in pipeline.nodes}, self._whole, again)
        _say(lines)
        stale = [name for name, one in standings.items() if name.startswith("study.") and one.kind == "outdated"]
        if stale:
            self._notice.write(f"Outdated: {told(roots(standings, stale))}. `{again}` makes it again.")
        else:
            self._notice.clear()

    def _take_down_unseen(self, catalog: Any) -> None:
        """Kedro's ParallelRunner runs nodes in processes that need not know of hooks; the run has ended well."""
        desk = desk_of_run() if self._unseen else None
        if desk is None:
            return
        digests = Digests(catalog, desk.ledger)
        for node in self._unseen:
            record = desk.ledger.read(node.name)
            if not (record and record.finished):
                desk.finished(node.name, digests.of(data_of(node)), digests.of(node.outputs))

    @hook_impl
    def on_pipeline_error(self) -> None:
        """The advice is given with the error."""
        self._close()

    def _close(self) -> None:
        if self._note is not None:
            self._note.close()


def _say(lines: Sequence[str]) -> None:
    """Lines whole, so that a command in them can be copied."""
    from rich.console import Console

    if lines:
        Console().print("\n".join(lines), style="yellow", soft_wrap=True, markup=False, highlight=False)


def count_as_missing(nodes: Sequence[Node], standings: Mapping[str, Standing], catalog: Any) -> None:
    """Let the outputs of nodes that are to run count as missing in this session."""
    for node in nodes:
        for name in node.outputs:
            catalog.get(name)._exists = _nothing
    outdated = [node.name for node in nodes if standings[node.name].kind == "outdated"]
    if outdated:
        logger.info("outdated, made again: %s", told(roots(standings, outdated)))


def _nothing() -> bool:
    """What an outdated dataset says of its existence."""
    return False


def _tell(standings: Mapping[str, Standing], run: set[str], whole: Pipeline, again: str) -> list[str]:
    """What is to be said after a run of these nodes, a line each."""
    above = sorted(graph.above(whole, run))
    upper = [name for name in above if standings[name].kind in ("outdated", "missing")]
    unknown = [name for name in sorted({*above, *run}) if standings[name].kind == "unknown"]
    lower = sorted(name for name in graph.below(whole, run) if standings[name].kind == "outdated")
    lines = []
    if upper:
        reasons = told(roots(standings, upper))
        lines.append(f"Not up to date: this run stands on {reasons}. `{again}` makes all of it again.")
    if unknown:
        made = told(dict.fromkeys(unknown, "not made by a run here"))
        lines.append(f"Not checked, for it is not known what they were made from: outputs of {made}.")
    if lower:
        reasons = told(roots(standings, lower))
        lines.append(f"Now outdated: outputs of {len(lower)} nodes, for {reasons}. `{again}` makes them again.")
    return lines
