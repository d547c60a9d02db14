"""Plotly figures of the re-analysis, from its summary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from persistence_pipeline.published.audits import ALL, KINDS
from persistence_pipeline.published.summary import headline_set
from persistence_pipeline.published.tables import betas_of, by_beta, distinct, pool, words
from persistence_pipeline.report.figures import frontier_figure
from persistence_pipeline.report.kit.text import number
from persistence_pipeline.report.style import COLOURS, INK, label, layout, marker

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

Rows = Sequence[Mapping[str, Any]]
SAFETY, HELPFULNESS, OTHER = COLOURS["safety"], COLOURS["helpfulness"], COLOURS["both"]
PUBLISHED = "published scheme"
SCHEMES = (("shared cases", -0.13, "circle"), (PUBLISHED, 0.13, "circle-open"))
METRIC_COLOURS = {"safety": SAFETY, "helpfulness": HELPFULNESS}
KIND_COLOURS = dict(zip(KINDS, (OTHER, "#56B4E9", HELPFULNESS, "#7f7f7f"), strict=True))
ROW_HEIGHT = 26
"""Pixels for one row of a figure whose rows have names."""


def build_figures(summary: Mapping[str, Any]) -> dict[str, Figure]:
    """Every figure by name; those of an evaluation set end with its name."""
    return dict([*_set_figures(summary), *_audit_figures(summary)])


def headline_figure(summary: Mapping[str, Any], figures: Mapping[str, Figure]) -> Figure:
    """The frontier of the headline set; an empty figure where there is none."""
    import plotly.graph_objects as go

    name = headline_set(summary["frontier"])
    return go.Figure(layout=layout()) if name is None else figures[f"frontier_{name}"]


def _set_figures(summary: Mapping[str, Any]) -> Iterator[tuple[str, Figure]]:
    audits = summary["audits"]
    for name, frontier in summary["frontier"].items():
        yield f"frontier_{name}", frontier_figure(frontier["all"], [])
        for key in frontier_parts(frontier):
            yield f"frontier_{name}_{key}", frontier_figure(frontier[key], [])
        yield f"single_{name}", single_runs_figure(audits["single_runs"][name])
        rows = [row for row in audits["sensitivity"]["rows"] if row["set"] == name]
        yield f"sensitivity_{name}", sensitivity_figure(rows)
        if summary["persistence"][name]:
            yield f"persistence_{name}", persistence_figure(summary["persistence"][name])
        if audits["rivals"][name]:
            yield f"rivals_{name}", rivals_figure(audits["rivals"][name])


def frontier_parts(frontier: Mapping[str, Any]) -> list[str]:
    """Models and evaluators with a line of their own that is not everyone's."""
    return [key for key in distinct(frontier) if key != ALL and "|" not in key]


def _audit_figures(summary: Mapping[str, Any]) -> Iterator[tuple[str, Figure]]:
    audits, name = summary["audits"], headline_set(summary["frontier"])
    shown = ("pool", name)
    told = [row for row in audits["fabricated"] if row["set"] in shown]
    if told:
        yield "fabricated", fabricated_figure(told)
        yield "kinds", kinds_figure([row for row in audits["kinds"] if row["set"] in shown])
    if audits["best_of_both"]:
        yield "best_of_both", best_of_both_figure(audits["best_of_both"])
    if audits["stops"]:
        yield "stops", stops_figure([row for row in audits["stops"] if row["set"] == name])
    if audits["pool_scores"]:
        yield "pool_scores", pool_scores_figure(audits["pool_scores"])
    if audits["observations_in_loss"]:
        yield "loss", loss_figure(audits["observations_in_loss"])
        yield "pairs", pairs_figure(audits["pairs"])
    if audits["agreement"]:
        yield "agreement", agreement_figure(audits["agreement"])


def persistence_figure(persistence: Mapping[str, Any]) -> Figure:
    """Persistence with our intervals (filled) and the published scheme's (hollow), by beta and average."""
    named = {
        f"{words(key)}, beta {beta}": entry
        for beta, entries in by_beta(persistence)
        for key, entry in distinct(entries).items()
    }
    figure = _named_rows(list(named), "share of the gain that survives the next stage", step=2 * ROW_HEIGHT)
    for metric, colour in METRIC_COLOURS.items():
        found = [
            (i, e[metric]) for i, e in enumerate(named.values()) if e[metric] and e[metric]["estimate"] is not None
        ]
        for scheme, shift, symbol in SCHEMES:
            bounds = [r["published_interval"] if scheme == PUBLISHED else r for _, r in found]
            places = [i + shift for i, _ in found]
            estimates = [r["estimate"] for _, r in found]
            figure.add_trace(_dots(estimates, places, bounds, f"{metric}, {scheme}", colour, symbol))
    return _with_zero_and_one(figure)


