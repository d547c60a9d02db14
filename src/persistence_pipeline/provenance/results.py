"""The numbers of a finished study as a small file for Git: what came out, of which commit, on which processor.

``kedro results`` reads the study's ``summary.json``. Runs themselves write
nothing that Git tracks: their numbers differ between processors, so what is kept has to say where it comes from.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from persistence_pipeline.analysis.headline import DIGITS, headline_metrics
from persistence_pipeline.analysis.runs import ALL
from persistence_pipeline.factors import further
from persistence_pipeline.session import configuration, reporting_folder

DESCRIBED = ("commit", "processor", "python", "versions", "seeds", "sources", "parameters_sha256", "scores_sha256")
NUMBERS = (
    "frontier",
    "persistence",
    "surviving",
    "pull",
    "averages",
    "pool",
    "competence",
    "plain_text",
    "registered",
)
"""Parts of a summary that are kept."""
INTERVAL = ("estimate", "low", "high", "kind", "margin", "verdict", "equivalent", "holm_p", "defined", "reason")
"""Of an interval."""
BESIDE = ("n", "tau", "i2", "left_out", "against", "numerator", "denominator")
"""What stands beside one."""
CELL = ("safety", "helpfulness", "refusal_rate", "discrimination", "d_prime", "invalid_rate", "harms")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class NoResultsError(ValueError):
    """There is no finished study to take results from."""


def tracked_results(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The file that is kept of a study.

    Args:
        summary: As in ``summary.json``.

    Returns:
        ``run``, as far as it says where the numbers come from, with ``conflict_share`` by seed; ``metrics``, as in
        ``metrics.json``; ``numbers``: those of ``NUMBERS``, of every interval what ``INTERVAL`` names, by kind of
        hazard for the mean of the sources where there are several, ``plain_text`` where any policy read it, and
        ``stages``, by cell: the log-probability of chosen minus that of rejected completions, nats, the mean over
        the pairs of its last stage, ``before`` that stage and ``after`` it;
        ``cells``: what each agent scored on the headline split.
    """
    run, split = summary["run"], summary["frontier"]["split"]
    read = ("plain_text",) if summary["plain_text"] else ()
    numbers = {name: _kept(summary[name]) for name in (*NUMBERS, *read)}
    numbers["stages"] = [_stage(row) for row in summary["audits"]["training"]]
    several = any(row["source"] == ALL for row in numbers["surviving"])
    for row in numbers["surviving"]:
        shown = row["source"] == ALL or not several
        row["kinds"] = [_of_kind(kind) for kind in row["kinds"]] if shown else []
    cells = [
        {
            **{name: cell[name] for name in ("cell", "source", "ordering", "beta", *further(cell), "seed")},
            **{name: _kept(cell["splits"][split].get(name)) for name in CELL},
        }
        for cell in summary["cells"]
    ]
    return {
        "run": {**{name: run[name] for name in DESCRIBED}, "conflict_share": _conflict_share(run["parameters"])},
        "metrics": headline_metrics(summary),
        "numbers": numbers,
        "cells": cells,
    }


def _kept(value: Any) -> Any:
    """Numbers rounded, intervals without what their page does not show."""
    if isinstance(value, Mapping):
        names = [*INTERVAL, *BESIDE] if "estimate" in value else list(value)
        return {name: _kept(value[name]) for name in names if name in value}
    if isinstance(value, list):
        return [_kept(inner) for inner in value]
    return round(value, DIGITS) if isinstance(value, float) else value


def _stage(report: Mapping[str, Any]) -> dict[str, Any]:
    """Of the report of a stage."""
    margins = {
        when: report[f"chosen_logp_{when}"] - report[f"rejected_logp_{when}"] for when in ("before", "after")
    }
    return {"cell": report["cell"], "n_pairs": report["n_pairs"], **_kept(margins)}


def _of_kind(row: Mapping[str, Any]) -> dict[str, Any]:
    """Of one kind of hazard: the two changes and how many pairs each agent tells apart."""
    changes = ("survives", "above_source")
    metrics = {m: {name: row[m][name] for name in changes} for m in ("safety", "helpfulness") if m in row}
    levels = [{name: level[name] for name in ("ordering", "discrimination")} for level in row["levels"]]
    return {"kind": row["kind"], **metrics, "levels": levels}


def _conflict_share(parameters: Mapping[str, Any]) -> float | None:
    """Share of conflicting cases among the hazards, of the study or of its world; None where there is neither."""
    own = [seed["conflict_share"] for seed in (parameters.get("seeds") or {}).values() if seed]
    found: float | None = next((share for share in own if share is not None), None)
    return (parameters.get("world") or {}).get("conflict_share") if found is None else found


def as_text(results: Mapping[str, Any]) -> str:
    """JSON with a line for each innermost object."""
    written = json.dumps(results, indent=1)
    return re.sub(r"\{[^{}\[\]]*\}", lambda found: " ".join(found[0].split()), written) + "\n"


def write_results(project: Path, env: str, reporting: Path | None = None, name: str | None = None) -> Path:
    """Write the results of a study to ``docs/results/<name>.json``.

    Args:
        project: The project's folder.
        env: Environment of the study.
        reporting: Folder of its reports; by default that of the environment's last study.
        name: Of the file; by default the environment's.

    Raises:
        NoResultsError: no study of that environment has been reported, or not by this version, or the name is none
            of a file.
    """
    if not (project / "conf" / env).is_dir():
        raise NoResultsError(f"no environment is named {env!r}: there is no folder {project / 'conf' / env}")
    if name is not None and not NAME.fullmatch(name):
        raise NoResultsError(f"--name: expected letters, digits, '.', '_' and '-', got {name!r}")
    folder = reporting or Path(reporting_folder(project, configuration(project / "conf", env)))
    path = folder / "summary.json"
    try:
        results = tracked_results(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise NoResultsError(f"{path} is not there: run the study first (kedro run --env={env})") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NoResultsError(f"{path} was not written by this version ({error!r}): run the study again") from None
    target = project / "docs/results" / f"{name or env}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(as_text(results), encoding="utf-8")
    return target
