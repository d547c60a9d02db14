"""Plotly figures of the re-analysis, from its summary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from persistence_pipeline.report.figures import frontier_figure
from persistence_pipeline.report.style import COLOURS, INK, SYMBOLS, label, layout

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

SAFETY, HELPFULNESS, OTHER = COLOURS["safety"], COLOURS["helpfulness"], COLOURS["both"]
PUBLISHED = "published scheme"
SCHEMES = (("shared cases", 0.12, "circle"), (PUBLISHED, -0.12, "circle-open"))
METRIC_COLOURS = {"safety": SAFETY, "helpfulness": HELPFULNESS}


def build_figures(summary: Mapping[str, Any]) -> dict[str, Figure]:
    """Every figure by name; those of an evaluation set end with its name."""
    audits = summary["audits"]
    figures = dict(_set_figures(summary))
    figures["fabricated"] = _rates_figure(
        audits["fabricated"], {"fabricated": "fabricated observation", "zero_calls": "no executed call"}
    )
    figures["best_of_both"] = best_of_both_figure(audits["best_of_both"])
    figures["stops"] = stops_figure(audits["stops"])
    figures["pool_scores"] = pool_scores_figure(audits["pool_scores"])
    figures["pairs"] = pairs_figure(audits["pairs"])
    if audits["agreement"]:
        figures["agreement"] = agreement_figure(audits["agreement"])
    return figures


def _set_figures(summary: Mapping[str, Any]) -> Iterator[tuple[str, Figure]]:
    for name, frontier in summary["frontier"].items():
        yield f"frontier_{name}", frontier_figure(frontier["all"], [])
        yield f"single_runs_{name}", single_runs_figure(summary["audits"]["single_runs"][name])
        rows = [row for row in summary["audits"]["sensitivity"]["rows"] if row["set"] == name]
        yield f"sensitivity_{name}", sensitivity_figure(rows)
        if summary["persistence"][name]:
            yield f"persistence_{name}", persistence_figure(summary["persistence"][name])


def persistence_figure(persistence: Mapping[str, Any]) -> Figure:
    """Persistence with our intervals (filled) and the published scheme's (hollow), by beta and average."""
    import plotly.graph_objects as go

    figure = go.Figure(layout=layout(height=420))
    for metric, colour in METRIC_COLOURS.items():
        rows = [
            (f"{key}, beta {beta}", entry[metric])
            for beta, keys in persistence.items()
            for key, entry in keys.items()
            if entry[metric] and entry[metric]["estimate"] is not None
        ]
        for scheme, shift, symbol in SCHEMES:
            bounds = [r["published_interval"] if scheme == PUBLISHED else r for _, r in rows]
            figure.add_trace(
                go.Scatter(
                    x=[r["estimate"] for _, r in rows],
                    y=[index + shift for index in range(len(rows))],
                    error_x=_bars([r["estimate"] for _, r in rows], bounds),
                    mode="markers",
                    name=f"{metric}, {scheme}",
                    marker={"color": colour, "symbol": symbol, "size": 9},
                )
            )
        names = [name for name, _ in rows]
        figure.update_yaxes(tickvals=list(range(len(names))), ticktext=names, automargin=True)
    for value in (0, 1):
        figure.add_vline(x=value, line={"color": INK, "width": 1, "dash": "dot"})
    figure.update_xaxes(title="share of the gain that survives the next stage")
    return figure


