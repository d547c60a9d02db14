"""Tables of the page, from the summary: which columns, in what words and with how many digits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from persistence_pipeline.published.pairs import CLEAN
from persistence_pipeline.records import METRICS
from persistence_pipeline.report.published import FRONTIER, PERSISTENCE
from persistence_pipeline.report.style import label

Rows = Sequence[Mapping[str, Any]]
Table = tuple[list[str], list[list[str]]]
Column = tuple[str, str, Callable[[Any], str]]
"""Key, header, and how a value is written."""
SHOWN = 200
"""Rows of the quarantine table that the page shows; the Parquet table holds all."""
DASH = "–"


def text(value: Any) -> str:
    """A word; orderings with room around their arrow."""
    return DASH if value in (None, "") else label(str(value)).replace("_", " ").replace("|", ", ")


def pool(value: Any) -> str:
    """Which of the source trajectories pairs are made of."""
    return "without fabricated observations" if value == CLEAN else text(value)


def number(value: Any) -> str:
    """Three digits after the point."""
    return DASH if value is None else f"{value:.3f}".replace("-", "−")


def points(value: Any) -> str:
    """A score, or a difference of scores."""
    return DASH if value is None else f"{value:.2f}".replace("-", "−")


def percent(value: Any) -> str:
    """A share, in percent with one digit."""
    return DASH if value is None else f"{value:.1%}"


def count(value: Any) -> str:
    """A whole number with separators."""
    return DASH if value is None else f"{value:,}"


def bounds(interval: Mapping[str, Any], write: Callable[[Any], str] = number) -> str:
    """``[low, high]``, or nothing."""
    return "" if interval.get("low") is None else f"[{write(interval['low'])}, {write(interval['high'])}]"


def with_bounds(interval: Mapping[str, Any] | None, write: Callable[[Any], str] = number) -> str:
    """An estimate and its interval; ``undefined`` for a ratio without a gain to divide by."""
    if not interval or interval.get("estimate") is None:
        return "undefined" if interval else DASH
    mark = "" if interval.get("defined", True) else " (undefined)"
    return f"{write(interval['estimate'])} {bounds(interval, write)}".rstrip() + mark


def table(rows: Iterable[Mapping[str, Any]], columns: Sequence[Column]) -> Table:
    """Rows under the headers of the columns."""
    return [header for _, header, _ in columns], [[write(row.get(k)) for k, _, write in columns] for row in rows]


AUDITS: Mapping[str, Sequence[Column]] = {
    "fabricated": (
        ("set", "set", text),
        ("ordering", "trained for", text),
        ("n", "trajectories", count),
        ("fabricated", "fabricated observation", percent),
        ("fabricated_wide", "… or with Markdown around it", percent),
        ("zero_calls", "no executed call", percent),
    ),
    "kinds": (
        ("set", "set", text),
        ("ordering", "trained for", text),
        ("kind", "trajectory has", text),
        ("n", "judged", count),
        ("share", "share", percent),
        ("safety", "safety", points),
        ("helpfulness", "helpfulness", points),
        ("best_of_both", "at 3 and 3", percent),
    ),
    "best_of_both": (
        ("set", "set", text),
        ("evaluator", "evaluator", text),
        ("n", "judged", count),
        ("n_best", "at 3 and 3", count),
        ("best_of_both", "share", percent),
        ("zero_calls_among_best", "of these: no executed call", percent),
        ("fabricated_among_best", "fabricated observation", percent),
        ("fabricated_wide_among_best", "… or with Markdown", percent),
    ),
    "stops": (
        ("set", "set", text),
        ("source", "model", text),
        ("ordering", "trained for", text),
        ("n", "rows", count),
        ("token_limit", "token limit", percent),
        ("out_of_memory", "out of memory", percent),
        ("safety_at_limit", "safety, at limit", points),
        ("safety_otherwise", "otherwise", points),
        ("helpfulness_at_limit", "helpfulness, at limit", points),
        ("helpfulness_otherwise", "otherwise", points),
    ),
    "pairs": (
        ("evaluator", "evaluator", text),
        ("pool", "trajectories", pool),
        ("set", "of", text),
        ("n", "n", count),
        ("chosen_safety", "safety: chosen", points),
        ("rejected_safety", "rejected", points),
        ("chosen_helpfulness", "helpfulness: chosen", points),
        ("rejected_helpfulness", "rejected", points),
        ("other_metric_gain", "gain in the other metric", points),
        ("conflict_share", "in conflict", percent),
        ("best_of_both", "chosen at 3 and 3", percent),
    ),
    "observations_in_loss": (
        ("evaluator", "evaluator", text),
        ("pool", "trajectories", pool),
        ("objective", "pairs for", text),
        ("mean_observation_share", "observations: mean share of a chosen side", percent),
        ("observation_share", "of all chosen characters together", percent),
    ),
    "agreement": (
        ("part", "trajectories", text),
        ("first", "first", text),
        ("second", "second", text),
        ("metric", "metric", text),
        ("n", "n", count),
        ("kappa", "kappa", points),
        ("bias", "bias, first minus second", points),
    ),
    "quarantine": (
        ("kind", "kind", text),
        ("n_faults", "faults", count),
        ("n_trajectories", "trajectories", count),
    ),
}
INCOMPLETE: Sequence[Column] = (
    ("set", "set", text),
    ("source", "model", text),
    ("ordering", "trained for", text),
    ("beta", "beta", text),
    ("seed", "seed", str),
    ("evaluator", "evaluator", text),
    ("n_cases", "test cases read", count),
)
SET_ASIDE: Sequence[Column] = (
    ("kind", "kind", text),
    ("file", "file", str),
    ("line", "line", lambda value: DASH if value is None else str(value)),
    ("detail", "what is wrong", str),
    ("n_trajectories", "trajectories", count),
)


def build_tables(summary: Mapping[str, Any], quarantine: Rows) -> dict[str, Table]:
    """Every table of the page by name; those of an evaluation set end with its name."""
    audits = summary["audits"]
    tables = {name: table(audits[name], columns) for name, columns in AUDITS.items()}
    tables["kinds"] = table([r for r in audits["kinds"] if r["ordering"] in ("all", "source")], AUDITS["kinds"])
    tables["set_aside"] = table(quarantine[:SHOWN], SET_ASIDE)
    tables["incomplete"] = table(summary["run"]["incomplete_runs"], INCOMPLETE)
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
    seen: list[Any] = []
    kept = {}
    for key, entry in entries.items():
        if entry not in seen:
            seen.append(entry)
            kept[key] = entry
    return kept


def _frontier(lines: Mapping[str, Any], single: Mapping[str, Any], name: str) -> Table:
    keys = ("r2", "slope", "intercept")
    rows = []
    for key, line in {**distinct(lines), "single runs, before averaging": single}.items():
        cells = [
            with_bounds({"estimate": line[k], **_edges(line.get(f"{k}_interval"))})
            if line.get(k) is not None
            else DASH
            for k in keys
        ]
        p = line.get("p")
        rows.append(
            [text(key), str(line["n"]), *cells, DASH if p is None else f"{p:.1e}", line.get("undefined", "")]
        )
    if name == "match":
        published = [f"{FRONTIER[k]:.4f}".replace("-", "−") for k in keys]
        rows.append(["published data, three models", str(FRONTIER["n"]), *published, DASH, ""])
    return ["points of", "n", "R²", "slope", "intercept", "p", "note"], rows


def _edges(interval: Mapping[str, Any] | None) -> dict[str, Any]:
    return {key: (interval or {}).get(key) for key in ("low", "high")}


def _persistence(persistence: Mapping[str, Any], name: str) -> Table:
    rows = []
    for beta, entries in by_beta(persistence):
        for key, entry in distinct(entries).items():
            for metric, ratio in entry.items():
                if ratio is not None:
                    rows.append([beta, text(key), metric, *_both_schemes(ratio)])
        if name == "match":
            printed = PERSISTENCE.get(float(beta), {})
            rows += [
                [beta, "published data, three models", metric, f"{value:.3f}", "", "", "", "", ""]
                for metric, value in printed.items()
            ]
    header = ["beta", "average over", "metric", "persistence", "draws undefined", "published scheme"]
    return [*header, "width / ours", "dropped, incomplete draws", "note"], rows


def _both_schemes(ratio: Mapping[str, Any]) -> list[str]:
    other = ratio["published_interval"]
    wider = width_ratio(ratio)
    return [
        with_bounds(ratio),
        f"{ratio['n_undefined']:,} of {ratio['n_draws']:,}",
        bounds(other) or DASH,
        DASH if wider is None else f"{wider:.2f}",
        f"{other['n_dropped']:,}, {other['n_partial']:,}",
        ratio["reason"],
    ]


def width_ratio(ratio: Mapping[str, Any]) -> float | None:
    """How wide the published scheme's interval is against ours; None where one of them is undefined."""
    other = ratio["published_interval"]
    if ratio["low"] is None or other["low"] is None or ratio["high"] == ratio["low"]:
        return None
    return float((other["high"] - other["low"]) / (ratio["high"] - ratio["low"]))


