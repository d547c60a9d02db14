"""Tables of the page, from the summary: which columns, in what words and with how many digits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from persistence_pipeline.orderings import label
from persistence_pipeline.published.pairs import CLEAN
from persistence_pipeline.records import METRICS
from persistence_pipeline.report.kit.tables import Column, Table, make_table
from persistence_pipeline.report.kit.text import DASH, Interval, bounds_text, interval_text, number
from persistence_pipeline.report.published import FRONTIER, PERSISTENCE

Rows = Sequence[Mapping[str, Any]]
SHOWN = 200
"""Rows of the quarantine table that the page shows; the Parquet table holds all."""


def words(value: Any) -> str:
    """A name in words; orderings with room around their arrow."""
    return DASH if value in (None, "") else label(str(value)).replace("_", " ").replace("|", ", ")


def pool(value: Any) -> str:
    """Table of the source trajectories that pairs are made of."""
    return "without fabricated observations" if value == CLEAN else words(value)


def with_bounds(interval: Interval | None, spec: str = ".3f") -> str:
    """An estimate and its interval; ``undefined`` for a ratio without a gain to divide by."""
    if interval and interval.get("estimate") is None:
        return "undefined"
    undefined = interval and not interval.get("defined", True)
    return interval_text(interval, spec) + " (undefined)" * bool(undefined)


AUDITS: Mapping[str, Sequence[Column]] = {
    "fabricated": (
        ("set", "set", words),
        ("ordering", "trained for", words),
        ("n", "trajectories", ","),
        ("fabricated", "fabricated observation", ".1%"),
        ("fabricated_wide", "… or with Markdown around it", ".1%"),
        ("zero_calls", "no executed call", ".1%"),
    ),
    "kinds": (
        ("set", "set", words),
        ("ordering", "trained for", words),
        ("kind", "trajectory has", words),
        ("n", "judged", ","),
        ("share", "share", ".1%"),
        ("safety", "safety", ".2f"),
        ("helpfulness", "helpfulness", ".2f"),
        ("best_of_both", "at 3 and 3", ".1%"),
    ),
    "best_of_both": (
        ("set", "set", words),
        ("evaluator", "evaluator", words),
        ("n", "judged", ","),
        ("n_best", "at 3 and 3", ","),
        ("best_of_both", "share", ".1%"),
        ("zero_calls_among_best", "of these: no executed call", ".1%"),
        ("fabricated_among_best", "fabricated observation", ".1%"),
        ("fabricated_wide_among_best", "… or with Markdown", ".1%"),
    ),
    "stops": (
        ("set", "set", words),
        ("source", "model", words),
        ("ordering", "trained for", words),
        ("n", "rows", ","),
        ("token_limit", "token limit", ".1%"),
        ("out_of_memory", "out of memory", ".1%"),
        ("safety_at_limit", "safety, at limit", ".2f"),
        ("safety_otherwise", "otherwise", ".2f"),
        ("helpfulness_at_limit", "helpfulness, at limit", ".2f"),
        ("helpfulness_otherwise", "otherwise", ".2f"),
    ),
    "pairs": (
        ("evaluator", "evaluator", words),
        ("pool", "trajectories", pool),
        ("set", "of", words),
        ("n", "n", ","),
        ("chosen_safety", "safety: chosen", ".2f"),
        ("rejected_safety", "rejected", ".2f"),
        ("chosen_helpfulness", "helpfulness: chosen", ".2f"),
        ("rejected_helpfulness", "rejected", ".2f"),
        ("other_metric_gain", "gain in the other metric", ".2f"),
        ("conflict_share", "in conflict", ".1%"),
        ("best_of_both", "chosen at 3 and 3", ".1%"),
    ),
    "observations_in_loss": (
        ("evaluator", "evaluator", words),
        ("pool", "trajectories", pool),
        ("objective", "pairs for", words),
        ("mean_observation_share", "observations: mean share of a chosen side", ".1%"),
        ("observation_share", "of all chosen characters together", ".1%"),
    ),
    "agreement": (
        ("part", "trajectories", words),
        ("first", "first", words),
        ("second", "second", words),
        ("metric", "metric", words),
        ("n", "n", ","),
        ("kappa", "kappa", ".2f"),
        ("bias", "bias, first minus second", ".2f"),
    ),
    "quarantine": (
        ("kind", "kind", words),
        ("n_faults", "faults", ","),
        ("n_trajectories", "trajectories", ","),
    ),
}
INCOMPLETE: Sequence[Column] = (
    ("set", "set", words),
    ("source", "model", words),
    ("ordering", "trained for", words),
    ("beta", "beta", words),
    ("seed", "seed", str),
    ("evaluator", "evaluator", words),
    ("n_cases", "test cases read", ","),
)
SET_ASIDE: Sequence[Column] = (
    ("kind", "kind", words),
    ("file", "file", str),
    ("line", "line", "d"),
    ("detail", "what is wrong", str),
    ("n_trajectories", "trajectories", ","),
)


def build_tables(summary: Mapping[str, Any], quarantine: Rows) -> dict[str, Table]:
    """Every table of the page by name; those of an evaluation set end with its name."""
    audits = summary["audits"]
    tables = {name: make_table(audits[name], columns) for name, columns in AUDITS.items()}
    tables["kinds"] = make_table(
        [r for r in audits["kinds"] if r["ordering"] in ("all", "source")], AUDITS["kinds"]
    )
    tables["set_aside"] = make_table(quarantine[:SHOWN], SET_ASIDE)
    tables["incomplete"] = make_table(summary["run"]["incomplete_runs"], INCOMPLETE)
    tables["pair_counts"] = _pair_counts(summary["pairs"])
    for name, lines in summary["frontier"].items():
        tables[f"frontier_{name}"] = _frontier(lines, audits["single_runs"][name], name)
        tables[f"persistence_{name}"] = _persistence(summary["persistence"][name], name)
        tables[f"rivals_{name}"] = _rivals(audits["rivals"][name])
        tables[f"sensitivity_{name}"] = _sensitivity(audits["sensitivity"]["rows"], name)
    return tables


def by_beta(entries: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Entries by beta, the largest (the published default) first."""
    return sorted(entries.items(), key=lambda item: -float(item[0]))


