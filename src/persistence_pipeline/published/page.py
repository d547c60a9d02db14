"""The re-analysis as one self-contained HTML page, with the template style of the study's own report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from persistence_pipeline.published.figures import frontier_parts
from persistence_pipeline.published.findings import answer, findings
from persistence_pipeline.published.pairs import NO_TOOLKITS, TOOLKIT_FILES
from persistence_pipeline.published.sensitivity import CAVEAT
from persistence_pipeline.published.summary import headline_set
from persistence_pipeline.published.tables import SHOWN, build_tables

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
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from plotly.offline import get_plotlyjs

    environment = Environment(loader=PackageLoader(__package__), autoescape=True, undefined=StrictUndefined)
    style = files("persistence_pipeline.report") / "templates" / "report.css"
    first = headline_set(summary["frontier"])
    found = findings(summary)
    return environment.get_template("published.html.jinja").render(
        summary=summary,
        sets=sorted(summary["frontier"], key=lambda name: name != first),
        parts={name: frontier_parts(frontier) for name, frontier in summary["frontier"].items()},
        words=SETS,
        answer=answer(summary),
        findings=found,
        finding={anchor: [f.text for f in found if f.anchor == anchor] for anchor in {f.anchor for f in found}},
        caveat=CAVEAT,
        no_toolkits=NO_TOOLKITS.format(", ".join(TOOLKIT_FILES)),
        tables=build_tables(summary, quarantine),
        n_not_shown=max(0, len(quarantine) - SHOWN),
        figures={name: _script_json(figure.to_json()) for name, figure in figures.items()},
        plotly=get_plotlyjs(),
        style=style.read_text("utf-8"),
    )


def _script_json(text: str) -> str:
    """JSON that is safe inside a script element."""
    return json.dumps(json.loads(text)).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
