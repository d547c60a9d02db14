"""Tables of the page, from the summary: which columns, in what words and with how many digits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from persistence_pipeline.orderings import SOURCE, label
from persistence_pipeline.published import links
from persistence_pipeline.published.audits import ALL
from persistence_pipeline.published.pairs import CLEAN, EVERY
from persistence_pipeline.records import METRICS
from persistence_pipeline.report.kit.tables import Column, Lead, Table, make_table
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


def or_nothing(text: str | None) -> str:
    """A note, where there is one."""
    return text or ""


THREE, TWO = partial(interval_text, spec=".3f"), partial(with_bounds, spec=".2f")
SET_ASIDE_ANCHOR = "set-aside"
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


LEADS: Mapping[str, Lead] = {
    "fabricated": links.once,
    "kinds": links.counted,
    "best_of_both": links.counted,
    "stops": links.trained,
    "pairs": links.candidates,
    "observations_in_loss": links.candidates,
    "agreement": links.judged_twice,
    "quarantine": lambda row, key: f"#{SET_ASIDE_ANCHOR}",
}
"""Where the numbers of an audit lead."""


def build_tables(summary: Mapping[str, Any], quarantine: Rows) -> dict[str, Table]:
    """Every table of the page by name; those of an evaluation set end with its name."""
    audits = summary["audits"]
    shown = {**audits, "kinds": [row for row in audits["kinds"] if row["ordering"] in (ALL, SOURCE)]}
    tables = {name: make_table(shown[name], columns, LEADS[name]) for name, columns in AUDITS.items()}
    tables["set_aside"] = make_table(quarantine[:SHOWN], SET_ASIDE)
    tables["incomplete"] = make_table(summary["run"]["incomplete_runs"], INCOMPLETE, links.rows_of_run)
    tables["pair_counts"] = _pair_counts(summary["pairs"])
    for name, lines in summary["frontier"].items():
        tables[f"frontier_{name}"] = _frontier(lines, audits["single_runs"][name], name)
        tables[f"persistence_{name}"] = _persistence(summary["persistence"][name], name)
        tables[f"rivals_{name}"] = _rivals(audits["rivals"][name], name)
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


FRONTIERS: Sequence[Column] = (
    ("of", "points of", words),
    ("n", "n", str),
    ("r2", "R²", ".3f"),
    ("without", "R² without errors", THREE),
    ("slope", "slope", THREE),
    ("intercept", "intercept", THREE),
    ("corrected", "slope, errors in both axes", THREE),
    ("off", "off the line, SD", THREE),
    ("lack_of_fit", "lack of fit, p", ".2g"),
    ("p", "p", ".1e"),
    ("undefined", "note", or_nothing),
)
PUBLISHED = "published data, three models"


def _frontier(lines: Mapping[str, Any], single: Mapping[str, Any], name: str) -> Table:
    rows = []
    for key, line in {**distinct(lines), "single runs, before averaging": single}.items():
        found = line.get("line") or {}
        own = {k: {**(line.get(f"{k}_interval") or {}), "estimate": line.get(k)} for k in ("slope", "intercept")}
        further = {"without": line.get("r2_interval"), "corrected": found.get("slope")}
        further |= {"off": found.get("residual_sd"), "lack_of_fit": (found.get("lack_of_fit") or {}).get("p")}
        rows.append({**line, **own, **further, "of": key, "place": {"set": name, **links.place(key, lines)}})
    table = make_table(rows, FRONTIERS, lambda row, key: links.trained(row["place"], key))
    if name == "match":
        numbers = {key: number(FRONTIER[key], ".4f") for key in ("r2", "slope", "intercept")}
        table[1].append(
            _published_row(FRONTIERS, {"of": PUBLISHED, "n": str(FRONTIER["n"]), "p": DASH, **numbers})
        )
    return table


def _published_row(columns: Sequence[Column], known: Mapping[str, str]) -> list[str]:
    """A row of what is known of the whole data."""
    return [known.get(key, "") for key, _, _ in columns]


PERSISTENCES: Sequence[Column] = (
    ("beta", "beta", str),
    ("of", "average over", words),
    ("metric", "metric", str),
    ("ratio", "persistence", with_bounds),
    ("spread", "τ, I²", str),
    ("kind", "interval", str),
    ("published", "published scheme", str),
    ("width", "width / ours", ".2f"),
    ("draws", "dropped, incomplete draws", str),
    ("reason", "note", or_nothing),
)


def _persistence(persistence: Mapping[str, Any], name: str) -> Table:
    rows: list[list[str]] = []
    for beta, entries in by_beta(persistence):
        found = [
            {
                **_both_schemes(ratio),
                "beta": beta,
                "of": key,
                "metric": metric,
                "place": place_at(name, beta, key, entries),
            }
            for key, entry in distinct(entries).items()
            for metric, ratio in entry.items()
            if ratio is not None
        ]
        rows += make_table(found, PERSISTENCES, lambda row, _: links.surviving(row["place"], row["metric"]))[1]
        printed = PERSISTENCE.get(float(beta), {}) if name == "match" else {}
        for metric, value in printed.items():
            known = {"beta": beta, "of": PUBLISHED, "metric": metric, "ratio": f"{value:.3f}"}
            rows.append(_published_row(PERSISTENCES, known))
    return [header for _, header, _ in PERSISTENCES], rows


def place_at(name: str, beta: str, key: str, known: Iterable[str]) -> dict[str, Any]:
    """The agents of a set at a beta that an average is over."""
    return {"set": name, "beta": float(beta), **links.place(key, known)}


def _both_schemes(ratio: Mapping[str, Any]) -> dict[str, Any]:
    other = ratio["published_interval"]
    return {
        "ratio": ratio,
        "spread": _spread(ratio),
        "kind": ratio["kind"],
        "published": bounds_text(other, ".3f") or DASH,
        "width": width_ratio(ratio),
        "draws": f"{other['n_dropped']:,}, {other['n_partial']:,}",
        "reason": ratio["reason"],
    }


def _spread(average: Mapping[str, Any]) -> str:
    """τ and I² of an average."""
    return f"{number(average.get('tau'))}, {number(average.get('i2'), '.0%')}"


def width_ratio(ratio: Mapping[str, Any]) -> float | None:
    """Width of the published scheme's interval against ours; None where one of them is undefined."""
    other = ratio["published_interval"]
    if ratio["low"] is None or other["low"] is None or ratio["high"] == ratio["low"]:
        return None
    return float((other["high"] - other["low"]) / (ratio["high"] - ratio["low"]))