def distinct(entries: Mapping[str, Any]) -> dict[str, Any]:
    """Entries without those that repeat an earlier one: with one model, its average is the average."""
    first: dict[str, Any] = {}
    for key, entry in entries.items():
        if entry not in first.values():
            first[key] = entry
    return first


def _frontier(lines: Mapping[str, Any], single: Mapping[str, Any], name: str) -> Table:
    keys = ("r2", "slope", "intercept")
    rows = []
    for key, line in {**distinct(lines), "single runs, before averaging": single}.items():
        cells = [
            interval_text({**(line.get(f"{k}_interval") or {}), "estimate": line.get(k)}, ".3f") for k in keys[1:]
        ]
        without = interval_text(line.get("r2_interval"), ".3f")
        cells = [number(line.get("r2"), ".3f"), without, *cells, *_corrected(line.get("line") or {})]
        rows.append([words(key), str(line["n"]), *cells, number(line.get("p"), ".1e"), line.get("undefined", "")])
    if name == "match":
        published = [number(FRONTIER[k], ".4f") for k in keys]
        rows.append(
            [
                "published data, three models",
                str(FRONTIER["n"]),
                published[0],
                "",
                *published[1:],
                "",
                "",
                "",
                DASH,
                "",
            ]
        )
    header = ["points of", "n", "R²", "R² without errors", "slope", "intercept", "slope, errors in both axes"]
    return [*header, "off the line, SD", "lack of fit, p", "p", "note"], rows


def _corrected(line: Mapping[str, Any]) -> list[str]:
    """Slope, standard deviation off it and lack of fit of the line with errors in both axes."""
    if "slope" not in line:
        return [DASH] * 3
    numbers = [interval_text(line[key], ".3f") for key in ("slope", "residual_sd")]
    return [*numbers, number(line["lack_of_fit"]["p"], ".2g")]


def _persistence(persistence: Mapping[str, Any], name: str) -> Table:
    rows = []
    for beta, entries in by_beta(persistence):
        for key, entry in distinct(entries).items():
            for metric, ratio in entry.items():
                if ratio is not None:
                    rows.append([beta, words(key), metric, *_both_schemes(ratio)])
        if name == "match":
            printed = PERSISTENCE.get(float(beta), {})
            rows += [
                [beta, "published data, three models", metric, f"{value:.3f}", "", "", "", "", "", ""]
                for metric, value in printed.items()
            ]
    header = ["beta", "average over", "metric", "persistence", "τ, I²", "interval", "published scheme"]
    return [*header, "width / ours", "dropped, incomplete draws", "note"], rows


