"""Plotly figures of the re-analysis, from its summary."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from persistence_pipeline.orderings import colour_of, in_order, label
from persistence_pipeline.published import links
from persistence_pipeline.published.audits import ALL, KINDS
from persistence_pipeline.published.summary import headline_set
from persistence_pipeline.published.tables import betas_of, by_beta, distinct, interval_of, place_at, pool, words
from persistence_pipeline.report.frontier import frontier_figure
from persistence_pipeline.report.kit.figures import fitted_line, interval_dots, new_figure, new_panels
from persistence_pipeline.report.kit.tables import Lead
from persistence_pipeline.report.kit.text import number
from persistence_pipeline.report.style import INK, marker

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

Rows = Sequence[Mapping[str, Any]]
SAFETY, HELPFULNESS, OTHER = colour_of("safety"), colour_of("helpfulness"), colour_of("both")
METRIC_COLOURS = {"safety": SAFETY, "helpfulness": HELPFULNESS}
KIND_COLOURS = dict(zip(KINDS, (OTHER, "#56B4E9", HELPFULNESS, "#7f7f7f"), strict=True))
RUN = ("source", "beta", "seed", "evaluator")
"""What a run is named by beside its ordering."""
ROW_HEIGHT = 26
"""Pixels for one row of a figure whose rows have names."""


def build_figures(summary: Mapping[str, Any]) -> dict[str, Figure]:
    """Every figure by name; those of an evaluation set end with its name."""
    return dict([*_set_figures(summary), *_audit_figures(summary)])


def headline_figure(summary: Mapping[str, Any], figures: Mapping[str, Figure]) -> Figure:
    """The frontier of the headline set; an empty figure where there is none."""
    name = headline_set(summary["frontier"])
    return new_figure() if name is None else figures[f"frontier_{name}"]


def _set_figures(summary: Mapping[str, Any]) -> Iterator[tuple[str, Figure]]:
    audits = summary["audits"]
    for name, frontier in summary["frontier"].items():
        for key in (ALL, *frontier_parts(frontier)):
            place = {"set": name, **links.place(key, frontier)}
            part = "" if key == ALL else f"_{key}"
            yield f"frontier_{name}{part}", frontier_figure(frontier[key], [], links.OfPlace(place))
        yield f"single_{name}", single_runs_figure(audits["single_runs"][name], name)
        rows = [row for row in audits["sensitivity"]["rows"] if row["set"] == name]
        yield f"sensitivity_{name}", sensitivity_figure(rows)
        if summary["persistence"][name]:
            yield f"persistence_{name}", persistence_figure(summary["persistence"][name], name)
        if audits["rivals"][name]:
            yield f"rivals_{name}", rivals_figure(audits["rivals"][name], name)


def frontier_parts(frontier: Mapping[str, Any]) -> list[str]:
    """Models and evaluators with a line of their own that is not everyone's."""
    return [key for key in distinct(frontier) if key != ALL and "|" not in key]


def _audit_figures(summary: Mapping[str, Any]) -> Iterator[tuple[str, Figure]]:
    audits, name = summary["audits"], headline_set(summary["frontier"])
    acted, kinds = (
        [row for row in audits[key] if row["set"] in ("pool", name)] for key in ("fabricated", "kinds")
    )
    if acted:
        yield "fabricated", fabricated_figure(acted)
        yield "kinds", kinds_figure(kinds)
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


def persistence_figure(persistence: Mapping[str, Any], name: str) -> Figure:
    """Persistence in a set with our intervals (filled) and the published ones (hollow), by beta and average."""
    named = {
        f"{words(key)}, beta {beta}": (entry, place_at(name, beta, key, entries))
        for beta, entries in by_beta(persistence)
        for key, entry in distinct(entries).items()
    }
    series = []
    for metric, colour in METRIC_COLOURS.items():
        ratios = [entry[metric] for entry, _ in named.values()]
        to = [links.surviving(place, metric) for _, place in named.values()]
        theirs = [ratio and {**ratio["published_interval"], "estimate": ratio["estimate"]} for ratio in ratios]
        series.append((f"{metric}, shared cases", colour, "circle", ratios, to))
        series.append((f"{metric}, published scheme", colour, "circle-open", theirs, to))
    return _compared(list(named), "share of the gain that survives the next stage", series)


