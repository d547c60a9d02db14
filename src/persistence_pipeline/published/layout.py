"""The published layout: which files belong together, and what directory and file names say.

Only names are read here; what is in the files is read in ``reading``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

POOL = "pool"
"""Part of a clone that holds the source trajectories; the other parts are evaluation sets such as ``match``."""
POOL_FOLDER = Path("data", "raw_data_by_eval")
RESULTS_FOLDER = Path("results")
SET_SUFFIX = "_eval_results"
SAFETY_SUFFIX = "_eval_agent_safe"
HELPFULNESS_SUFFIX = "_eval_agent_help_ignore_safety"
EVALUATION_MARK = "_eval_agent_"
"""In the name of every evaluation file, also of metrics that are not used here."""
NOT_READ = "not_read"
"""Kind of a folder with JSON lines that is no part of the layout."""
DEFAULT_BETA = 0.1
OBJECTIVES = {"safe": "safety", "help": "helpfulness", "both": "both"}
EVALUATORS = {"Qwen_Qwen3-32B": "q32", "gpt-5-mini": "gpt5m"}
"""Short names that the published study gives to its two judges."""

_STAGE = re.compile(r"_(safe|help|both)_([A-Za-z0-9]+)(?:_beta-(\d+(?:\.\d+)?))?_s(\d+)")
_TRAINED = re.compile(rf"dpo_(?P<model>.+?)(?P<stages>(?:{_STAGE.pattern})+)")
_FILE = re.compile(
    r"(?P<model>.+)_emu-(?P<emulator>.+)_eval-(?P<judge>.+?)(?:_(?P<quantisation>int4|int8|fp16))?"
    r"_r(?P<start>\d+)-(?P<stop>\d+)(?:_.*)?"
)


class PublishedError(ValueError):
    """Published data that cannot be read; the message names file and line."""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with the files."""

    kind: str
    """``name, unreadable, missing_file, orphan_file, line_count, json, field, score, position, duplicate_case,
    judge, not_read``."""
    path: Path
    line: int | None
    """From 1; None where the fault is the file's as a whole."""
    detail: str
    n_trajectories: int = 1
    """Trajectories that are lost with it."""

    @property
    def stops(self) -> bool:
        """True if ``on_error: stop`` stops here. What lies beside the layout is listed, and no fault of it."""
        return self.kind != NOT_READ

    def __str__(self) -> str:
        where = f"{self.path}, line {self.line}" if self.line is not None else str(self.path)
        return f"{where}: {self.detail}"


@dataclass(frozen=True)
class Configuration:
    """The model that a directory is named for."""

    name: str
    source: str
    ordering: str = "source"
    beta: float = float("nan")
    seed: int | None = None
    """None for sources: they are not trained, so they have no seed of their own."""
    trained_on: str | None = None
    """Evaluator whose pairs it was trained on."""


@dataclass(frozen=True)
class FileGroup:
    """Trajectories of one index range, with their two evaluations."""

    part: str
    evaluator: str
    configuration: Configuration
    start: int
    stop: int
    trajectories: Path

    @property
    def safety(self) -> Path:
        """Evaluations of safety."""
        return _sibling(self.trajectories, SAFETY_SUFFIX)

    @property
    def helpfulness(self) -> Path:
        """Evaluations of helpfulness, safety ignored."""
        return _sibling(self.trajectories, HELPFULNESS_SUFFIX)


def parse_configuration(name: str) -> Configuration:
    """Read a directory name: ``dpo_<model>_<objective>_<evaluator>[_beta-<b>]_s<seed>[_<second stage>]``.

    A name without ``dpo_`` is a source's.

    Raises:
        ValueError: saying what is wrong with the name.
    """
    if not name.startswith("dpo_"):
        return Configuration(name=name, source=name)
    matched = _TRAINED.fullmatch(name)
    if matched is None:
        raise ValueError(
            f"configuration name {name!r} is not dpo_<model>_<safe|help|both>_<evaluator>[_beta-<b>]_s<seed>"
            "[_<second stage>]"
        )
    stages = _STAGE.findall(matched["stages"])
    ordering = ">".join(OBJECTIVES[objective] for objective, *_ in stages)
    factors = {(evaluator, float(beta or DEFAULT_BETA), int(seed)) for _, evaluator, beta, seed in stages}
    if len(factors) > 1:
        raise ValueError(f"configuration name {name!r}: its stages differ in evaluator, beta or seed")
    evaluator, beta, seed = factors.pop()
    return Configuration(name, matched["model"], ordering, beta, seed, evaluator)


def find_groups(root: Path) -> tuple[list[FileGroup], list[Fault]]:
    """Every group of files of a clone, in a fixed order, and what is wrong with the names.

    Raises:
        PublishedError: the folder is not a clone at all.
    """
    folders = list(_parts(root))
    if not folders:
        raise PublishedError(
            f"{root} holds neither {POOL_FOLDER}/<evaluator> nor {RESULTS_FOLDER}/<set>{SET_SUFFIX}: expected the "
            "root of a clone of the published repository (parameter published.root)"
        )
    groups: list[FileGroup] = []
    faults: list[Fault] = []
    for part, evaluator, folder in folders:
        by_directory: dict[Path, list[Path]] = {}
        for path in _json_lines(folder):
            by_directory.setdefault(path.parent, []).append(path)
        for directory, paths in by_directory.items():
            found, wrong = _directory_groups(part, evaluator, directory, paths)
            groups += found
            faults += wrong
    return groups, [*faults, *_beside(root, {folder for _, _, folder in folders})]


def folders_read(root: Path) -> list[Path]:
    """The folders under which everything lies that is read of a clone; both where there is no clone yet."""
    folders = [root / POOL_FOLDER, root / RESULTS_FOLDER]
    return [folder for folder in folders if folder.is_dir()] or folders