def rivals_figure(rows: Rows) -> Figure:
    """Average persistence beside what addition would leave."""
    named = {
        f"{metric}, beta {row['beta']}": row[metric]
        for row in sorted(rows, key=lambda row: -float(row["beta"]))
        if row["of"] == "average"
        for metric in METRIC_COLOURS
    }
    figure = _named_rows(list(named), "share of the gain that is left", step=2 * ROW_HEIGHT)
    for key, name, shift, symbol, colour in (
        ("persistence", "measured", -0.13, "circle", SAFETY),
        ("added", "if each stage merely added its own effect", 0.13, "diamond-open", INK),
    ):
        found = [(i, row[key]) for i, row in enumerate(named.values()) if row[key]["estimate"] is not None]
        estimates, places = [r["estimate"] for _, r in found], [i + shift for i, _ in found]
        figure.add_trace(_dots(estimates, places, [r for _, r in found], name, colour, symbol))
    return _with_zero_and_one(figure)


def _named_rows(names: Sequence[str], title: str, step: int = ROW_HEIGHT) -> Figure:
    """An empty figure with a named row each, the first on top."""
    import plotly.graph_objects as go

    figure = go.Figure(layout=layout(height=130 + step * len(names)))
    ticks = {"tickvals": list(range(len(names))), "ticktext": list(names)}
    figure.update_yaxes(**ticks, range=[len(names) - 0.5, -0.5], automargin=True, zeroline=False)
    figure.update_xaxes(title=title)
    return figure


def _dots(
    estimates: Sequence[float],
    places: Sequence[float],
    bounds: Rows,
    name: str,
    colour: str,
    symbol: str,
) -> Any:
    import plotly.graph_objects as go

    dot = {"color": colour, "symbol": symbol, "size": 9}
    bars = _bars(estimates, bounds)
    return go.Scatter(x=estimates, y=places, error_x=bars, mode="markers", name=name, marker=dot)


def _bars(estimates: Sequence[float], bounds: Rows) -> dict[str, Any]:
    """Error bars; none where an interval is undefined."""
    pairs = list(zip(estimates, bounds, strict=True))
    return {
        "type": "data",
        "array": [0 if b.get("high") is None else b["high"] - e for e, b in pairs],
        "arrayminus": [0 if b.get("low") is None else e - b["low"] for e, b in pairs],
        "thickness": 1.2,
        "width": 0,
    }


def _with_zero_and_one(figure: Figure) -> Figure:
    for value in (0, 1):
        figure.add_vline(x=value, line={"color": INK, "width": 1, "dash": "dot"})
    return figure


def single_runs_figure(runs: Mapping[str, Any]) -> Figure:
    """Every run before averaging over seeds and evaluators, with the line through them."""
    import plotly.graph_objects as go

    figure = go.Figure(layout=layout(height=460))
    for ordering in [o for o in COLOURS if o != "source"]:
        rows = [point for point in runs["points"] if point["ordering"] == ordering]
        if not rows:
            continue
        figure.add_trace(
            go.Scatter(
                x=[row["delta_helpfulness"] for row in rows],
                y=[row["delta_safety"] for row in rows],
                customdata=[[row["source"], row["beta"], row["seed"], row["evaluator"]] for row in rows],
                mode="markers",
                name=label(ordering),
                marker=marker(ordering, size=8),
                hovertemplate="%{customdata}<br>(%{x:.2f}, %{y:.2f})<extra></extra>",
            )
        )
    if runs.get("slope") is not None:
        span = [point["delta_helpfulness"] for point in runs["points"]]
        x = [min(span), max(span)]
        y = [runs["slope"] * value + runs["intercept"] for value in x]
        name = f"line, R² {runs['r2']:.2f}"
        figure.add_trace(go.Scatter(x=x, y=y, mode="lines", name=name, line={"color": INK, "width": 1.5}))
    figure.update_xaxes(title="Δ helpfulness, single run")
    figure.update_yaxes(title="Δ safety, single run")
    return figure