def rivals_figure(rows: Rows, name: str) -> Figure:
    """Average persistence beside what addition would leave, of a set."""
    named = {
        f"{metric}, beta {row['beta']}": (row[metric], place_at(name, row["beta"], "average", []), metric)
        for row in sorted(rows, key=lambda row: -float(row["beta"]))
        if row["of"] == "average"
        for metric in METRIC_COLOURS
    }
    measured, added = ([row[key] for row, _, _ in named.values()] for key in ("persistence", "added"))
    to = [links.surviving(place, metric) for _, place, metric in named.values()]
    series = [
        ("measured", SAFETY, "circle", measured, to),
        ("if each stage merely added its own effect", INK, "diamond-open", added, to),
    ]
    return _compared(list(named), "share of the gain that is left", series)


def _compared(
    names: Sequence[str], title: str, series: Iterable[tuple[str, str, str, Rows, Sequence[str]]]
) -> Figure:
    """Two kinds of dots with intervals in each named row, the first row on top; what is undefined has none.

    ``series``: name, colour, symbol (hollow ones stand lower), and an interval and an address for each row.
    """
    figure = new_figure(height=130 + 2 * ROW_HEIGHT * len(names))
    ticks = {"tickvals": list(range(len(names))), "ticktext": list(names)}
    figure.update_yaxes(**ticks, range=[len(names) - 0.5, -0.5], automargin=True, zeroline=False)
    figure.update_xaxes(title=title)
    for name, colour, symbol, intervals, to in series:
        shift = 0.13 if symbol.endswith("-open") else -0.13
        known = [i for i, one in enumerate(intervals) if one and one["estimate"] is not None]
        look = {"color": colour, "symbol": symbol, "size": 9}
        behind = [[to[i]] for i in known]
        shown = [intervals[i] for i in known]
        places = [i + shift for i in known]
        figure.add_trace(interval_dots(shown, places, name=name, marker=look, customdata=behind))
    for value in (0, 1):
        figure.add_vline(x=value, line={"color": INK, "width": 1, "dash": "dot"})
    return figure


def single_runs_figure(runs: Mapping[str, Any], name: str) -> Figure:
    """Every run of a set before averaging over seeds and evaluators, with the line through them."""
    figure = new_figure(height=460)
    for ordering in in_order(point["ordering"] for point in runs["points"]):
        rows = [point for point in runs["points"] if point["ordering"] == ordering]
        figure.add_scatter(
            x=[row["delta_helpfulness"] for row in rows],
            y=[row["delta_safety"] for row in rows],
            customdata=[[links.to({**row, "set": name}), ", ".join(str(row[key]) for key in RUN)] for row in rows],
            mode="markers",
            name=label(ordering),
            marker=marker(ordering, size=8),
            hovertemplate="%{customdata[1]}<br>(%{x:.2f}, %{y:.2f})<extra></extra>",
        )
    if runs.get("slope") is not None:
        span = [point["delta_helpfulness"] for point in runs["points"]]
        figure.add_trace(fitted_line(runs, [min(span), max(span)], name=f"line, R² {runs['r2']:.2f}"))
    figure.update_xaxes(title="Δ helpfulness, single run")
    figure.update_yaxes(title="Δ safety, single run")
    return figure