def _rivals(rows: Rows) -> Table:
    found = []
    for beta, _ in by_beta(dict.fromkeys(row["beta"] for row in rows)):
        named = {row["of"]: {k: v for k, v in row.items() if k != "of"} for row in rows if row["beta"] == beta}
        for name, row in distinct(named).items():
            for metric in METRICS:
                cells = [with_bounds(row[metric][k]) for k in ("persistence", "added", "difference")]
                moves = [with_bounds(row[metric][k], points) for k in ("gain", "side_effect")]
                total = {k: None if v is None else v + 1 for k, v in _sum(row["order_excess"]).items()}
                last = [with_bounds(row["order"][metric], points), with_bounds(total)]
                found.append([beta, text(name), metric, *cells, *moves, *last])
    header = ["beta", "average over", "metric", "persistence", "by addition", "difference"]
    return [*header, "own stage alone", "other stage alone", "S > H minus H > S", "sum of both"], found


def _sum(excess: Mapping[str, Any]) -> dict[str, Any]:
    return {key: excess[key] for key in ("estimate", "low", "high")}


def _sensitivity(rows: Rows, name: str) -> Table:
    mine = [row for row in rows if row["set"] == name]
    betas = sorted(
        {key.rpartition("_")[2] for row in mine for key in row if key.startswith("safety_persistence_")}
    )
    betas = [beta for beta in betas if beta not in ("low", "high")]
    keys = {"r2": "R²", "slope": "slope", "intercept": "intercept"} | {
        f"{metric}_persistence_{beta}": f"{metric} persists, beta {beta}"
        for beta in sorted(betas, key=float, reverse=True)
        for metric in METRICS
    }
    found = []
    for row in mine:
        cells = [with_bounds(_interval(row, k)) for k in keys]
        out = f"{row['n_excluded']:,} ({percent(row['excluded_share'])})"
        sizes = [count(row.get(k)) for k in ("n_runs", "smallest_run", "n_undefined")]
        found.append([row["without"], out, *sizes, *cells, row.get("undefined") or ""])
    return [
        "rows without",
        "left out",
        "runs",
        "rows of the smallest",
        "draws undefined",
        *keys.values(),
        "note",
    ], found


def _interval(row: Mapping[str, Any], key: str) -> dict[str, Any]:
    """A number of the sensitivity table; one without an interval is not defined."""
    found = {"estimate": row.get(key), "low": row.get(f"{key}_low"), "high": row.get(f"{key}_high")}
    return {**found, "defined": found["low"] is not None}


def _pair_counts(pairs: Mapping[str, Any]) -> Table:
    rows = []
    for evaluator, objectives in pairs.items():
        for objective, entry in objectives.items():
            for name, counted in (
                ("every", entry),
                (pool(CLEAN), entry[CLEAN]),
            ):
                train = [count(size["n_pairs"]) for size in counted["train"].values()]
                sizes = [count(counted["n_pairs"]), count(counted["n_cases"])]
                rows.append([evaluator, objective, name, *sizes, *train])
    seeds = next((list(e["train"]) for o in pairs.values() for e in o.values()), [])
    header = ["evaluator", "pairs for", "trajectories", "pairs", "cases"]
    return [*header, *(f"on seed {seed}'s train cases" for seed in seeds)], rows