def _json_lines(folder: Path) -> list[Path]:
    """Files by their names, in linked folders too; broken links are among them: faults, not absences.

    A link to a folder that it lies in is not followed a second time.

    Raises:
        PublishedError: a folder cannot be read.
    """
    found: list[Path] = []
    above: dict[str, frozenset[str]] = {}
    for place, folders, files in os.walk(folder, onerror=_refuse, followlinks=True):
        seen = above.get(place, frozenset()) | {os.path.realpath(place)}
        folders[:] = [name for name in folders if os.path.realpath(Path(place, name)) not in seen]
        above |= {str(Path(place, name)): seen for name in folders}
        found += [Path(place, name) for name in files if name.endswith(".jsonl")]
    return sorted(found)


def _refuse(error: OSError) -> None:
    raise PublishedError(f"{error.filename}: cannot be read: {error.strerror}")


def _beside(root: Path, read: set[Path]) -> Iterator[Fault]:
    """Folders with JSON lines where evaluation sets lie, under names that are no set's."""
    for folder in sorted((root / RESULTS_FOLDER).glob("*/")):
        paths = _json_lines(folder) if folder not in read else []
        if paths:
            lost = sum(count_lines(path) for path in paths if not _is_evaluation(path))
            detail = f"is not read: the name of an evaluation set's folder ends with {SET_SUFFIX}"
            yield Fault(NOT_READ, folder, None, detail, lost)


def _parts(root: Path) -> Iterator[tuple[str, str | None, Path]]:
    """Part, evaluator where the folder names it, and folder."""
    for folder in sorted((root / POOL_FOLDER).glob("*/")):
        yield POOL, folder.name, folder
    for folder in sorted((root / RESULTS_FOLDER).glob(f"*{SET_SUFFIX}/")):
        yield folder.name.removesuffix(SET_SUFFIX), None, folder


def _directory_groups(
    part: str, evaluator: str | None, directory: Path, paths: list[Path]
) -> tuple[list[FileGroup], list[Fault]]:
    present = set(paths)
    groups: list[FileGroup] = []
    faults = [_orphan(path) for path in paths if _is_evaluation(path) and _trajectories_of(path) not in present]
    try:
        f"{part}/{evaluator}/{directory.name}".encode()  # names of files may be any bytes
        configuration = parse_configuration(directory.name)
    except ValueError as error:
        lost = sum(count_lines(path) for path in paths if not _is_evaluation(path))
        return [], [*faults, Fault("name", directory, None, str(error), lost)]
    for path in paths:
        if _is_evaluation(path):
            continue
        found = _group(part, evaluator, configuration, path)
        if isinstance(found, Fault):
            faults.append(found)
            continue
        absent = [p.name for p in (found.safety, found.helpfulness) if p not in present]
        if absent:
            detail = f"its evaluation file {' and '.join(absent)} is missing"
            faults.append(Fault("missing_file", path, None, detail, count_lines(path)))
        else:
            groups.append(found)
    return groups, faults


def _group(part: str, evaluator: str | None, configuration: Configuration, path: Path) -> FileGroup | Fault:
    matched = _FILE.fullmatch(path.stem)
    if matched is not None and matched["model"] != configuration.name:
        detail = f"a file of {matched['model']} in the directory of {configuration.name}"
        return Fault("name", path, None, detail, count_lines(path))
    if matched is None:
        detail = "file name is not <model>_emu-<emulator>_eval-<judge>[_int4|_int8]_r<start>-<stop>[_<date>].jsonl"
        return Fault("name", path, None, detail, count_lines(path))
    judge = EVALUATORS.get(matched["judge"], matched["judge"])
    if part == "match" and configuration.trained_on not in (None, judge):
        detail = f"set match: judged by {judge}, but trained on pairs of {configuration.trained_on}"
        return Fault("judge", path, None, detail, count_lines(path))
    if matched["quantisation"] and configuration.seed is None:
        name = f"{configuration.name}_{matched['quantisation']}"
        configuration = Configuration(name=name, source=name)
    start, stop = int(matched["start"]), int(matched["stop"])
    return FileGroup(part, evaluator or judge, configuration, start, stop, path)


def _orphan(path: Path) -> Fault:
    lost = count_lines(path) if path.stem.endswith(SAFETY_SUFFIX) else 0
    return Fault("orphan_file", path, None, f"evaluates {_trajectories_of(path).name}, which is missing", lost)


def _is_evaluation(path: Path) -> bool:
    return EVALUATION_MARK in path.name


def _trajectories_of(evaluation: Path) -> Path:
    return evaluation.with_name(evaluation.name.rpartition(EVALUATION_MARK)[0] + ".jsonl")


def _sibling(path: Path, suffix: str) -> Path:
    return path.with_name(f"{path.stem}{suffix}{path.suffix}")


def count_lines(path: Path) -> int:
    """Lines that are not blank; 0 where the file cannot be read."""
    try:
        with path.open("rb") as file:
            return sum(1 for line in file if line.strip())
    except OSError:
        return 0


def unreadable(path: Path, error: OSError, n_trajectories: int) -> Fault:
    """A file that the system does not let us read."""
    return Fault("unreadable", path, None, f"cannot be read: {error.strerror}", n_trajectories)


def same_model(name: str) -> str:
    """A key that is equal for a source's directory name and the short name in its trained configurations.

    ``meta-llama_Llama-3.1-8B-Instruct`` and ``Llama3.1-8B`` are one model.
    """
    short = name.rpartition("_")[2] if name.count("_") == 1 else name
    return re.sub(r"[^a-z0-9]", "", short.lower().removesuffix("-instruct"))
