"""The re-analysis as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from persistence_pipeline.published.figures import frontier_parts
from persistence_pipeline.published.findings import answer, findings
from persistence_pipeline.published.pairs import NO_TOOLKITS, TOOLKIT_FILES
from persistence_pipeline.published.sensitivity import CAVEAT
from persistence_pipeline.published.summary import headline_set
from persistence_pipeline.published.tables import SHOWN, build_tables
from persistence_pipeline.report.kit import page as kit

SETS = {
    "match": "judged by the evaluator whose pairs it was trained on",
    "cross": "judged by the other evaluator",
}


def render_page(
    summary: Mapping[str, Any], figures: Mapping[str, Any], quarantine: Sequence[Mapping[str, Any]]
) -> str:
    """The page.

    Args:
        summary: As in ``published/summary.json``.
        figures: Plotly figures by name, as made by ``figures.build_figures``.
        quarantine: What the import set aside, one mapping per fault.
    """
    first = headline_set(summary["frontier"])
    listed = findings(summary)
    return kit.render_page(
        __package__,
        "published.html.jinja",
        figures,
        summary=summary,
        sets=sorted(summary["frontier"], key=lambda name: name != first),
        parts={name: frontier_parts(frontier) for name, frontier in summary["frontier"].items()},
        words=SETS,
        answer=answer(summary),
        findings=listed,
        finding={anchor: [f.text for f in listed if f.anchor == anchor] for anchor in {f.anchor for f in listed}},
        caveat=CAVEAT,
        no_toolkits=NO_TOOLKITS.format(", ".join(TOOLKIT_FILES)),
        tables=build_tables(summary, quarantine),
        n_not_shown=max(0, len(quarantine) - SHOWN),
        plotted=set(figures),
    )