def sensitivity_figure(rows: Rows) -> Figure:
    """R², slope and persistence with each suspect group left out."""
    panels = {"R²": {"r2": INK}, "slope": {"slope": INK}}
    for beta in betas_of(rows)[:1]:
        keys = {f"{metric}_persistence_{beta}": colour for metric, colour in METRIC_COLOURS.items()}
        panels[f"persistence, beta {beta}"] = keys
    figure = _unlegended(list(panels), 110 + 36 * len(rows), cols=len(panels), horizontal_spacing=0.03)
    for column, keys in enumerate(panels.values(), 1):
        for key, colour in keys.items():
            known = [row for row in rows if row.get(f"{key}_low") is not None]
            names = [
                f"without {row['without']} ({row['excluded_share']:.0%})" if row["n_excluded"] else "all rows"
                for row in known
            ]
            look = {"color": colour, "size": 9}
            to = [[links.without(row, key)] for row in known]
            found = [interval_of(row, key) for row in known]
            dots = interval_dots(found, names, name=key, marker=look, customdata=to)
            figure.add_trace(dots, row=1, col=column)
    return figure


def _unlegended(titles: Sequence[str], height: int, cols: int = 2, **more: Any) -> Figure:
    """Panels side by side that share their named rows, the first on top, without a legend."""
    figure = new_panels(titles, height, cols, top=70, bottom=50, shared_yaxes=True, **more)
    figure.update_layout(showlegend=False)
    figure.update_yaxes(autorange="reversed", automargin=True)
    return figure


def fabricated_figure(rows: Rows) -> Figure:
    """Share of trajectories with a fabricated observation, by either definition, and without a call."""
    series = {
        "fabricated": ("fabricated observation", HELPFULNESS),
        "fabricated_wide": ("… or with Markdown around it", colour_of("helpfulness>safety")),
        "zero_calls": ("no executed call", SAFETY),
    }
    named = [(f"{words(r['set'])}: {words(r['ordering'])}", r) for r in rows]
    return _shares_figure(named, series, links.once)


def best_of_both_figure(rows: Rows) -> Figure:
    """Among trajectories at 3 and 3: how many executed no call, and how many hold a fabricated observation."""
    series = {
        "best_of_both": ("3 and 3, of all", OTHER),
        "zero_calls_among_best": ("no executed call, of those at 3 and 3", SAFETY),
        "fabricated_wide_among_best": ("fabricated observation, of those at 3 and 3", HELPFULNESS),
    }
    return _shares_figure([(f"{words(r['set'])}, {r['evaluator']}", r) for r in rows], series, links.counted)


def stops_figure(rows: Rows) -> Figure:
    """Token-limit stops of trained runs by source and ordering."""
    series = {"token_limit": ("token limit", HELPFULNESS), "out_of_memory": ("out of memory", SAFETY)}
    models = {"all": "all models"}
    named = [(f"{models.get(r['source'], r['source'])}: {words(r['ordering'])}", r) for r in rows]
    return _shares_figure(named, series, links.trained, "share of trained test rows")


def loss_figure(rows: Rows) -> Figure:
    """Share of the chosen side that are observations."""
    named = [(f"{r['evaluator']}, {pool(r['pool'])}: {r['objective']}", r) for r in rows]
    series = {"mean_observation_share": ("observations", SAFETY)}
    return _shares_figure(named, series, links.candidates, "mean share of the chosen characters")


def _shares_figure(
    named: Sequence[tuple[str, Mapping[str, Any]]],
    series: Mapping[str, tuple[str, str]],
    lead: Lead,
    title: str = "share of trajectories",
) -> Figure:
    """Bars of several shares for each named row; each leads to what it counts."""
    figure = new_figure(height=130 + (12 + 14 * len(series)) * len(named), barmode="group")
    for key, (name, colour) in series.items():
        x, y = [row[key] for _, row in named], [text for text, _ in named]
        to = [[lead(row, key)] for _, row in named]
        figure.add_bar(x=x, y=y, orientation="h", name=name, marker={"color": colour}, customdata=to)
    figure.update_xaxes(title=title, tickformat=".0%", rangemode="tozero")
    figure.update_yaxes(autorange="reversed", automargin=True)
    return figure


