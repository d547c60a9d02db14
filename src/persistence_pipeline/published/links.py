"""Where numbers of the re-analysis lead: the trajectories that they count, as states of the page's view.

A state names its agents by an expression on them (``of``) and its trajectories by one on what is known of these
(``where``). Numbers of pairs and of two judgements of one trajectory lead to what they were made from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from persistence_pipeline.analysis.persistence import ARMS
from persistence_pipeline.orderings import SOURCE
from persistence_pipeline.published.audits import ALL, KINDS, TOKEN_LIMIT
from persistence_pipeline.published.pairs import CLEAN
from persistence_pipeline.records import METRICS
from persistence_pipeline.report.links import BOTH_ORDERS, WORST, trajectories

Row = Mapping[str, Any]
WHO = ("set", "source", "ordering", "beta", "seed", "evaluator")
"""What tells agents apart, each with the set that it was evaluated in and the evaluator that judged it."""
POOL = "pool"


def written(value: Any) -> str:
    """A name or a number as expressions have it."""
    return f'"{value}"' if isinstance(value, str) else f"{value:g}"


NO_CALL = "calls = 0"
BEST = "safety = 3 and helpfulness = 3"
TRAINED = f"not ordering = {written(SOURCE)}"
AT_LIMIT = f"stop = {TOKEN_LIMIT}"
COUNTED = {
    "fabricated": "fabricated",
    "fabricated_wide": "fabricated_wide",
    "zero_calls": NO_CALL,
    "best_of_both": BEST,
    "n_best": BEST,
    "zero_calls_among_best": f"{BEST} and {NO_CALL}",
    "fabricated_among_best": f"{BEST} and fabricated",
    "fabricated_wide_among_best": f"{BEST} and fabricated_wide",
    "token_limit": AT_LIMIT,
    "out_of_memory": "stop = error",
    **{f"{metric}_at_limit": AT_LIMIT for metric in METRICS},
    **{f"{metric}_otherwise": f"not {AT_LIMIT}" for metric in METRICS},
}
"""By column of an audit: what of a row's trajectories it counts; all where it is not here."""
MADE_OF = {
    KINDS[0]: "calls > 0 and not fabricated_wide",
    KINDS[1]: "calls > 0 and fabricated_wide",
    KINDS[2]: f"{NO_CALL} and fabricated_wide",
    KINDS[3]: f"{NO_CALL} and not fabricated_wide",
}
"""The kinds of trajectories as expressions."""
LEFT_OUT = {
    "token-limit stops": AT_LIMIT,
    "token-limit and out-of-memory stops": f"({AT_LIMIT} or stop = error)",
    "fabricated observations": "fabricated",
    "fabricated observations, Markdown around them or not": "fabricated_wide",
    "no executed call": NO_CALL,
    "3 and 3 without an executed call": f"({BEST} and {NO_CALL})",
}
"""The suspect groups of the sensitivity table as expressions."""


def agents(row: Row, *further: str) -> str:
    """The expression of a row's agents, by what it has of ``WHO``."""
    named = {name: row[name] for name in WHO if row.get(name) not in (None, ALL)}
    return " and ".join([*(f"{name} = {written(value)}" for name, value in named.items()), *further])


def to(row: Row, *where: str, **state: str) -> str:
    """The trajectories of a row's agents of which all of ``where`` holds; the worst in front."""
    return trajectories(of=agents(row), where=" and ".join(filter(None, where)), **{**WORST, **state})


def counted(row: Row, key: str) -> str:
    """Of an audit: what a column counts, sorted by the metric that it is a mean of."""
    metric = next((metric for metric in METRICS if key.startswith(metric)), METRICS[0])
    return to(row, MADE_OF.get(row.get("kind", ""), ""), COUNTED.get(key, ""), sort=metric)


def once(row: Row, key: str) -> str:
    """The same for an audit that takes a trajectory of the pool once, however many evaluators judged it."""
    again = "not again" if row["set"] == POOL else ""
    return to(row, again, COUNTED.get(key, ""))


def trained(row: Row, key: str) -> str:
    """The same for an audit of trained agents alone."""
    return to(row, TRAINED, COUNTED.get(key, ""))


def candidates(row: Row, _: str) -> str:
    """Of pairs: the source trajectories that they were made of."""
    clean = "not fabricated_wide" if row["pool"] == CLEAN else ""
    return to({"set": POOL, "evaluator": row["evaluator"]}, clean)


def rows_of_run(row: Row, _: str) -> str:
    """The rows of one run, or of one point."""
    return to(row)


def judged_twice(row: Row, _: str) -> str:
    """Of two evaluators: what both judged, of the pool, or of the test halves of the sets."""
    pooled = f"set = {written(POOL)}"
    return to({}, pooled if row["part"] == POOL else f"not {pooled}", "twice")


def without(row: Row, key: str) -> str | None:
    """Of the sensitivity table: the rows left out, if any, or those that are left."""
    group = LEFT_OUT.get(row["without"], "")
    if key == "n_excluded":
        return to({"set": row["set"]}, group) if group else None
    return to({"set": row["set"]}, f"not {group}" if group else "")


def graded(evaluator: str, safety: float, helpfulness: float) -> str:
    """The trajectories of the pool that an evaluator gave these scores."""
    scores = (f"safety = {written(safety)}", f"helpfulness = {written(helpfulness)}")
    return to({"set": POOL, "evaluator": evaluator}, *scores)


def surviving(row: Row, metric: str) -> str:
    """Of a persistence: where S>H differs from H, or H>S from S."""
    first, floor, gain = ARMS[metric]
    return between(row, first, floor, metric, SOURCE, gain)


def between(row: Row, first: str, second: str, metric: str, *further: str) -> str:
    """The cases on which two orderings of a row's place differ, the largest loss of the first in front."""
    shown = " or ".join(f"ordering = {written(name)}" for name in (first, second, *further))
    of = agents(row, f"({shown})")
    return trajectories(of=of, minus=f"{first},{second}", sort=f"gap_{metric}")


def stage(row: Row, key: str, metric: str) -> str:
    """Of what one stage does (``gain``: the metric's own, ``side_effect``: the other's): against the source."""
    _, floor, gain = ARMS[metric]
    return between(row, gain if key == "gain" else floor, SOURCE, metric)


def orders(row: Row, metric: str) -> str:
    """The cases on which S>H and H>S differ."""
    return between(row, *BOTH_ORDERS, metric)


def place(key: str, known: Iterable[str]) -> dict[str, str]:
    """Source and evaluator that an average is of, by its name (``all``, one of them, ``source|evaluator``).

    Args:
        key: The name.
        known: All names.
    """
    source, bar, evaluator = key.rpartition("|")
    if bar:
        return {"source": source, "evaluator": evaluator}
    pairs = [name.rpartition("|") for name in known if "|" in name]
    own = {"source": {source for source, _, _ in pairs}, "evaluator": {evaluator for _, _, evaluator in pairs}}
    return {name: key for name, values in own.items() if key in values}


class OfPlace:
    """Where points of the frontier lead, of the agents of a set, a source or an evaluator.

    Args:
        row: What they have in common.
    """

    def __init__(self, row: Row) -> None:
        self._row = row

    def agents(self, row: Row, _: str) -> str:
        """The trajectories of a point, or of the source."""
        return to({**self._row, **{name: row[name] for name in WHO if name in row}})
