"""The re-analysis as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from persistence_pipeline.published.figures import frontier_parts
from persistence_pipeline.published.findings import answer, findings
from persistence_pipeline.published.pairs import NO_TOOLKITS, TOOLKIT_FILES
from persistence_pipeline.published.sensitivity import CAVEAT
from persistence_pipeline.published.summary import headline_set
from persistence_pipeline.published.tables import SET_ASIDE_ANCHOR, SHOWN, build_tables
from persistence_pipeline.report.kit.page import render_page as render
from persistence_pipeline.report.kit.page import scripts_with
from persistence_pipeline.report.style import ordering_looks

SETS = {
    "match": "judged by the evaluator whose pairs it was trained on",
    "cross": "judged by the other evaluator",
}


def render_page(
    summary: Mapping[str, Any],
    figures: Mapping[str, Any],
    browser: Mapping[str, Any],
    quarantine: Sequence[Mapping[str, Any]],
) -> str:
    """The page.

    Args:
        summary: As in ``published/summary.json``.
        figures: Plotly figures by name, as made by ``figures.build_figures``.
        browser: What the view of trajectories shows, as made by ``browsing.view_data``.
        quarantine: What the import set aside, one mapping per fault.
    """
    first = headline_set(summary["frontier"])
    orderings = ordering_looks(cell["ordering"] for cell in browser["cells"])
    return render(
        __package__,
        "published.html.jinja",
        figures,
        styles=("report", "browser"),
        scripts=scripts_with(),
        documents={"looks": {"orderings": orderings, "splits": {}, "study": "the published study"}},
        packed={"browser": browser},
        summary=summary,
        sets=sorted(summary["frontier"], key=lambda name: name != first),
        parts={name: frontier_parts(frontier) for name, frontier in summary["frontier"].items()},
        words=SETS,
        answer=answer(summary),
        findings=findings(summary),
        warnings=list(_warnings(summary)),
        caveat=CAVEAT,
        set_aside=SET_ASIDE_ANCHOR,
        tables=build_tables(summary, quarantine),
        n_not_shown=max(0, len(quarantine) - SHOWN),
    )


def _warnings(summary: Mapping[str, Any]) -> Iterator[str]:
    """What a reader has to know first."""
    run = summary["run"]
    if not summary["frontier"]:
        yield "These files hold no trained configurations."
    if run["n_set_aside"]:
        yield f"{run['n_set_aside']:,} trajectories were set aside: they are in no number of this page."
    if run["incomplete_runs"]:
        yield f"The test half of {len(run['incomplete_runs'])} runs is not complete."
    for name, sentences in summary["audits"]["unmatched"].items():
        yield from (f"Set {name}: {sentence}." for sentence in sentences)
    if not run["n_toolkits"]:
        yield f"Toolkits: {NO_TOOLKITS.format(', '.join(TOOLKIT_FILES))}."
