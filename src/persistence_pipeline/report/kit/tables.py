"""Tables: made of rows and columns; as Markdown, as LaTeX, for the terminal (HTML: ``macros.html.jinja``)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from persistence_pipeline.report.kit.text import DASH, number

Table = tuple[list[str], list[list[str]]]
"""Header and rows."""
Column = tuple[str, str, str | Callable[[Any], str]]
"""Key of a row, header, and how the value is written: a format specification of numbers, or a function."""
Lead = Callable[[Mapping[str, Any], str], str | None]
"""The address that a key of a row leads to, if any."""


class Linked(str):
    """The text of a cell that leads somewhere; for all but HTML it is its text."""

    href: str

    def __new__(cls, text: str, href: str) -> Linked:
        """The text, leading to an address."""
        made = super().__new__(cls, text)
        made.href = href
        return made


def linked(text: str, href: str | None) -> str:
    """The text as a link, where there is something to lead to and something to click."""
    return Linked(text, href) if href and text not in ("", DASH) else text


def make_table(rows: Iterable[Mapping[str, Any]], columns: Sequence[Column], lead: Lead | None = None) -> Table:
    """Rows under the headers of the columns; a key that a row lacks is None.

    Args:
        rows: By key.
        columns: What is shown of them.
        lead: The address that a key of a row leads to, if any.
    """
    return [header for _, header, _ in columns], [
        [
            linked(
                number(row.get(key), how) if isinstance(how, str) else how(row.get(key)),
                lead(row, key) if lead else None,
            )
            for key, _, how in columns
        ]
        for row in rows
    ]


def markdown_table(table: Table) -> str:
    """A Markdown table."""
    header, rows = table
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def latex_table(table: Table, caption: str) -> str:
    """A LaTeX table (booktabs) with a caption and a label made of its words."""
    header, rows = table
    first, *lines = [" & ".join(map(_latex, line)) + r" \\" for line in (header, *rows)]
    body = "\n".join([r"\toprule", first, r"\midrule", *lines, r"\bottomrule"])
    tabular = f"\\begin{{tabular}}{{{'l' * len(header)}}}\n{body}\n\\end{{tabular}}"
    named = f"\\caption{{{_latex(caption)}}}\n\\label{{tab:{re.sub('[^a-z0-9]+', '-', caption.lower())}}}"
    return f"\\begin{{table}}\n\\centering\n{named}\n{tabular}\n\\end{{table}}\n"


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


FILE_WIDTH = 130
"""Columns of tables that go into a pipe or a file."""


def table_console() -> Any:
    """The console for tables: as wide as the terminal; elsewhere as ``COLUMNS`` says, or ``FILE_WIDTH``."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = FILE_WIDTH
    return console


def rich_table(
    title: str, table: Table, width: int, left: Collection[str] | None = None, least: Sequence[str] = ()
) -> Any:
    """A table for the terminal.

    Args:
        title: Above it.
        table: Header and rows. Lines of a header may be divided by the author.
        width: Columns of the terminal. Where the table is wider, columns of ``least`` are left out, the first of
            them first, and the caption names them.
        left: Headers of the columns that are no numbers; None: all.
        least: Headers of the columns that can best be done without.
    """
    from rich.console import Console

    console, dropped = Console(width=10_000), []
    shown = _drawn(title, table, left)
    for name in least:
        if console.measure(shown).maximum <= width:
            break
        if name in table[0]:
            table = without_column(table, name)
            dropped.append(name.replace("-\n", "").replace("\n", " "))
            shown = _drawn(title, table, left)
    if dropped:
        shown.caption, shown.caption_justify = f"In the report also: {', '.join(dropped)}.", "left"
    return shown


def without_column(table: Table, name: str) -> Table:
    """The table without the column of this header."""
    place = table[0].index(name)
    header, *rows = ([*line[:place], *line[place + 1 :]] for line in (table[0], *table[1]))
    return header, rows


def _drawn(title: str, table: Table, left: Collection[str] | None) -> Any:
    from rich import box
    from rich.table import Table as RichTable

    shown = RichTable(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in table[0]:
        shown.add_column(name, justify="left" if left is None or name in left else "right")
    for row in table[1]:
        shown.add_row(*row)
    return shown