def sensitivity_figure(rows: Rows) -> Figure:
    """R², slope and persistence with each suspect group left out."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    beta = next(iter(betas_of(rows)), "")
    panels = {
        "R²": {"r2": INK},
        "slope": {"slope": INK},
        f"persistence, beta {beta}": {f"{metric}_persistence_{beta}": c for metric, c in METRIC_COLOURS.items()},
    }
    shown = list(panels) if beta else list(panels)[:2]
    figure = make_subplots(
        cols=len(shown), rows=1, shared_yaxes=True, subplot_titles=shown, horizontal_spacing=0.03
    )
    figure.update_layout(layout(height=110 + 36 * len(rows), showlegend=False))
    for column, title in enumerate(shown, 1):
        for key, colour in panels[title].items():
            kept = [row for row in rows if row.get(f"{key}_low") is not None]
            names = [
                "all rows" if not row["n_excluded"] else f"without {row['without']} ({row['excluded_share']:.0%})"
                for row in kept
            ]
            bounds = [{"low": row.get(f"{key}_low"), "high": row.get(f"{key}_high")} for row in kept]
            values = [row[key] for row in kept]
            dots = go.Scatter(x=values, y=names, error_x=_bars(values, bounds), mode="markers", name=key)
            figure.add_trace(dots.update(marker={"color": colour, "size": 9}), row=1, col=column)
    figure.update_yaxes(autorange="reversed", automargin=True, **_grid())
    figure.update_xaxes(**_grid())
    return figure


def _grid() -> dict[str, Any]:
    """Axis colours for figures of several panels, whose further axes the layout does not reach."""
    axis: dict[str, Any] = layout()["xaxis"]
    return axis


def fabricated_figure(rows: Rows) -> Figure:
    """Share of trajectories with a fabricated observation, by either definition, and without a call."""
    series = {
        "fabricated": ("fabricated observation", HELPFULNESS),
        "fabricated_wide": ("… or with Markdown around it", COLOURS["helpfulness>safety"]),
        "zero_calls": ("no executed call", SAFETY),
    }
    return _shares_figure([(f"{words(r['set'])}: {words(r['ordering'])}", r) for r in rows], series)


def best_of_both_figure(rows: Rows) -> Figure:
    """Among trajectories at 3 and 3: how many executed no call, and how many hold a fabricated observation."""
    series = {
        "best_of_both": ("3 and 3, of all", OTHER),
        "zero_calls_among_best": ("no executed call, of those at 3 and 3", SAFETY),
        "fabricated_wide_among_best": ("fabricated observation, of those at 3 and 3", HELPFULNESS),
    }
    return _shares_figure([(f"{words(r['set'])}, {r['evaluator']}", r) for r in rows], series)


def stops_figure(rows: Rows) -> Figure:
    """Token-limit stops of trained runs by source and ordering."""
    series = {"token_limit": ("token limit", HELPFULNESS), "out_of_memory": ("out of memory", SAFETY)}
    models = {"all": "all models"}
    named = [(f"{models.get(r['source'], r['source'])}: {words(r['ordering'])}", r) for r in rows]
    return _shares_figure(named, series, "share of trained test rows")


def loss_figure(rows: Rows) -> Figure:
    """Share of the chosen side that are observations."""
    named = [(f"{r['evaluator']}, {pool(r['pool'])}: {r['objective']}", r) for r in rows]
    return _shares_figure(
        named, {"mean_observation_share": ("observations", SAFETY)}, "mean share of the chosen characters"
    )


def _shares_figure(
    named: Sequence[tuple[str, Mapping[str, Any]]],
    series: Mapping[str, tuple[str, str]],
    title: str = "share of trajectories",
) -> Figure:
    """Bars of several shares for each named row."""
    import plotly.graph_objects as go

    figure = go.Figure(layout=layout(height=130 + (12 + 14 * len(series)) * len(named), barmode="group"))
    for key, (name, colour) in series.items():
        x, y = [row[key] for _, row in named], [words for words, _ in named]
        figure.add_trace(go.Bar(x=x, y=y, orientation="h", name=name, marker={"color": colour}))
    figure.update_xaxes(title=title, tickformat=".0%", rangemode="tozero")
    figure.update_yaxes(autorange="reversed", automargin=True)
    return figure


def kinds_figure(rows: Rows) -> Figure:
    """What trajectories are made of, by ordering."""
    import plotly.graph_objects as go

    names = list(dict.fromkeys(f"{words(row['set'])}: {words(row['ordering'])}" for row in rows))
    figure = go.Figure(layout=layout(height=130 + ROW_HEIGHT * len(names), barmode="stack"))
    figure.update_layout(legend_traceorder="normal")
    for kind in KINDS:
        mine = [row for row in rows if row["kind"] == kind]
        scores = [[number(row["safety"]), number(row["helpfulness"])] for row in mine]
        hover = "%{y}: %{x:.0%}<br>safety %{customdata[0]}, helpfulness %{customdata[1]}"
        bar = go.Bar(x=[row["share"] for row in mine], y=names, orientation="h", name=kind)
        figure.add_trace(bar.update(marker={"color": KIND_COLOURS[kind]}, customdata=scores, hovertemplate=hover))
    figure.update_xaxes(title="share of trajectories", tickformat=".0%", range=[0, 1])
    figure.update_yaxes(autorange="reversed", automargin=True)
    return figure


def pool_scores_figure(rows: Rows) -> Figure:
    """Joint distribution of the source trajectories' scores, a panel per evaluator."""
    import plotly.graph_objects as go

    evaluators = sorted({row["evaluator"] for row in rows})
    correlation = {row["evaluator"]: row["correlation"] for row in rows}
    panels = []
    for name in evaluators:
        mine = [row for row in rows if row["evaluator"] == name]
        x, y, z = ([row[key] for row in mine] for key in ("helpfulness", "safety", "n"))
        panels.append((f"{name}: r = {number(correlation[name])}", go.Heatmap(x=x, y=y, z=z)))
    return _heatmaps(panels, "helpfulness", "safety")


