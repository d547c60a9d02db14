"""All parameters of a session in one description, checked before anything runs.

A name that nothing reads, a value of another kind and settings that contradict each other end the run in one line,
with the file and the line in which they stand, and with the name that was meant.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from omegaconf.errors import OmegaConfBaseException

from persistence_pipeline import yaml_files
from persistence_pipeline.combinations import check_together
from persistence_pipeline.needs import check_needs
from persistence_pipeline.parameters import Globals, Parameters
from persistence_pipeline.strict import SettingError, dotted, hint, nearest, parse

logger = logging.getLogger(__name__)

COMMAND_LINE = "--params"
TABLES = ("sources", "seeds", "policies", "stages")
"""Parameters by names that files give; the command line may change what they name, and name nothing new."""
READ = ("parameters", "catalog", "credentials", "globals", "logging", "study", "dvc")
"""What the names of an environment's files begin with, where something reads them."""


class ParameterError(ValueError):
    """Parameters that cannot be what was meant."""


@dataclass(frozen=True)
class _Document:
    """A file of parameters, or what was given on the command line."""

    name: str
    node: yaml.Node | None


class Origins:
    """The origins of a session's values: the command line, the environment's files, the base's.

    Args:
        loader: The session's configuration.
        typed: The words of the command line.

    Raises:
        ParameterError: a file is not YAML, has a name twice, or says what it does not look like.
    """

    def __init__(self, loader: Any, typed: Sequence[str] = ()) -> None:
        self._given = loader.runtime_params or {}
        conf = Path(str(loader.conf_source))
        environments = dict.fromkeys((loader.env or loader.default_run_env, loader.base_env))
        folders = [conf / env for env in environments if (conf / env).is_dir()]  # it may be an archive
        try:
            _check_command_line(self._given, typed)
            documents = [[_document(p, conf) for p in _matching(f, loader, "parameters")] for f in folders]
            self._globals = [_document(p, conf) for f in folders for p in _matching(f, loader, "globals")]
        except yaml_files.YamlError as fault:
            raise ParameterError(str(fault)) from None
        for folder, of_folder in zip(folders, documents, strict=True):
            _refuse_unread(folder, conf)
            _refuse_rivals(of_folder)
        self._parameters = [document for of_folder in documents for document in of_folder]

    def of_parameter(self, path: Sequence[str | int]) -> str:
        """The file and line of a parameter, or ``--params``; of the group around it where it stands nowhere."""
        for end in range(len(path), 0, -1):
            if _within(self._given, path[:end]):
                return COMMAND_LINE
            for document in self._parameters:
                line = yaml_files.line_of(document.node, path[:end])
                if line is not None:
                    return f"{document.name}:{line}"
        return "parameters"

    def refuse_new_names(self) -> None:
        """See that what the command line changes in a table stands there in a file.

        Raises:
            SettingError: an entry that no file has, which nothing would use.
        """
        for table in TABLES:
            entries = self._given.get(table)
            for name in entries if isinstance(entries, Mapping) else ():
                lines = [yaml_files.line_of(document.node, (table, name)) for document in self._parameters]
                if not any(lines):
                    raise SettingError((table, name), f"no such name; {hint(str(name), self._names_in(table))}")

    def _names_in(self, table: str) -> set[str]:
        tables = [yaml_files.entry(document.node, table) for document in self._parameters]
        return {key.value for found in tables if found for key, _ in found[1].value}

    @contextmanager
    def named(self) -> Iterator[None]:
        """Say of what is refused where it stands.

        Raises:
            ParameterError: in place of ``SettingError``.
        """
        try:
            yield
        except SettingError as refused:
            raise ParameterError(f"{self.of_parameter(refused.path)}: {refused}") from None

    def of_global(self, path: Sequence[str | int]) -> str:
        """The file and line of a global."""
        for document in self._globals:
            line = yaml_files.line_of(document.node, path[:1])
            if line is not None:
                return f"{document.name}:{line}"
        return self._globals[0].name if self._globals else "globals.yml"


@dataclass(frozen=True)
class SessionParameters:
    """The parameters of a session, and where each comes from."""

    parameters: Parameters
    origins: Origins

    def check_run(self, inputs: Iterable[str], *, here: bool) -> None:
        """See that what a run needs is there (``check_needs``).

        Raises:
            ParameterError: naming the parameter and where it stands.
        """
        with self.origins.named():
            check_needs(self.parameters, inputs, here=here)