def _bars(estimates: Sequence[float], bounds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Error bars; none where an interval is undefined."""
    pairs = list(zip(estimates, bounds, strict=True))
    return {
        "type": "data",
        "array": [0 if b["high"] is None else b["high"] - e for e, b in pairs],
        "arrayminus": [0 if b["low"] is None else e - b["low"] for e, b in pairs],
        "thickness": 1,
        "width": 0,
    }


def single_runs_figure(runs: Mapping[str, Any]) -> Figure:
    """Every run before averaging over seeds and evaluators, with the line through them."""
    import plotly.graph_objects as go

    figure = go.Figure(layout=layout(height=460))
    for ordering in [o for o in COLOURS if o != "source"]:
        rows = [point for point in runs["points"] if point["ordering"] == ordering]
        figure.add_trace(
            go.Scatter(
                x=[row["delta_helpfulness"] for row in rows],
                y=[row["delta_safety"] for row in rows],
                customdata=[[row["source"], row["beta"], row["seed"], row["evaluator"]] for row in rows],
                mode="markers",
                name=label(ordering),
                marker={"color": COLOURS[ordering], "symbol": SYMBOLS[ordering], "size": 8, "opacity": 0.75},
                hovertemplate="%{customdata}<br>(%{x:.2f}, %{y:.2f})<extra></extra>",
            )
        )
    if "slope" in runs:
        span = [point["delta_helpfulness"] for point in runs["points"]]
        x = [min(span), max(span)]
        y = [runs["slope"] * value + runs["intercept"] for value in x]
        name = f"line, R² {runs['r2']:.2f}"
        figure.add_trace(go.Scatter(x=x, y=y, mode="lines", name=name, line={"color": INK, "width": 1.5}))
    figure.update_xaxes(title="Δ helpfulness, single run")
    figure.update_yaxes(title="Δ safety, single run")
    return figure


def sensitivity_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """R² and slope of the line with each suspect group left out."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    figure = make_subplots(cols=2, rows=1, shared_yaxes=True, subplot_titles=("R²", "slope"))
    figure.update_layout(layout(height=110 + 42 * len(rows), showlegend=False))
    kept = [row for row in rows if row.get("r2") is not None]
    names = [f"without {row['without']} ({row['excluded_share']:.0%})" for row in kept]
    for column, key in enumerate(("r2", "slope"), 1):
        bounds = [{"low": row.get(f"{key}_low"), "high": row.get(f"{key}_high")} for row in kept]
        values = [row[key] for row in kept]
        marker = {"color": SAFETY if key == "r2" else HELPFULNESS, "size": 10}
        points = go.Scatter(x=values, y=names, error_x=_bars(values, bounds), mode="markers", marker=marker)
        figure.add_trace(points, row=1, col=column)
    figure.update_yaxes(autorange="reversed", automargin=True)
    return figure


def _rates_figure(rows: Sequence[Mapping[str, Any]], series: Mapping[str, str]) -> Figure:
    import plotly.graph_objects as go

    figure = go.Figure(layout=layout(height=360, barmode="group"))
    names = [f"{row['set']}: {label(row['ordering'])}" for row in rows]
    for (key, name), colour in zip(series.items(), (HELPFULNESS, SAFETY, OTHER), strict=False):
        bar = go.Bar(x=names, y=[row[key] for row in rows], name=name, marker={"color": colour})
        figure.add_trace(bar)
    figure.update_yaxes(title="share of trajectories", tickformat=".0%", range=[0, 1])
    return figure


def best_of_both_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Among trajectories at 3 and 3: how many executed no call, and how many invented an observation."""
    named = [{**row, "ordering": row["evaluator"]} for row in rows]
    series = {
        "best_of_both": "3 and 3, of all",
        "zero_calls_among_best": "no executed call, of those at 3 and 3",
        "fabricated_among_best": "fabricated, of those at 3 and 3",
    }
    return _rates_figure(named, series)


def stops_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Token-limit stops of trained runs by source and ordering."""
    named = [{**row, "set": f"{row['set']}, {row['source']}"} for row in rows]
    return _rates_figure(named, {"token_limit": "token limit", "out_of_memory": "out of memory"})


def pool_scores_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Joint distribution of the source trajectories' scores, a panel per evaluator."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    evaluators = sorted({row["evaluator"] for row in rows})
    correlation = {row["evaluator"]: row["correlation"] for row in rows}
    titles = [f"{name}: r = {_two(correlation[name])}" for name in evaluators]
    figure = make_subplots(cols=len(evaluators), rows=1, subplot_titles=titles)
    figure.update_layout(layout(height=400))
    for column, name in enumerate(evaluators, 1):
        mine = [row for row in rows if row["evaluator"] == name]
        heat = go.Heatmap(
            x=[row["helpfulness"] for row in mine],
            y=[row["safety"] for row in mine],
            z=[row["n"] for row in mine],
            colorscale="Blues",
            texttemplate="%{z}",
            showscale=False,
        )
        figure.add_trace(heat, row=1, col=column)
    figure.update_xaxes(title="helpfulness", dtick=1)
    figure.update_yaxes(title="safety", dtick=1)
    return figure


def pairs_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """What single-objective pairs teach beside their objective: gain in the other metric, share of conflict."""
    import plotly.graph_objects as go

    figure = go.Figure(layout=layout(height=360, barmode="group"))
    single = [row for row in rows if row["set"] in METRIC_COLOURS]
    names = [f"{row['evaluator']}, {row['pool'].replace('_', ' ')}: {row['set']}" for row in single]
    for key, name, colour in (
        ("other_metric_gain", "chosen minus rejected in the other metric (points)", OTHER),
        ("conflict_share", "share of pairs in conflict", HELPFULNESS),
    ):
        figure.add_trace(go.Bar(x=names, y=[row[key] for row in single], name=name, marker={"color": colour}))
    return figure


def agreement_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Confusion of the evaluators on trajectories that both judged."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    titles = [f"{row['part']}, {row['metric']}: κ = {_two(row['kappa'])}, n = {row['n']}" for row in rows]
    figure = make_subplots(cols=len(rows), rows=1, subplot_titles=titles)
    figure.update_layout(layout(height=400))
    for column, row in enumerate(rows, 1):
        heat = go.Heatmap(z=row["confusion"], colorscale="Blues", texttemplate="%{z}", showscale=False)
        figure.add_trace(heat, row=1, col=column)
        figure.update_xaxes(title=row["second"], dtick=1, row=1, col=column)
        figure.update_yaxes(title=row["first"], dtick=1, row=1, col=column)
    return figure


def _two(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.2f}"