RIVALS: Sequence[Column] = (
    ("beta", "beta", str),
    ("of", "average over", words),
    ("metric", "metric", str),
    ("persistence", "persistence", with_bounds),
    ("added", "by addition", with_bounds),
    ("difference", "difference", with_bounds),
    ("gain", "own stage alone", TWO),
    ("side_effect", "other stage alone", TWO),
    ("gap", "S > H minus H > S", TWO),
    ("spread", "τ, I²", str),
    ("sum", "sum of both", with_bounds),
)


def _rivals(rows: Rows, name: str) -> Table:
    found = []
    for beta, _ in by_beta(dict.fromkeys(row["beta"] for row in rows)):
        named = {row["of"]: {k: v for k, v in row.items() if k != "of"} for row in rows if row["beta"] == beta}
        for of, row in distinct(named).items():
            for metric in METRICS:
                gap = row["order"][metric]
                further = {"gap": gap, "spread": _spread(gap), "sum": sum_of_both(row), "metric": metric, "of": of}
                found.append({**row[metric], **further, "beta": beta, "place": place_at(name, beta, of, named)})
    return make_table(found, RIVALS, _rival)


def _rival(row: Mapping[str, Any], key: str) -> str:
    if key in ("gap", "spread"):
        return links.orders(row["place"], row["metric"])
    if key in ("gain", "side_effect"):
        return links.stage(row["place"], key, row["metric"])
    return links.surviving(row["place"], row["metric"])


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
    columns: list[Column] = [
        ("without", "rows without", str),
        ("n_excluded", "left out", str),
        *((key, text, ",") for key, text in SIZES.items()),
        *((key, text, with_bounds) for key, text in keys.items()),
        ("undefined", "note", or_nothing),
    ]
    shown = [
        {
            **row,
            **{key: interval_of(row, key) for key in keys},
            "n_excluded": f"{row['n_excluded']:,} ({row['excluded_share']:.1%})",
        }
        for row in mine
    ]
    return make_table(shown, columns, links.without)


SIZES = {"n_runs": "runs", "smallest_run": "rows of the smallest", "n_undefined": "draws undefined"}


def interval_of(row: Mapping[str, Any], key: str) -> dict[str, Any]:
    """A number of the sensitivity table; one without an interval is not defined."""
    low = row.get(f"{key}_low")
    return {"estimate": row.get(key), "low": low, "high": row.get(f"{key}_high"), "defined": low is not None}


def _pair_counts(pairs: Mapping[str, Any]) -> Table:
    rows = [
        {
            **counted,
            **{f"train_{seed}": size["n_pairs"] for seed, size in counted["train"].items()},
            "evaluator": evaluator,
            "objective": objective,
            "pool": name,
        }
        for evaluator, objectives in pairs.items()
        for objective, entry in objectives.items()
        for name, counted in ((EVERY, entry), (CLEAN, entry[CLEAN]))
    ]
    seeds = list(rows[0]["train"]) if rows else []
    columns: list[Column] = [
        ("evaluator", "evaluator", str),
        ("objective", "pairs for", str),
        ("pool", "trajectories", pool),
        ("n_pairs", "pairs", ","),
        ("n_cases", "cases", ","),
        *((f"train_{seed}", f"on seed {seed}'s train cases", ",") for seed in seeds),
    ]
    return make_table(rows, columns, links.candidates)