def read_parameters(loader: Any, typed: Sequence[str] = ()) -> SessionParameters:
    """The parameters of a session, if every name and every value of theirs can be taken, alone and together.

    Args:
        loader: The session's configuration: Kedro's ``OmegaConfigLoader``.
        typed: The words of the command line, of which the loader has only what YAML made of them.

    Raises:
        ParameterError: in one line, with the file, the parameter, and what was expected.
    """
    origins = Origins(loader, typed)
    known_globals = loader["globals"]
    try:
        parse(Globals, known_globals)
    except SettingError as refused:
        raise ParameterError(f"{origins.of_global(refused.path)}: {refused}") from None
    try:
        raw = {name: value for name, value in loader["parameters"].items() if not str(name).startswith("_")}
    except (ValueError, OmegaConfBaseException) as error:  # one name in two files; a ${...} that names nothing
        raise ParameterError(f"parameters: {' '.join(str(error).split())}") from None
    for name in known_globals:
        if name in raw:
            where = origins.of_parameter((name,))
            raise ParameterError(f"{where}: {name}: it stands in globals.yml, not among the parameters")
    with origins.named():
        origins.refuse_new_names()
        parameters = parse(Parameters, raw)
        check_together(parameters)
    return SessionParameters(parameters, origins)


def _within(given: Any, path: Sequence[str | int]) -> bool:
    for part in path:
        if not (isinstance(given, Mapping) and part in given):
            return False
        given = given[part]
    return True


def _matching(folder: Path, loader: Any, kind: str) -> list[Path]:
    found = {path for pattern in loader.config_patterns[kind] for path in folder.glob(pattern) if path.is_file()}
    return sorted(path for path in found if path.suffix in (".yml", ".yaml", ".json"))


def _document(path: Path, conf: Path) -> _Document:
    name = str(path.relative_to(conf.parent))
    node = yaml_files.compose(yaml_files.read_text(path), name)
    yaml_files.check(node, name)
    if isinstance(node, yaml.MappingNode):
        _tell_idle_anchors(node, name)
    elif node is not None:
        raise yaml_files.YamlError(f"{name}: expected names and values")
    return _Document(name, node)


def _refuse_rivals(documents: Sequence[_Document]) -> None:
    """Two files of one environment that set one parameter: Kedro merges them in no particular order."""
    first: dict[tuple[str, ...], _Document] = {}
    for document in documents:
        for place in yaml_files.places(document.node):
            rival = first.setdefault(place, document)
            if rival is not document and not place[0].startswith("_"):
                here, there = (f"{d.name}:{yaml_files.line_of(d.node, place)}" for d in (document, rival))
                raise ParameterError(
                    f"{here}: {dotted(place)}: {there} sets it too, and of two files of one environment neither "
                    "comes first"
                )


def _tell_idle_anchors(document: yaml.MappingNode, name: str) -> None:
    """A name with ``_`` is there to be referred to; one of another file changes nothing."""
    for index, (key, value) in enumerate(document.value):
        if str(key.value).startswith("_"):
            others = [pair[1] for i, pair in enumerate(document.value) if i != index]
            if not _ids(value) & set().union(*map(_ids, others)):
                logger.warning(
                    "%s:%d: %s changes nothing: nothing in this file refers to it, and anchors hold within a file",
                    *(name, key.start_mark.line + 1, key.value),
                )


def _ids(node: yaml.Node) -> set[int]:
    seen: set[int] = set()
    open_nodes = [node]
    while open_nodes:
        node = open_nodes.pop()
        if id(node) not in seen:
            seen.add(id(node))
            if isinstance(node, yaml.MappingNode):
                open_nodes += [part for pair in node.value for part in pair]
            elif isinstance(node, yaml.SequenceNode):
                open_nodes += node.value
    return seen


def _refuse_unread(folder: Path, conf: Path) -> None:
    """A file whose name is nearly that of one that is read."""
    for path in sorted(folder.iterdir()):
        stem = path.name.partition(".")[0].partition("_")[0]
        unread = path.name == "globals.yaml" or not path.name.startswith(READ)
        near = nearest(stem, READ) if unread and path.suffix in (".yml", ".yaml", ".json") else None
        if near:
            name = path.relative_to(conf.parent)
            raise ParameterError(f"{name}: nothing reads a file of this name; did you mean {near}.yml?")


def _check_command_line(given: Mapping[str, Any], typed: Sequence[str]) -> None:
    """See that what was typed is what was read.

    Raises:
        YamlError: a parameter is given twice, or as a word that YAML reads as another.
    """
    for name in given:
        if str(name).startswith("_"):
            raise yaml_files.YamlError(
                f"{COMMAND_LINE}: {name}: an anchor, which was put in when its file was read: name the parameter "
                "itself, such as training.safety.learning_rate"
            )
    options = list(_options(typed)) if given else []
    if len(options) > 1:
        raise yaml_files.YamlError(
            f"{COMMAND_LINE} is given {len(options)} times, and the last alone would count: put commas between"
        )
    seen: set[str] = set()
    for item in ",".join(options).split(","):
        name, _, value = (part.strip() for part in item.partition("="))
        if name and name in seen:
            raise yaml_files.YamlError(f"{COMMAND_LINE}: {name} is given twice")
        seen.add(name)
        yaml_files.value(value, f"{COMMAND_LINE}: {name}")


def _options(typed: Sequence[str]) -> Iterator[str]:
    for index, word in enumerate(typed):
        if word.startswith(f"{COMMAND_LINE}="):
            yield word.partition("=")[2]
        elif word == COMMAND_LINE and index + 1 < len(typed):
            yield typed[index + 1]
