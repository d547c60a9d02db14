"""``python -m bench coverage``: how often intervals hold the truth, in simulated studies, by the analysis itself.

Writes ``docs/coverage.json`` after each condition and renews the table of ``docs/coverage.md``.
"""

from __future__ import annotations

import argparse
import json
import zlib
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from bench.page import between
from bench.simulated import Levels, Noise, levels, studies, template
from persistence_pipeline.analysis import order
from persistence_pipeline.analysis.bootstrap import Draws
from persistence_pipeline.analysis.errors import errors_of
from persistence_pipeline.analysis.frontier import frontier_points
from persistence_pipeline.analysis.frontier_summary import BOTH, each_ordering_once, fit_points, height_above
from persistence_pipeline.analysis.intervals import MARGIN
from persistence_pipeline.analysis.line import r2_interval, residual_interval
from persistence_pipeline.analysis.persistence import of_metric, persistence_groups, ratio
from persistence_pipeline.analysis.runs import Runs
from persistence_pipeline.records import METRICS

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "coverage.json"
PAGE, MARK = ROOT / "docs" / "coverage.md", "coverage"
SEEDS = (3, 5, 10)
NOISES = (Noise(0.0), *(Noise(size, kind) for size, kind in product((0.05, 0.2), ("normal", "heavy", "unequal"))))
CASES = (40, 256)
NUMBERS = ("difference", "persistence", "order gap", "slope", "R²", "SD off the line", "height of both")
OF_SQUARES = ("R²", "SD off the line")
"""Their intervals hold away from an exact line only."""
HERE = ("m", "state", 0.1)


class Measured:
    """What of a study of one size is measured: weights, which all studies of that size share."""

    def __init__(self, runs: Runs, truth: Levels) -> None:
        points = frontier_points(runs)
        change = {metric: of_metric(points.change, metric) for metric in METRICS}
        self.names, self.weights = each_ordering_once(points, change)
        both = points.table.index[points.table["ordering"] == BOTH][0]
        self.own = {metric: change[metric][:, [both]] for metric in METRICS}
        trained = points.table.index[points.table["ordering"] == "safety"][0]
        (self.group,) = (group for group in persistence_groups(runs) if group.metric == "safety")
        exact = np.array([[truth[arm][i] for arm in runs.table["ordering"]] for i in range(len(METRICS))])
        draws = Draws(runs, {metric: np.tile(row, (3, 1)) for metric, row in zip(METRICS, exact, strict=True)})
        gaps = order.order_gaps(draws, *HERE)
        assert gaps is not None
        self.linear = np.concatenate([change["safety"][:, [trained]], gaps[0][:, :1]], axis=1)
        self.truth = self.estimates(draws)

    def estimates(self, draws: Draws) -> dict[str, float]:
        """The numbers themselves."""
        return {name: float(found["estimate"]) for name, found in self.intervals(draws).items() if found}

    def intervals(self, draws: Draws) -> dict[str, dict[str, Any] | None]:
        """Every number's interval as the report has it."""
        fitted = fit_points(draws, self.names, self.weights)
        both = errors_of(draws, self.linear)
        values, rows = draws.point @ self.linear, np.eye(2)
        found = {
            name: both.interval(float(value), row).as_dict()
            for name, value, row in zip(("difference", "order gap"), values, rows, strict=True)
        }
        lines: dict[str, dict[str, Any] | None] = dict.fromkeys(("slope", *OF_SQUARES))
        if not isinstance(fitted, str):
            slope = fitted.errors.interval(fitted.line.slope, fitted.line.slope_gradient)
            squares = [f(fitted.line, fitted.errors).as_dict() for f in (r2_interval, residual_interval)]
            lines = {"slope": slope.as_dict(), **dict(zip(OF_SQUARES, squares, strict=True))}
        others = fit_points(draws, self.names, self.weights, without=BOTH)
        height = height_above(draws, others, "m", self.own, MARGIN)
        return {**found, "persistence": ratio(draws, self.group), **lines, "height of both": height}


def covers(found: dict[str, Any], truth: float) -> bool:
    """Whether an interval, or Fieller's set, holds the truth."""
    whole = found.get("fieller", found)
    if whole["low"] is None:
        return whole.get("kind") == "whole line"
    inside = bool(whole["low"] <= truth <= whole["high"])
    return not inside if whole.get("kind") == "outside" else inside


def coverage(n_seeds: int, n_cases: int, noise: Noise, on_line: bool, n: int, seed: int) -> dict[str, Any]:
    """By number, the share of ``n`` studies whose interval, where there is one, holds the truth; ``undefined``."""
    truth = levels(on_line)
    runs = template(n_seeds, n_cases)
    measured = Measured(runs, truth)
    hits, known = dict.fromkeys(NUMBERS, 0), dict.fromkeys(NUMBERS, 0)
    for draws in studies(truth, runs, noise, n_cases, n, seed):
        for name, found in measured.intervals(draws).items():
            if found is not None and (found["low"] is not None or "fieller" in found):
                known[name] += 1
                hits[name] += covers(found, measured.truth[name])
    numbers = [name for name in NUMBERS if not (on_line and name in OF_SQUARES)]
    return {
        **{name: hits[name] / known[name] for name in numbers},
        "undefined": max(1 - known[name] / n for name in numbers),
    }


def conditions(seeds: Sequence[int]) -> Iterator[tuple[int, int, Noise, bool]]:
    """Seeds, cases, noise of training, on one line."""
    yield from product(seeds, CASES, NOISES, (True, False))


def table(rows: list[dict[str, Any]]) -> str:
    """The results in Markdown."""
    header = ["seeds", "cases", "training noise", "arms", *NUMBERS, "undefined"]
    lines = [header, ["---"] * len(header)]
    for row in rows:
        noise = f"{row['size']:g} {row['kind']}" if row["size"] else "0"
        place = "on a line" if row["on_line"] else "off it"
        numbers = [f"{row[name]:.3f}" if name in row else "–" for name in NUMBERS]
        lines.append([str(row["seeds"]), str(row["cases"]), noise, place, *numbers, f"{row['undefined']:.1%}"])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main(argv: list[str]) -> None:
    """Measure all conditions, or those of some numbers of seeds; what is measured anew replaces what was there."""
    parser = argparse.ArgumentParser(prog="python -m bench coverage", description=__doc__)
    parser.add_argument("--studies", type=int, default=2_000, help="simulated studies for each condition")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS, help="numbers of seeds to measure")
    options = parser.parse_args(argv)
    rows = json.loads(RESULTS.read_text("utf-8")) if RESULTS.is_file() else []
    for n_seeds, n_cases, noise, on_line in conditions(options.seeds):
        what = {"seeds": n_seeds, "cases": n_cases, "size": noise.size, "kind": noise.kind, "on_line": on_line}
        found = coverage(n_seeds, n_cases, noise, on_line, options.studies, seed=zlib.crc32(str(what).encode()))
        rows = [row for row in rows if any(row[key] != value for key, value in what.items())]
        rows.append({**what, **found, "studies": options.studies})
        rows.sort(key=lambda row: [row[key] for key in what])
        RESULTS.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
        print(what, {name: round(value, 3) for name, value in found.items()}, flush=True)
    PAGE.write_text(between(PAGE.read_text("utf-8"), MARK, table(rows)), encoding="utf-8")