def _both_schemes(ratio: Mapping[str, Any]) -> list[str]:
    other = ratio["published_interval"]
    return [
        with_bounds(ratio),
        f"{number(ratio.get('tau'))}, {number(ratio.get('i2'), '.0%')}",
        ratio["kind"],
        bounds_text(other, ".3f") or DASH,
        number(width_ratio(ratio)),
        f"{other['n_dropped']:,}, {other['n_partial']:,}",
        ratio["reason"],
    ]


def width_ratio(ratio: Mapping[str, Any]) -> float | None:
    """Width of the published scheme's interval against ours; None where one of them is undefined."""
    other = ratio["published_interval"]
    if ratio["low"] is None or other["low"] is None or ratio["high"] == ratio["low"]:
        return None
    return float((other["high"] - other["low"]) / (ratio["high"] - ratio["low"]))


def _rivals(rows: Rows) -> Table:
    lines = []
    for beta, _ in by_beta(dict.fromkeys(row["beta"] for row in rows)):
        named = {row["of"]: {k: v for k, v in row.items() if k != "of"} for row in rows if row["beta"] == beta}
        for name, row in distinct(named).items():
            for metric in METRICS:
                cells = [with_bounds(row[metric][k]) for k in ("persistence", "added", "difference")]
                moves = [with_bounds(row[metric][k], ".2f") for k in ("gain", "side_effect")]
                gap = row["order"][metric]
                spread = f"{number(gap['tau'])}, {number(gap['i2'], '.0%')}"
                last = [with_bounds(gap, ".2f"), spread, with_bounds(sum_of_both(row))]
                lines.append([beta, words(name), metric, *cells, *moves, *last])
    header = ["beta", "average over", "metric", "persistence", "by addition", "difference"]
    return [*header, "own stage alone", "other stage alone", "S > H minus H > S", "τ, I²", "sum of both"], lines


def sum_of_both(row: Mapping[str, Any]) -> dict[str, float | None]:
    """Persistence of safety plus that of helpfulness, from what is over one."""
    over = row["order_excess"]
    return {key: None if over[key] is None else over[key] + 1 for key in ("estimate", "low", "high")}


def betas_of(rows: Rows) -> list[str]:
    """Betas that the sensitivity table has a persistence of, the largest first."""
    prefix = "safety_persistence_"
    betas = {key.removeprefix(prefix) for row in rows for key in row if key.startswith(prefix)}
    return sorted((beta for beta in betas if not beta.endswith(("low", "high"))), key=float, reverse=True)


def _sensitivity(rows: Rows, name: str) -> Table:
    mine = [row for row in rows if row["set"] == name]
    keys = {"r2": "R²", "slope": "slope", "intercept": "intercept"} | {
        f"{metric}_persistence_{beta}": f"{metric} persists, beta {beta}"
        for beta in betas_of(mine)
        for metric in METRICS
    }
    lines = []
    for row in mine:
        cells = [with_bounds(interval_of(row, k)) for k in keys]
        out = f"{row['n_excluded']:,} ({row['excluded_share']:.1%})"
        sizes = [number(row.get(k), ",") for k in ("n_runs", "smallest_run", "n_undefined")]
        lines.append([row["without"], out, *sizes, *cells, row.get("undefined") or ""])
    header = ["rows without", "left out", "runs", "rows of the smallest", "draws undefined"]
    return [*header, *keys.values(), "note"], lines


def interval_of(row: Mapping[str, Any], key: str) -> dict[str, Any]:
    """A number of the sensitivity table; one without an interval is not defined."""
    low = row.get(f"{key}_low")
    return {"estimate": row.get(key), "low": low, "high": row.get(f"{key}_high"), "defined": low is not None}


def _pair_counts(pairs: Mapping[str, Any]) -> Table:
    rows = []
    for evaluator, objectives in pairs.items():
        for objective, entry in objectives.items():
            for name, counted in (("every", entry), (pool(CLEAN), entry[CLEAN])):
                train = [f"{size['n_pairs']:,}" for size in counted["train"].values()]
                sizes = [f"{counted[size]:,}" for size in ("n_pairs", "n_cases")]
                rows.append([evaluator, objective, name, *sizes, *train])
    seeds = next((list(e["train"]) for o in pairs.values() for e in o.values()), [])
    header = ["evaluator", "pairs for", "trajectories", "pairs", "cases"]
    return [*header, *(f"on seed {seed}'s train cases" for seed in seeds)], rows
