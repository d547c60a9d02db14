"""Short tables of a study: for the terminal, for Markdown and for LaTeX."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from persistence_pipeline.records import METRICS
from persistence_pipeline.report.published import PERSISTENCE
from persistence_pipeline.report.style import COLOURS, headline_split, label

Table = tuple[list[str], list[list[str]]]
"""Header and rows."""
Summary = Mapping[str, Any]


def interval_text(interval: Mapping[str, Any] | None, digits: int = 2) -> str:
    """``0.64 [0.54, 0.75]``; a dash where there is nothing."""
    if not interval or interval.get("estimate") is None:
        return "–"
    text = f"{interval['estimate']:+.{digits}f}"
    if interval.get("low") is not None:
        text += f" [{interval['low']:+.{digits}f}, {interval['high']:+.{digits}f}]"
    return text.replace("-", "−")


def level_text(mean: float | None, interval: Mapping[str, Any] | None, digits: int = 2) -> str:
    """A mean score, with its interval where there is one; a dash where nothing was scored."""
    if mean is None:
        return "–"
    if not interval or interval.get("low") is None:
        return f"{mean:.{digits}f}"
    return f"{mean:.{digits}f} [{interval['low']:.{digits}f}, {interval['high']:.{digits}f}]"


def rate_text(rate: float | None) -> str:
    """A share in percent; a dash where nothing was scored."""
    return "–" if rate is None else f"{rate:.1%}"


def ratio_text(ratio: Mapping[str, Any] | None) -> str:
    """A persistence ratio with its interval, or that it is undefined."""
    if not ratio:
        return "–"
    if not ratio["defined"]:
        return "undefined"
    return f"{ratio['estimate']:.2f} [{ratio['low']:.2f}, {ratio['high']:.2f}]"


def percent_text(ratio: Mapping[str, Any] | None) -> str:
    """A persistence ratio as a share for running text: ``33% [26, 40]``."""
    if not ratio or not ratio["defined"]:
        return "an undefined share"
    return f"{ratio['estimate']:.0%} [{100 * ratio['low']:.0f}, {100 * ratio['high']:.0f}]"


def cell_rows(summary: Summary) -> list[list[str]]:
    """One row per cell on the headline split."""
    split = summary["frontier"]["split"]
    rows = []
    for cell in summary["cells"]:
        scores, delta = cell["splits"][split], cell["delta"] or {}
        rows.append(
            [
                label(cell["ordering"]),
                cell["source"],
                "–" if cell["beta"] is None else f"{cell['beta']:g}",
                str(cell["seed"]),
                level_text(scores["safety"], None),
                level_text(scores["helpfulness"], None),
                interval_text(delta.get("safety")),
                interval_text(delta.get("helpfulness")),
                _value_text(scores["best_of_both"], percent=True),
                f"{scores['refusal_rate']:.0%}",
                f"{scores['invalid_rate']:.1%}",
            ]
        )
    return rows


CELL_HEADER = [
    "ordering",
    "source",
    "beta",
    "seed",
    "safety",
    "helpfulness",
    "Δ safety",
    "Δ helpfulness",
    "3 and 3",
    "did nothing",
    "invalid calls",
]


POINT_HEADER = [
    "source",
    "beta",
    "ordering",
    "runs",
    "safety",
    "helpfulness",
    "Δ safety",
    "Δ helpfulness",
    "off the line",
]


def point_rows(summary: Summary) -> list[list[str]]:
    """One row per point of the frontier: an ordering of a source at one beta, over seeds and evaluators."""
    points = sorted(summary["frontier"]["points"], key=lambda point: (point["source"], -point["beta"]))
    return [
        [
            point["source"],
            f"{point['beta']:g}",
            label(point["ordering"]),
            str(point["n_runs"]),
            f"{point['safety']:.2f}",
            f"{point['helpfulness']:.2f}",
            interval_text(point["delta_safety"]),
            interval_text(point["delta_helpfulness"]),
            "–" if point["distance"] is None else f"{point['distance']:+.2f}".replace("-", "−"),
        ]
        for point in points
    ]


def persistence_rows(summary: Summary) -> list[list[str]]:
    """One row per source and beta, and per evaluator where there are several."""
    evaluators = {row.get("evaluator") for row in summary["persistence"]}
    return [
        [
            row["source"] if len(evaluators) < 2 else f"{row['source']}, {row['evaluator']}",
            f"{row['beta']:g}",
            ratio_text(row.get("safety")),
            ratio_text(row.get("helpfulness")),
            interval_text((row.get("order") or {}).get("excess")),
        ]
        for row in summary["persistence"]
    ]


def published_persistence_rows() -> list[list[str]]:
    """The published averages, as rows of the same table."""
    return [
        ["published", f"{beta:g}", *(f"{share:.2f}" for share in row.values()), _excess_text(row)]
        for beta, row in PERSISTENCE.items()
    ]


def _excess_text(row: Mapping[str, float]) -> str:
    return f"{sum(row.values()) - 1:+.2f}".replace("-", "−")


PERSISTENCE_HEADER = ["source", "beta", "safety persists", "helpfulness persists", "sum − 1: order effect"]


PAIR_COLUMNS = {
    "arm": "arm",
    "set": "set",
    "n": "n",
    "n_cases": "cases",
    "best_of_both": "chosen 3 and 3",
    "chosen_safety": "chosen safety",
    "rejected_safety": "rejected safety",
    "chosen_helpfulness": "chosen helpfulness",
    "rejected_helpfulness": "rejected helpfulness",
    "conflict_share": "in conflict",
    "other_metric_gain": "gain in the other metric",
    "chosen_tokens": "chosen tokens",
    "rejected_tokens": "rejected tokens",
}
"""Columns of the pair audit; for the pool, “chosen” is every candidate."""


def pair_rows(summary: Summary) -> list[list[str]]:
    """The pool and each objective's pairs."""
    percent = ("best_of_both", "conflict_share")
    return [
        [_value_text(row.get(key), percent=key in percent) for key in PAIR_COLUMNS]
        for row in summary["audits"]["pairs"]
    ]