def agreement_figure(rows: Rows) -> Figure:
    """Confusion of the evaluators on trajectories that both judged, in numbers of trajectories."""
    import plotly.graph_objects as go

    panels = [
        (f"{row['part']}, {row['metric']}: κ = {number(row['kappa'])}", go.Heatmap(z=row["confusion"]))
        for row in rows
    ]
    return _heatmaps(panels, rows[0]["second"], rows[0]["first"])


def _heatmaps(panels: Sequence[tuple[str, Any]], x: str, y: str) -> Figure:
    """Panels of counts, two in a row."""
    from plotly.subplots import make_subplots

    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    titles = [title for title, _ in panels]
    figure = make_subplots(cols=columns, rows=rows, subplot_titles=titles, vertical_spacing=0.2)
    figure.update_layout(layout(height=90 + 310 * rows))
    for index, (_, heat) in enumerate(panels):
        row, column = index // columns + 1, index % columns + 1
        heat.update(colorscale="Blues", texttemplate="%{z}", showscale=False)
        figure.add_trace(heat, row=row, col=column)
    figure.update_xaxes(title=x, dtick=1, showgrid=False)
    figure.update_yaxes(title=y, dtick=1, showgrid=False)
    return figure


def pairs_figure(rows: Rows) -> Figure:
    """What single-objective pairs teach beside their objective: gain in the other metric, share of conflict."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    single = [row for row in rows if row["set"] in METRIC_COLOURS]
    names = [f"{row['evaluator']}, {pool(row['pool'])}: {row['set']} pairs" for row in single]
    panels = {"other_metric_gain": "chosen minus rejected, other metric (points)", "conflict_share": "in conflict"}
    figure = make_subplots(cols=2, rows=1, shared_yaxes=True, subplot_titles=list(panels.values()))
    figure.update_layout(layout(height=110 + 34 * len(names), showlegend=False))
    colours = [METRIC_COLOURS["safety" if row["set"] == "helpfulness" else "helpfulness"] for row in single]
    for column, key in enumerate(panels, 1):
        fill = {"color": colours if key == "other_metric_gain" else INK}
        bar = go.Bar(x=[row[key] for row in single], y=names, orientation="h", marker=fill)
        figure.add_trace(bar, row=1, col=column)
    figure.update_xaxes(**_grid())
    figure.update_xaxes(tickformat=".0%", row=1, col=2)
    figure.update_yaxes(autorange="reversed", automargin=True, **_grid())
    return figure
