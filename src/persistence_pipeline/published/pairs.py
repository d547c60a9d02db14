"""Preference pairs from the published source trajectories, by the same pairing code as the embedded study."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from persistence_pipeline.preferences.export import to_trl
from persistence_pipeline.preferences.pairing import NoPairsError, pair_candidates
from persistence_pipeline.published.layout import PublishedError
from persistence_pipeline.published.settings import PairSettings
from persistence_pipeline.records import METRICS, OBJECTIVES, Message, PreferencePair, Trajectory
from persistence_pipeline.toolemu.cases import held_out_half
from persistence_pipeline.toolemu.toolkits import SYSTEM_PROMPT, tool_schemas

logger = logging.getLogger(__name__)

Schemas = Mapping[str, Sequence[Mapping[str, Any]]]
"""By toolkit, its tools as JSON schemas."""
EVERY, CLEAN = POOLS = ("every", "without_fabricated")
"""Whether trajectories with fabricated observations may be paired."""
TOOLKIT_FILES = ("assets/all_toolkits.json", "toolemu/assets/all_toolkits.json", "toolemu/all_toolkits.json")
"""Where a clone may hold ToolEmu's toolkit specifications."""
NO_TOOLKITS = (
    "no pairs are exported, because there are no toolkit specifications at {}: set published.pairs.toolkits to "
    "ToolEmu's all_toolkits.json"
)