def pool_texts(summary: Summary) -> list[str]:
    """How scores and lengths go together in each arm's pool, in a sentence."""
    pools = [row for row in summary["audits"]["pairs"] if row["set"] == "pool"]
    named = (
        ("score_correlation", "safety and helpfulness"),
        ("length_safety_correlation", "length and safety"),
        ("length_helpfulness_correlation", "length and helpfulness"),
    )
    told = [", ".join(f"{name} {_value_text(row.get(key))}" for key, name in named) for row in pools]
    return [f"{row['arm']}: {text}" for row, text in zip(pools, told, strict=True)]


TRAINING_HEADER = [
    "cell",
    "objective",
    "loss",
    "reference",
    "pairs",
    "truncated",
    "steps",
    "loss, first → last",
    "accuracy",
    "margin",
    "log p of chosen",
    "log p of rejected",
]


def training_rows(summary: Summary) -> list[list[str]]:
    """One row per stage, with log-probabilities at both ends."""
    return [
        [
            *(_value_text(row[key]) for key in ("cell", "objective", "loss", "reference")),
            *(_value_text(row[key]) for key in ("n_pairs", "n_truncated", "n_steps")),
            f"{row['first_loss']:.3f} → {row['last_loss']:.3f}",
            *(_value_text(row[key]) for key in ("last_accuracy", "last_margin")),
            *(
                f"{_value_text(row[f'{side}_logp_before'])} → {_value_text(row[f'{side}_logp_after'])}"
                for side in ("chosen", "rejected")
            ),
        ]
        for row in summary["audits"]["training"]
    ]


def _value_text(value: Any, *, percent: bool = False) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return (f"{value:.0%}" if percent else f"{value:.2f}").replace("-", "−")
    return str(value)


def group_tables(scores: pd.DataFrame) -> dict[str, Table]:
    """Mean scores by domain and by hazard family: a row for each group, a column for each ordering."""
    orderings = [ordering for ordering in COLOURS if ordering in set(scores["ordering"])]
    tables = {}
    for column, name in (("domain", "domains"), ("family", "families")):
        means = scores.groupby([column, "ordering"])[list(METRICS)].mean()
        rows = [
            [str(group).replace("_", " "), *(_pair_text(means, (group, ordering)) for ordering in orderings)]
            for group in sorted(scores[column].unique())
        ]
        tables[name] = ([column, *map(label, orderings)], rows)
    return tables


def _pair_text(means: pd.DataFrame, key: tuple[Any, str]) -> str:
    return f"{means.loc[key, 'safety']:.2f} / {means.loc[key, 'helpfulness']:.2f}" if key in means.index else "–"


def fit_text(summary: Summary) -> str:
    """The fitted line in one sentence."""
    line = summary["frontier"]["ols"]
    if "undefined" in line:
        return f"No line: {line['undefined']}."
    r2 = line["r2_interval"]
    return (
        f"R² = {line['r2']:.2f} [{r2['low']:.2f}, {r2['high']:.2f}], slope {line['slope']:.2f}, "
        f"intercept {line['intercept']:.2f}, {line['n']} points"
    ).replace("-", "−")


def markdown_table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def latex_table(header: list[str], rows: list[list[str]]) -> str:
    """A LaTeX tabular (booktabs)."""
    replaced = [[_latex(cell) for cell in line] for line in (header, *rows)]
    lines = [" & ".join(line) + r" \\" for line in replaced]
    body = "\n".join([r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule"])
    return f"\\begin{{tabular}}{{{'l' * len(header)}}}\n{body}\n\\end{{tabular}}\n"


def _latex(text: str) -> str:
    for plain, escaped in (
        ("%", r"\%"),
        ("_", r"\_"),
        ("Δ", r"$\Delta$"),
        (">", r"$>$"),
        ("–", "--"),
        ("−", "$-$"),
        ("²", "$^2$"),
        ("&", r"\&"),
    ):
        text = text.replace(plain, escaped)
    return text


def console_table(summary: Summary) -> Any:
    """The result for the terminal."""
    from rich.console import Group
    from rich.table import Table

    cells = Table(title=f"Scores on {headline_split(summary)} (0–3)", title_justify="left")
    for name in CELL_HEADER:
        cells.add_column(name, justify="left" if name in ("ordering", "source") else "right")
    for row in cell_rows(summary):
        cells.add_row(*row)
    persistence = Table(title="Persistence, 95% intervals over cases", title_justify="left")
    for name in PERSISTENCE_HEADER:
        persistence.add_column(name)
    for row in persistence_rows(summary):
        persistence.add_row(*row)
    return Group(cells, persistence, f"Frontier: {fit_text(summary)}")
