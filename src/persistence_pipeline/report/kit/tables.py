"""Tables: made of rows and columns; as Markdown, as LaTeX, for the terminal (HTML: ``macros.html.jinja``)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from persistence_pipeline.report.kit.text import number

Table = tuple[list[str], list[list[str]]]
"""Header and rows."""
Column = tuple[str, str, str | Callable[[Any], str]]
"""Key of a row, header, and how the value is written: a format specification of numbers, or a function."""


def make_table(rows: Iterable[Mapping[str, Any]], columns: Sequence[Column]) -> Table:
    """Rows under the headers of the columns; a key that a row lacks is None."""
    return [header for _, header, _ in columns], [
        [number(row.get(key), how) if isinstance(how, str) else how(row.get(key)) for key, _, how in columns]
        for row in rows
    ]


def markdown_table(table: Table) -> str:
    """A Markdown table."""
    header, rows = table
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def latex_table(table: Table) -> str:
    """A LaTeX tabular (booktabs)."""
    header, rows = table
    first, *lines = [" & ".join(map(_latex, line)) + r" \\" for line in (header, *rows)]
    body = "\n".join([r"\toprule", first, r"\midrule", *lines, r"\bottomrule"])
    return f"\\begin{{tabular}}{{{'l' * len(header)}}}\n{body}\n\\end{{tabular}}\n"


LATEX = str.maketrans(
    {
        "%": r"\%",
        "_": r"\_",
        "&": r"\&",
        "Δ": r"$\Delta$",
        ">": r"$>$",
        "–": "--",
        "−": "$-$",
        "²": "$^2$",
    }
)


def _latex(text: str) -> str:
    return text.translate(LATEX)


def rich_table(title: str, table: Table, left: Collection[str] | None = None) -> Any:
    """A table for the terminal; all columns but those of ``left`` are numbers, to the right; None: all left."""
    from rich.table import Table as RichTable

    shown = RichTable(title=title, title_justify="left")
    for name in table[0]:
        shown.add_column(name, justify="left" if left is None or name in left else "right")
    for row in table[1]:
        shown.add_row(*row)
    return shown