def make_pair_table(
    pool: pd.DataFrame, settings: PairSettings, seeds: Sequence[int], n_cases: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Pairs of every evaluator and objective, from every trajectory and from those without fabrication.

    Returns:
        Pair table with ``evaluator``, ``pool`` and ``train_<seed>`` (whether the case is a train case of it), and
        a table of counts with why candidates were rejected. A set without pairs has a row of counts only. Pairs
        that keep fabrication out go by the wide definition: no fabricated observation, Markdown around it or not.
    """
    train = {seed: {i for i in range(n_cases) if i not in held_out_half(seed, n_cases)} for seed in seeds}
    index = pool.drop_duplicates("case_id").set_index("case_id")["case_index"]
    tables, counts = [_no_pairs(pool)], [pd.DataFrame(columns=["evaluator", "pool", "objective", "pairs"])]
    for evaluator, rows in pool.groupby("evaluator", sort=True):
        for name in POOLS:
            candidates = rows if name == EVERY else rows[~rows["fabricated_wide"]]
            for objective in OBJECTIVES:
                identity = {"evaluator": str(evaluator), "pool": name}
                pairs, counted = _pairs(candidates, objective, settings)
                counts.append(pd.DataFrame([{**identity, "objective": objective, **counted}]))
                if pairs is not None:
                    pairs["pair_id"] = f"{evaluator}|{name}|" + pairs["pair_id"]
                    tables.append(pairs.assign(**identity))
    table = pd.concat(tables, ignore_index=True)
    case_index = table["case_id"].map(index)
    for seed, cases in train.items():
        table[f"train_{seed}"] = case_index.isin(cases)
    return table, pd.concat(counts, ignore_index=True)


def _no_pairs(pool: pd.DataFrame) -> pd.DataFrame:
    """A pair table without rows."""
    texts = ("pair_id", "case_id", "objective", "chosen_id", "rejected_id", "evaluator", "pool")
    ids = dict.fromkeys(texts, "trajectory_id")
    scores = {f"{side}_{m}": m for m in METRICS for side in ("chosen", "rejected")}
    return pd.DataFrame({name: pool[column].iloc[:0] for name, column in (ids | scores).items()})


def _pairs(
    candidates: pd.DataFrame, objective: Any, settings: PairSettings
) -> tuple[pd.DataFrame | None, dict[str, Any]]:
    rule = settings.model_dump(include={"min_gap", "min_chosen", "max_per_case"})
    try:
        return pair_candidates(candidates, objective, seed=settings.export_seed, **rule)
    except NoPairsError as error:
        logger.warning("published study: %s", error)
        return None, {"candidates": len(candidates), "pairs": 0}


def count_pairs(table: pd.DataFrame, counts: pd.DataFrame, seeds: Sequence[int]) -> dict[str, Any]:
    """``<evaluator>.<objective>.{n_pairs, n_cases, train: {<seed>: …}, without_fabricated: …}``."""
    result: dict[str, Any] = {}
    for row in counts.to_dict("records"):
        chosen = table[(table["evaluator"] == row["evaluator"]) & (table["pool"] == row["pool"])]
        chosen = chosen[chosen["objective"] == row["objective"]]
        entry = {**_size(chosen), "train": {str(s): _size(chosen[chosen[f"train_{s}"]]) for s in seeds}}
        objectives = result.setdefault(row["evaluator"], {})
        if row["pool"] == EVERY:
            objectives[row["objective"]] = {**entry, **objectives.get(row["objective"], {})}
        else:
            objectives.setdefault(row["objective"], {})["without_fabricated"] = entry
    return result


def _size(pairs: pd.DataFrame) -> dict[str, int]:
    return {"n_pairs": len(pairs), "n_cases": int(pairs["case_id"].nunique())}


def load_toolkits(settings: PairSettings, root: str | None) -> dict[str, list[dict[str, Any]]]:
    """JSON schemas of the tools by toolkit; empty where no file is named and the clone has none.

    Raises:
        PublishedError: the file that is named does not exist, or a file is not in ToolEmu's format.
    """
    path = toolkit_file(settings, root)
    if path is None:
        shown = ", ".join(map(str, _in_clone(root)))
        logger.warning("published study: %s", NO_TOOLKITS.format(shown))
        return {}
    if not path.is_file():
        raise PublishedError(f"published.pairs.toolkits: no file {path}")
    try:
        return tool_schemas(json.loads(path.read_text("utf-8")))
    except ValueError as error:
        raise PublishedError(f"{path}: {error}") from None


def toolkit_file(settings: PairSettings, root: str | None) -> Path | None:
    """The file of toolkit specifications: the one that is named, else the clone's; None where it has none."""
    if settings.toolkits is not None:
        return Path(settings.toolkits).expanduser()
    return next((path for path in _in_clone(root) if path.is_file()), None)


def _in_clone(root: str | None) -> list[Path]:
    return [Path(root or "").expanduser() / path for path in TOOLKIT_FILES]


def export_pairs(
    table: pd.DataFrame, conversations: pd.DataFrame, schemas: Schemas, seed: int
) -> Iterator[tuple[str, list[PreferencePair]]]:
    """Pairs of a seed's train cases in TRL's conversational format, one set at a time.

    Yields:
        ``<evaluator>/<pool>/<objective>`` and its pairs; nothing where there are no schemas.

    Raises:
        PublishedError: a case needs a toolkit that has no specification.
    """
    if not schemas:
        return
    train = table[table[f"train_{seed}"]]
    trajectories = conversations_of([train], conversations, schemas)
    for (evaluator, pool, objective), rows in train.groupby(["evaluator", "pool", "objective"], sort=True):
        yield f"{evaluator}/{pool}/{objective}", to_trl(rows, trajectories)


def conversations_of(
    tables: Sequence[pd.DataFrame], conversations: pd.DataFrame, schemas: Schemas
) -> list[Trajectory]:
    """The trajectories that are paired, as an emulated episode opens, with the tools of their case.

    Raises:
        PublishedError: there are no toolkit specifications, or not of a case's toolkit.
    """
    needed = {
        trajectory for table in tables for side in ("chosen_id", "rejected_id") for trajectory in table[side]
    }
    records = conversations[conversations["trajectory_id"].isin(needed)]
    tools = {toolkits: tuple(_tools(toolkits, schemas)) for toolkits in records["toolkits"].unique()}
    opening = Message(role="system", content=SYSTEM_PROMPT)
    trajectories = []
    for toolkits, record in zip(records["toolkits"], records["record"], strict=True):
        trajectory = Trajectory.model_validate_json(record)
        shown = {"messages": (opening, *trajectory.messages), "tools": tools[toolkits]}
        trajectories.append(trajectory.model_copy(update=shown))
    return trajectories


def _tools(toolkits: str, schemas: Schemas) -> Iterator[dict[str, Any]]:
    for name in json.loads(toolkits):
        if name not in schemas:
            known = (
                ", ".join(sorted(schemas)) or "none: set published.pairs.toolkits to ToolEmu's all_toolkits.json"
            )
            raise PublishedError(f"toolkit specifications: unknown toolkit {name!r}; known: {known}")
        yield from map(dict, schemas[name])