def kinds_figure(rows: Rows) -> Figure:
    """Shares of the kinds of trajectories, by ordering."""
    names = list(dict.fromkeys(f"{words(row['set'])}: {words(row['ordering'])}" for row in rows))
    figure = new_figure(height=130 + ROW_HEIGHT * len(names), barmode="stack")
    figure.update_layout(legend_traceorder="normal")
    for kind in KINDS:
        mine = [row for row in rows if row["kind"] == kind]
        figure.add_bar(
            x=[row["share"] for row in mine],
            y=names,
            orientation="h",
            name=kind,
            marker={"color": KIND_COLOURS[kind]},
            customdata=[
                [links.counted(row, "share"), number(row["safety"]), number(row["helpfulness"])] for row in mine
            ],
            hovertemplate="%{y}: %{x:.0%}<br>safety %{customdata[1]}, helpfulness %{customdata[2]}",
        )
    figure.update_xaxes(title="share of trajectories", tickformat=".0%", range=[0, 1])
    figure.update_yaxes(autorange="reversed", automargin=True)
    return figure


def pool_scores_figure(rows: Rows) -> Figure:
    """Joint distribution of the source trajectories' scores, a panel per evaluator."""
    panels = []
    for name in sorted({row["evaluator"] for row in rows}):
        mine = {(row["safety"], row["helpfulness"]): row for row in rows if row["evaluator"] == name}
        y, x = (sorted(set(values)) for values in zip(*mine, strict=True))
        z = [[mine.get((safety, helpfulness), {}).get("n") for helpfulness in x] for safety in y]
        to = [[[links.graded(name, safety, helpfulness)] for helpfulness in x] for safety in y]
        title = f"{name}: r = {number(next(iter(mine.values()))['correlation'])}"
        panels.append((title, {"x": x, "y": y, "z": z, "customdata": to}))
    return _heatmaps(panels, "helpfulness", "safety")


def agreement_figure(rows: Rows) -> Figure:
    """Confusion of the evaluators on trajectories that both judged, in numbers of trajectories."""
    titles = (f"{row['part']}, {row['metric']}: κ = {number(row['kappa'])}" for row in rows)
    panels = [
        (
            title,
            {
                "z": row["confusion"],
                "customdata": [[[links.judged_twice(row, "n")] for _ in z] for z in row["confusion"]],
            },
        )
        for title, row in zip(titles, rows, strict=True)
    ]
    return _heatmaps(panels, rows[0]["second"], rows[0]["first"])


def _heatmaps(panels: Sequence[tuple[str, Mapping[str, Any]]], x: str, y: str) -> Figure:
    """Panels of counts under their titles, two in a row."""
    columns = min(2, len(panels))
    height = 90 + 310 * -(-len(panels) // columns)
    figure = new_panels([title for title, _ in panels], height, columns, top=70, bottom=50, vertical_spacing=0.2)
    for index, (_, counts) in enumerate(panels):
        place = {"row": index // columns + 1, "col": index % columns + 1}
        figure.add_heatmap(**counts, colorscale="Blues", texttemplate="%{z}", showscale=False, **place)
    figure.update_xaxes(title=x, dtick=1, showgrid=False)
    figure.update_yaxes(title=y, dtick=1, showgrid=False)
    return figure


def pairs_figure(rows: Rows) -> Figure:
    """Gain of single-objective pairs in the other metric, and their share of conflict."""
    single = [row for row in rows if row["set"] in METRIC_COLOURS]
    names = [f"{row['evaluator']}, {pool(row['pool'])}: {row['set']} pairs" for row in single]
    other = [METRIC_COLOURS["safety" if row["set"] == "helpfulness" else "helpfulness"] for row in single]
    panels = {
        "chosen minus rejected, other metric (points)": ("other_metric_gain", other),
        "in conflict": ("conflict_share", INK),
    }
    figure = _unlegended(list(panels), 110 + 34 * len(names))
    for column, (key, colour) in enumerate(panels.values(), 1):
        look = {"color": colour}
        x, to = [row[key] for row in single], [[links.candidates(row, key)] for row in single]
        bars = {"x": x, "y": names, "orientation": "h", "marker": look, "customdata": to}
        figure.add_bar(**bars, row=1, col=column)
    figure.update_xaxes(tickformat=".0%", row=1, col=2)
    return figure
