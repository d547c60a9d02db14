"""The numbers of a finished study as a small file for Git: what came out, of which commit, on which processor.

``kedro results`` reads the study's ``summary.json``. Runs themselves write
nothing that Git tracks: their numbers differ between processors, so what is kept has to say where it comes from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from persistence_pipeline.analysis.headline import headline_metrics
from persistence_pipeline.session import configuration, reporting_folder

DESCRIBED = ("commit", "processor", "python", "versions", "seeds", "sources", "parameters_sha256", "scores_sha256")


class NoResultsError(ValueError):
    """There is no finished study to take results from."""


def tracked_results(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The files that are kept of a study.

    Args:
        summary: As in ``summary.json``.

    Returns:
        ``run``, as far as it says where the numbers come from, and ``metrics``, as in ``metrics.json``.
    """
    run = summary["run"]
    return {"run": {name: run[name] for name in DESCRIBED}, "metrics": headline_metrics(summary)}


def write_results(project: Path, env: str) -> Path:
    """Write the results of an environment's last study to ``docs/results/<env>.json``.

    Raises:
        NoResultsError: no study of that environment has been reported, or not by this version.
    """
    if not (project / "conf" / env).is_dir():
        raise NoResultsError(f"no environment is named {env!r}: there is no folder {project / 'conf' / env}")
    path = Path(reporting_folder(project, configuration(project / "conf", env)), "summary.json")
    try:
        results = tracked_results(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise NoResultsError(f"{path} is not there: run the study first (kedro run --env={env})") from None
    except (ValueError, KeyError, TypeError) as error:
        raise NoResultsError(f"{path} was not written by this version ({error!r}): run the study again") from None
    target = project / "docs/results" / f"{env}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return target
