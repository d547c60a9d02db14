"""The looks of figures and tables. Those of an ordering follow from its stages (``orderings.py``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from persistence_pipeline.analysis.intervals import OVER_CASES
from persistence_pipeline.orderings import SOURCE, colour_of, in_order, label, symbol_of

INK = "#6b7280"
"""Lines and texts that must be legible on light and on dark paper."""
AXIS = {"gridcolor": "rgba(127,127,127,.2)", "zerolinecolor": "rgba(127,127,127,.5)", "linecolor": INK}
SPLITS = {
    "test_iid": "new slot values",
    "test_combination": "held-out combinations",
    "test_domain": "held-out domain",
}
"""Names of the tool world's splits."""
HALVES = {"train": "cases that are trained on", "test_iid": "held-out cases"}
"""Names of the splits of cases in ToolEmu's format: halves of one list of cases."""


def split_names(summary: Mapping[str, Any]) -> dict[str, str]:
    """Names of the splits of the study's cases, from its summary."""
    study = summary["run"]["parameters"].get("study") or {}
    return HALVES if study.get("cases") == "toolemu" else SPLITS


def headline_split(summary: Mapping[str, Any]) -> str:
    """Name of the split that frontier and persistence are measured on."""
    split = str(summary["frontier"]["split"])
    return split_names(summary).get(split, split)


def interval_kind(summary: Mapping[str, Any]) -> str:
    """The errors that intervals of a study are over: where one number's are over cases alone, that."""
    kinds = [point["delta_safety"]["kind"] for point in summary["frontier"]["points"]]
    return OVER_CASES if OVER_CASES in kinds or not kinds else str(kinds[0])


def ordering_looks(orderings: Iterable[str]) -> dict[str, dict[str, str]]:
    """Colour, symbol and name of the source and of orderings, in their order, as the page's scripts need them."""
    return {
        name: {"colour": colour_of(name), "symbol": symbol_of(name), "label": label(name)}
        for name in in_order([SOURCE, *orderings])
    }


def marker(ordering: str, size: int = 11) -> dict[str, Any]:
    """Colour and shape of an ordering, with an outline that shows on light and on dark paper."""
    return {
        "symbol": symbol_of(ordering),
        "color": colour_of(ordering),
        "size": size,
        "line": {"color": INK, "width": 1},
    }


def layout(**further: Any) -> dict[str, Any]:
    """Layout that all figures share: no paper of their own, so that the page's theme shows through."""
    return {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": INK},
        "margin": {"l": 60, "r": 20, "t": 70, "b": 50},
        "xaxis": AXIS,
        "yaxis": AXIS,
        "legend": {"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0},
        "hoverlabel": {"align": "left"},
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": INK, "activecolor": INK},
        **further,
    }
