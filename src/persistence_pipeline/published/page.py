"""The re-analysis as one self-contained HTML page, with the template style of the study's own report."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any

from persistence_pipeline.published.sensitivity import CAVEAT
from persistence_pipeline.report.published import FRONTIER, PERSISTENCE

Table = tuple[list[str], list[list[str]]]
SHOWN = 200
"""Rows of the quarantine table that the page shows; the Parquet table holds all."""


def render_page(
    summary: Mapping[str, Any], figures: Mapping[str, Any], quarantine: Sequence[Mapping[str, Any]]
) -> str:
    """The page.

    Args:
        summary: As in ``published/summary.json``.
        figures: Plotly figures by name, as made by ``figures.build_figures``.
        quarantine: What the import set aside, one mapping per fault.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from plotly.offline import get_plotlyjs

    environment = Environment(loader=PackageLoader(__package__), autoescape=True, undefined=StrictUndefined)
    style = files("persistence_pipeline.report") / "templates" / "report.css"
    return environment.get_template("published.html.jinja").render(
        summary=summary,
        sets=list(summary["frontier"]),
        answer=list(_answer(summary)),
        caveat=CAVEAT,
        tables=_tables(summary, quarantine),
        figures={name: _script_json(figure.to_json()) for name, figure in figures.items()},
        plotly=get_plotlyjs(),
        style=style.read_text("utf-8"),
    )


def _answer(summary: Mapping[str, Any]) -> Iterator[str]:
    name = "match" if "match" in summary["frontier"] else next(iter(summary["frontier"]))
    line = summary["frontier"][name]["all"]
    if "r2" in line:
        yield (
            f"{line['n']} trained configurations ({name}) lie near one line: R² {_of(line, 'r2')}, "
            f"slope {_of(line, 'slope')}. Before averaging over seeds and evaluators R² is "
            f"{_text(summary['audits']['single_runs'][name].get('r2'))}."
        )
    for beta, keys in sorted(summary["persistence"][name].items(), reverse=True):
        shares = [f"{metric} {_ratio(keys['average'][metric])}" for metric in ("safety", "helpfulness")]
        yield f"Of a gain at beta {beta}, the next stage leaves: {', '.join(shares)}."
    pool = summary["audits"]["fabricated"][0]
    best = summary["audits"]["best_of_both"][0]
    yield (
        f"{pool['fabricated']:.0%} of the source trajectories contain an observation that the agent invented, "
        f"{pool['zero_calls']:.0%} executed no call at all; of those scored 3 and 3, "
        f"{_percent(best['zero_calls_among_best'])} executed no call."
    )


def _of(line: Mapping[str, Any], key: str) -> str:
    bounds = line.get(f"{key}_interval")
    return _text(line[key]) if bounds is None else f"{_text(line[key])} {_bounds(bounds)}"


def _bounds(bounds: Mapping[str, Any]) -> str:
    return f"[{_text(bounds['low'])}, {_text(bounds['high'])}]"


def _ratio(ratio: Mapping[str, Any] | None) -> str:
    if ratio is None or ratio["estimate"] is None:
        return "undefined"
    return (
        f"{ratio['estimate']:.3f} {_bounds(ratio)}" if ratio["defined"] else f"{ratio['estimate']:.3f} (undefined)"
    )


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"


def _tables(summary: Mapping[str, Any], quarantine: Sequence[Mapping[str, Any]]) -> dict[str, Table]:
    audits = summary["audits"]
    tables = {
        name: _from_rows(audits[name])
        for name in ("fabricated", "best_of_both", "stops", "pairs", "observations_in_loss", "agreement")
    }
    tables["quarantine_counts"] = _from_rows(audits["quarantine"])
    tables["quarantine"] = _from_rows(quarantine[:SHOWN])
    tables["pair_counts"] = _pair_counts(summary["pairs"])
    for name, lines in summary["frontier"].items():
        tables[f"frontier_{name}"] = _frontier_rows(lines, summary["audits"]["single_runs"][name], name)
        tables[f"persistence_{name}"] = _persistence_rows(summary["persistence"][name], name)
        tables[f"sensitivity_{name}"] = _sensitivity_rows(audits["sensitivity"]["rows"], name)
    return tables


def _frontier_rows(lines: Mapping[str, Any], single: Mapping[str, Any], name: str) -> Table:
    keys = ("n", "r2", "slope", "intercept", "p")
    rows = []
    for key, line in {**lines, "single runs": single}.items():
        found = [_of(line, k) if k in line else "–" for k in keys[:-1]]
        p = line.get("p")
        rows.append([key, *found, "–" if p is None else f"{p:.2g}", line.get("undefined") or ""])
    if name == "match":
        rows.append(["printed by the paper's data (3 models)", *(_text(FRONTIER[k]) for k in keys[:-1]), "–", ""])
    return ["runs", "points", "R²", "slope", "intercept", "p", ""], rows


def _persistence_rows(persistence: Mapping[str, Any], name: str) -> Table:
    rows = []
    for beta, keys in persistence.items():
        for key, entry in keys.items():
            for metric, ratio in entry.items():
                if ratio is None:
                    continue
                other = ratio["published_interval"]
                kept = f"{ratio['n_undefined']} of {ratio['n_draws']}"
                dropped = f"{other['n_dropped']} dropped, {other['n_partial']} partial"
                rows.append([beta, key, metric, _ratio(ratio), kept, _bounds(other), dropped, ratio["reason"]])
        if name == "match" and float(beta) in PERSISTENCE:
            printed = PERSISTENCE[float(beta)]
            rows += [
                [beta, "published average (3 models)", m, f"{v:.3f}", "", "", "", ""] for m, v in printed.items()
            ]
    header = ["beta", "of", "metric", "persistence", "draws undefined", "published scheme", "its draws", ""]
    return header, rows


def _sensitivity_rows(rows: Sequence[Mapping[str, Any]], name: str) -> Table:
    mine = [{k: v for k, v in row.items() if k != "set"} for row in rows if row["set"] == name]
    shown = []
    for row in mine:
        bounded = {}
        for key, value in row.items():
            if not key.endswith(("_low", "_high")):
                low, high = row.get(f"{key}_low"), row.get(f"{key}_high")
                bounded[key] = _text(value) if low is None else f"{_text(value)} [{_text(low)}, {_text(high)}]"
        shown.append(bounded)
    return _from_rows(shown)


def _pair_counts(pairs: Mapping[str, Any]) -> Table:
    rows = []
    for evaluator, objectives in pairs.items():
        for objective, entry in objectives.items():
            for name, counted in (("every", entry), ("without fabricated", entry["without_fabricated"])):
                train = ", ".join(f"{seed}: {size['n_pairs']}" for seed, size in counted["train"].items())
                rows.append([evaluator, objective, name, str(counted["n_pairs"]), str(counted["n_cases"]), train])
    return ["evaluator", "objective", "trajectories", "pairs", "cases", "on train cases, by seed"], rows


def _from_rows(rows: Sequence[Mapping[str, Any]]) -> Table:
    header = list(dict.fromkeys(key for row in rows for key in row))
    return [name.replace("_", " ") for name in header], [[_text(row.get(key)) for key in header] for row in rows]


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.3f}"
    return str(value)


def _script_json(text: str) -> str:
    """JSON that is safe inside a script element."""
    return json.dumps(json.loads(text)).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
