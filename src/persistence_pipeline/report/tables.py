"""Short tables of a study: for the terminal, for Markdown and for LaTeX."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from persistence_pipeline.report.style import SPLITS, label

Summary = Mapping[str, Any]


def interval_text(interval: Mapping[str, Any] | None, digits: int = 2) -> str:
    """``0.64 [0.54, 0.75]``; a dash where there is nothing."""
    if not interval or interval.get("estimate") is None:
        return "–"
    text = f"{interval['estimate']:+.{digits}f}"
    if interval.get("low") is None:
        return text
    return f"{text} [{interval['low']:+.{digits}f}, {interval['high']:+.{digits}f}]"


def level_text(mean: float | None, interval: Mapping[str, Any] | None, digits: int = 2) -> str:
    """A mean score, with its interval where there is one; a dash where nothing was scored."""
    if mean is None:
        return "–"
    if not interval or interval.get("low") is None:
        return f"{mean:.{digits}f}"
    return f"{mean:.{digits}f} [{interval['low']:.{digits}f}, {interval['high']:.{digits}f}]"


def ratio_text(ratio: Mapping[str, Any] | None) -> str:
    """A persistence ratio with its interval, or that it is undefined."""
    if not ratio:
        return "–"
    if not ratio["defined"]:
        return "undefined"
    return f"{ratio['estimate']:.2f} [{ratio['low']:.2f}, {ratio['high']:.2f}]"


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
                f"{scores['safety']:.2f}",
                f"{scores['helpfulness']:.2f}",
                interval_text(delta.get("safety")),
                interval_text(delta.get("helpfulness")),
                f"{scores['best_of_both']:.0%}",
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


def persistence_rows(summary: Summary) -> list[list[str]]:
    """One row per source and beta."""
    return [
        [
            row["source"],
            f"{row['beta']:g}",
            ratio_text(row.get("safety")),
            ratio_text(row.get("helpfulness")),
            interval_text((row.get("order") or {}).get("excess")),
        ]
        for row in summary["persistence"]
    ]


PERSISTENCE_HEADER = ["source", "beta", "safety persists", "helpfulness persists", "their sum − 1 (order effect)"]


def fit_text(summary: Summary) -> str:
    """The fitted line in one sentence."""
    line = summary["frontier"]["ols"]
    if "undefined" in line:
        return f"No line: {line['undefined']}."
    r2 = line["r2_interval"]
    return (
        f"R² = {line['r2']:.2f} [{r2['low']:.2f}, {r2['high']:.2f}], slope {line['slope']:.2f}, "
        f"intercept {line['intercept']:.2f}, {line['n']} points"
    )


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
        ("&", r"\&"),
    ):
        text = text.replace(plain, escaped)
    return text


def console_table(summary: Summary) -> Any:
    """The result for the terminal."""
    from rich.console import Group
    from rich.table import Table

    split = summary["frontier"]["split"]
    cells = Table(title=f"Scores on {SPLITS.get(split, split)} (0–3)", title_justify="left")
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
