"""Pages: one self-contained HTML file that needs no network; and other text from a template."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from persistence_pipeline.report.kit.text import true_minus

REPORT = "persistence_pipeline.report"
"""Where the templates, styles and scripts are that all pages share."""


def scripts_with(*views: str) -> tuple[str, ...]:
    """Parts of the script of a page with a view of trajectories, in the order in which they are read.

    Args:
        views: Parts of further views.
    """
    listed = ("elements", "sort", "page", "data", "expression", "filters", "windowed", "columns", "list", "form")
    shown = ("align", "story", "twins", "case", *views, "figures", "notes", "takeaway", "tables", "main")
    return (*listed, *shown)


def render(package: str, template: str, **values: Any) -> str:
    """A template of a package, which may build on the shared ones; HTML is escaped, a missing value an error."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader(REPORT)]),
        autoescape=select_autoescape(["html.jinja"]),
        undefined=StrictUndefined,
        trim_blocks=template.endswith(".md.jinja"),
    )
    environment.filters["minus"] = true_minus
    return environment.get_template(template).render(**values)


def render_page(
    package: str,
    template: str,
    figures: Mapping[str, Any],
    *,
    styles: Sequence[str] = ("report",),
    scripts: Sequence[str] = ("elements", "sort", "figures", "takeaway", "tables"),
    documents: Mapping[str, Any] | None = None,
    packed: Mapping[str, Any] | None = None,
    **values: Any,
) -> str:
    """A page that extends ``shell.html.jinja``.

    Args:
        package: Where the template is.
        template: Its name.
        figures: Plotly figures by name; each is drawn where the page has its ``plot``.
        styles: Shared style sheets.
        scripts: Shared scripts, in the order in which they are read.
        documents: What the scripts read beside the figures, by name.
        packed: Large documents, by name, which the page holds compressed.
        values: What the template needs.
    """
    plots = {name: json.loads(figure.to_json()) for name, figure in figures.items()}
    read = {name: script_json(value) for name, value in {"figures": plots, **(documents or {})}.items()}
    return render(
        package,
        template,
        documents=read | {name: compressed(value) for name, value in (packed or {}).items()},
        figures=figures,
        plotly=plotly(),
        style="".join(_asset(f"{name}.css") for name in styles),
        script="\n".join(_asset(f"scripts/{name}.js") for name in scripts),
        **values,
    )


def _asset(name: str) -> str:
    return (files(REPORT) / "templates" / name).read_text("utf-8")


def script_json(document: Any) -> str:
    """JSON that is safe inside a script element."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return text.translate({ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"})


def compressed(document: Any) -> str:
    """JSON as gzip in base64, which is safe inside a script element; the same bytes at any time."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def plotly() -> str:
    """The part of plotly.js that draws scatters, bars and heatmaps: npm's plotly.js-cartesian-dist-min."""
    return (files(REPORT) / "vendor" / "plotly-cartesian.min.js").read_text("utf-8")
