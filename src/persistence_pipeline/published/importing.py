"""A whole clone as tables, cached: a second run reads the tables, not the JSON lines."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import pandas as pd

from persistence_pipeline.published.layout import Fault, FileGroup, PublishedError, find_groups
from persistence_pipeline.published.reading import Read, read_group
from persistence_pipeline.published.settings import PublishedSettings

logger = logging.getLogger(__name__)

TABLES_VERSION = 4
"""Raised when the tables change, so that older caches are not read."""
EPISODES, CONVERSATIONS, QUARANTINE = TABLES = ("episodes", "conversations", "quarantine")
QUARANTINE_COLUMNS = ["kind", "file", "line", "detail", "n_trajectories"]


def import_clone(settings: PublishedSettings) -> dict[str, pd.DataFrame]:
    """Read a clone, or the tables of an earlier import of the same files.

    Returns:
        ``episodes`` (a row per trajectory and evaluator, with scores), ``conversations`` (their records as JSON)
        and ``quarantine`` (what was set aside, by file and line).

    Raises:
        PublishedError: no such clone; with ``on_error: stop``, the first fault and the number of others.
    """
    if not settings.root:
        raise PublishedError(
            "published.root is not set: --params=published.root=<clone of the published repository>"
        )
    root = Path(settings.root).expanduser()
    if not root.is_dir():
        raise PublishedError(f"published.root: no directory {root}")
    groups, faults = find_groups(root)
    cache, fingerprint = Path(settings.cache), _fingerprint(groups, faults, settings)
    if _cached(cache) == fingerprint:
        logger.info("published study: reading the tables of an earlier import")
        return {name: pd.read_parquet(cache / f"{name}.parquet") for name in TABLES}
    tables = _parse(root, groups, faults, settings)
    _store(cache, fingerprint, tables)
    return tables


def _parse(
    root: Path, groups: Sequence[FileGroup], faults: Sequence[Fault], settings: PublishedSettings
) -> dict[str, pd.DataFrame]:
    from tqdm import tqdm

    started = perf_counter()
    whole = Read(faults=list(faults))
    _stop_at(whole.faults, settings)
    for group in tqdm(groups, desc="published files", mininterval=1):
        read = read_group(group, settings.n_cases, settings.replicates)
        _stop_at(read.faults, settings)
        whole.rows += read.rows
        whole.conversations += read.conversations
        whole.faults += read.faults
    tables = _tables(root, whole)
    found = [Fault("duplicate_case", Path(r["file"]), r["line"], r["detail"]) for r in tables.pop("duplicates")]
    _stop_at(found, settings)
    tables[QUARANTINE] = _quarantine(root, [*whole.faults, *found])
    n_lost = int(tables[QUARANTINE]["n_trajectories"].sum())
    seconds = perf_counter() - started
    logger.info("published study: %d trajectories in %.1f s, %d set aside", len(tables[EPISODES]), seconds, n_lost)
    if tables[EPISODES].empty:
        raise PublishedError(f"{root}: no trajectory could be read")
    return tables


def _stop_at(found: Sequence[Fault], settings: PublishedSettings) -> None:
    faults = [fault for fault in found if fault.stops]
    if faults and settings.on_error == "stop":
        more = f" (and {len(faults) - 1} more faults)" if len(faults) > 1 else ""
        raise PublishedError(f"{faults[0]}{more}. To set faulty lines aside: published.on_error=quarantine")


def _tables(root: Path, whole: Read) -> dict[str, Any]:
    """Episodes without repeated cases, their conversations, and the repeats."""
    episodes = pd.DataFrame(whole.rows)
    conversations = pd.DataFrame(whole.conversations, columns=["trajectory_id", "toolkits", "record"])
    if episodes.empty:
        return {EPISODES: episodes, CONVERSATIONS: conversations, "duplicates": []}
    repeated = episodes["trajectory_id"].duplicated()
    unique = episodes.drop_duplicates("trajectory_id")
    first = dict(zip(unique["trajectory_id"], unique["file"], strict=True))
    lost = episodes.loc[repeated, ["trajectory_id", "configuration", "case_index", "file", "line"]].copy()
    lost["detail"] = [
        f"case {row.case_index} of {row.configuration} is already in {Path(first[str(row.trajectory_id)]).name}"
        for row in lost.itertuples()
    ]
    episodes = episodes[~repeated].reset_index(drop=True)
    episodes["file"] = [written(os.path.relpath(path, root)) for path in episodes["file"]]
    return {
        EPISODES: episodes,
        CONVERSATIONS: conversations.drop_duplicates("trajectory_id").reset_index(drop=True),
        "duplicates": lost.to_dict("records"),
    }


def _quarantine(root: Path, faults: Sequence[Fault]) -> pd.DataFrame:
    rows = [
        (f.kind, written(os.path.relpath(f.path, root)), f.line, written(f.detail), f.n_trajectories)
        for f in faults
    ]
    table = pd.DataFrame(rows, columns=QUARANTINE_COLUMNS)
    types = {"kind": "str", "file": "str", "line": "Int64", "detail": "str", "n_trajectories": "int64"}
    return table.astype(types)


def written(value: object) -> str:
    """As text that UTF-8 can hold: names of files may be any bytes."""
    return str(value).encode("utf-8", "backslashreplace").decode()


def _fingerprint(groups: Sequence[FileGroup], faults: Sequence[Fault], settings: PublishedSettings) -> str:
    """Names, sizes and times of the files, and what else decides the tables."""
    decisive = settings.model_dump_json(include={"on_error", "replicates", "n_cases"})
    digest = hashlib.sha256(f"{TABLES_VERSION} {decisive}".encode())
    for fault in faults:
        digest.update(written(fault).encode())
    for group in groups:
        for path in (group.trajectories, group.safety, group.helpfulness):
            status = path.stat() if path.is_file() else None
            state = f"{status.st_size} {status.st_mtime_ns}" if status else "unreadable"
            digest.update(f"{written(path)} {state}".encode())
    return digest.hexdigest()


def _cached(cache: Path) -> str | None:
    """Fingerprint of the tables in the cache; None where they are not all there."""
    if not all((cache / f"{name}.parquet").is_file() for name in TABLES):
        return None
    try:
        return str(json.loads((cache / "fingerprint.json").read_text("utf-8"))["fingerprint"])
    except (OSError, ValueError, KeyError):
        return None


def _store(cache: Path, fingerprint: str, tables: dict[str, pd.DataFrame]) -> None:
    """Write the tables beside the cache and swap them in."""
    cache.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=cache.parent, prefix=f".{cache.name}."))
    try:
        for name, table in tables.items():
            table.to_parquet(fresh / f"{name}.parquet", index=False)
        (fresh / "fingerprint.json").write_text(json.dumps({"fingerprint": fingerprint}), encoding="utf-8")
        fresh.chmod(0o755)
        shutil.rmtree(cache, ignore_errors=True)
        fresh.replace(cache)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
