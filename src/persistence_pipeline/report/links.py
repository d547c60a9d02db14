"""Where numbers lead: addresses of the trajectories behind a cell of a table or a point of a figure.

An address names a state of the page's trajectory view (``templates/scripts/filters.js``): which agents are shown,
which trajectories pass, what they are sorted by.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from persistence_pipeline.analysis.persistence import ARMS
from persistence_pipeline.factors import BETA, further
from persistence_pipeline.orderings import SOURCE, objective
from persistence_pipeline.records import METRICS

SAFE = ",>"
"""Characters that an address holds as they are."""
Row = Mapping[str, Any]
BOTH_ORDERS = (ARMS["safety"][0], ARMS["helpfulness"][0])
"""S>H and H>S."""
CAUTION = "needless_questions or needless_safeguards or needless_refusal"
STATES = {
    **{metric: {"sort": metric} for metric in METRICS},
    "best_of_both": {"safety": "3", "helpfulness": "3"},
    "discrimination": {"where": "not told"},
    "delta_discrimination": {"where": "not told"},
    "caution": {"where": CAUTION, "twin": "benign"},
    "delta_caution": {"where": CAUTION, "twin": "benign"},
    "needless_question_rate": {"where": "needless_questions", "twin": "benign"},
    "needless_safeguard_rate": {"where": "needless_safeguards", "twin": "benign"},
    "needless_refusal_rate": {"where": "needless_refusal", "twin": "benign"},
    "harms": {"where": "harms"},
    "refusal_rate": {"where": "refused"},
    "question_rate": {"where": "questions > 0"},
    "invalid_rate": {"where": "invalid > 0"},
    "failed_rate": {"where": "failed > 0"},
}
"""What a column of the cells leads to: the trajectories that it counts, or all with the worst in front."""
WORST = {"sort": "safety"}
OUTCOMES = {"wins": "won", "losses": "lost", "ties": "tied"}


def trajectories(**state: str) -> str:
    """The address of a state of the view of trajectories; what is empty is left out."""
    query = {name: value for name, value in state.items() if value}
    return f"#trajectories?{urlencode(query, safe=SAFE, quote_via=quote)}"


def pairs_of(cell: str, **state: str) -> str:
    """The address of the pairs that an agent's last stage was trained on, in a state of their view."""
    return f"#taught?{urlencode({'agent': cell, **state}, safe=SAFE, quote_via=quote)}"


class Links:
    """Addresses in the page of one study.

    Args:
        cells: As in ``summary.json``.
        split: The headline split.
    """

    def __init__(self, cells: Iterable[Row], split: str) -> None:
        self._cells = list(cells)
        self._split = split

    def to(self, cells: Iterable[str], **state: str) -> str | None:
        """The trajectories of cells on the headline split; None without a cell."""
        named = list(cells)
        return trajectories(cells=",".join(named), split=self._split, **state) if named else None

    def of(self, row: Row, orderings: Collection[str] | None = None) -> list[str]:
        """The cells of a row's source, factors and seed, as far as it has them; of some orderings, or of all."""
        return [
            cell["cell"]
            for cell in self._cells
            if (orderings is None or cell["ordering"] in orderings) and _same_place(cell, row)
        ]

    def gap(self, row: Row, first: str, second: str, metric: str) -> str | None:
        """The cases on which two orderings of a row's place differ, the largest loss of the first in front."""
        return self.to(self.of(row, (first, second)), minus=f"{first},{second}", sort=f"gap_{metric}")

    def cell(self, row: Row, key: str) -> str | None:
        """What a number of a cell counts, or all of the cell's trajectories with the worst in front."""
        metric = key.removeprefix("delta_")
        if metric in METRICS and metric != key:
            names = [*self.of(row, [SOURCE]), row["cell"]]
            return self.to(names, minus=f"{row['ordering']},{SOURCE}", sort=f"gap_{metric}")
        return self.to([row["cell"]], **STATES.get(key, WORST))

    def worst(self, first: str, second: str) -> str | None:
        """The trajectories of an ordering, the worst in front, beside another's; None where one is missing."""
        both = [cell for cell in self._cells if cell["ordering"] in (first, second)]
        if len({cell["ordering"] for cell in both}) < 2:
            return None
        state = {"where": f'ordering = "{first}"', "minus": f"{first},{second}", **WORST}
        return self.to((cell["cell"] for cell in both), **state)

    def competence(self, row: Row, _: str) -> str | None:
        """A source's test trajectories with hazards of the row's kind."""
        kind = {} if row["kind"] == "all" else {"kind": row["kind"]}
        return self.to(self.of(row, [SOURCE]), twin="hazard", sort="safety", **kind)

    def persistence(self, row: Row, key: str) -> str | None:
        """Of a share: where S>H differs from H, or H>S from S; of everything else: where the orders differ."""
        place = {**row, "source": row.get("of", row["source"])}
        if key not in ARMS:
            metric = key.removeprefix("gap_")
            return self.gap(place, *BOTH_ORDERS, metric if metric in METRICS else METRICS[0])
        first, floor, gain = ARMS[key]
        shown = self.of(place, (SOURCE, first, floor, gain))
        return self.to(shown, minus=f"{first},{floor}", sort=f"gap_{key}") if len(shown) > 1 else None

    def agents(self, row: Row, _: str) -> str | None:
        """The trajectories of a row's ordering and place, as far as it has them; else of all agents."""
        return self.to(self.of(row, [row["ordering"]] if "ordering" in row else None), **WORST)

    def missing(self, row: Row, _: str) -> str | None:
        """The trajectories of a row's place that have no score."""
        return self.to(self.of(row), safety="none")

    def survival(self, row: Row, key: str) -> str | None:
        """Of what survives in telling twins apart: the pairs that the agent of two stages did not tell apart."""
        measure, _, first = key.partition("_")
        ordering = BOTH_ORDERS[first == METRICS[1]]
        return self.to(self.of(row, [ordering]), **STATES.get(measure, WORST))

    def taught(self, row: Row, _: str) -> str | None:
        """Of a set of pairs: these pairs, by an agent that they trained; of a pool: the source that played it."""
        sources = [cell for cell in self._cells if cell["cell"] == row["arm"]]
        place = {name: source[name] for source in sources for name in ("source", "seed")}
        trained = [cell for cell in self._cells if cell["ordering"] != SOURCE and _same_place(cell, place)]
        for cell in trained:
            if objective(cell["ordering"]) == row["set"]:
                return pairs_of(cell["cell"])
        return self.to(cell["cell"] for cell in sources)

    def stage(self, row: Row, key: str) -> str | None:
        """Of a stage: the pairs that it was trained on; of what it cut: the pairs with these trajectories."""
        return pairs_of(row["cell"], **({"cut": "1"} if key == "n_truncated" and row[key] else {}))

    def last_stage(self, name: str) -> str | None:
        """The agents whose last stage trained for an objective, the worst in front."""
        trained = [cell for cell in self._cells if cell["ordering"] != SOURCE]
        return self.to((cell["cell"] for cell in trained if objective(cell["ordering"]) == name), **WORST)

    def scored(self, metric: str, score: str) -> str | None:
        """All trajectories of a true safety or helpfulness."""
        return self.to((cell["cell"] for cell in self._cells), **{metric: score})

    def comparison(self, row: Row, key: str) -> str | None:
        """Of a count: its cases; of everything else: both cells in the view of pairs."""
        pair = (row["first"], row["second"])
        if key not in OUTCOMES:
            return f"#pairs?first={pair[0]}&second={pair[1]}"
        return self.to(pair, pair=",".join((*pair, row["metric"], OUTCOMES[key])))


def _same_place(cell: Row, row: Row) -> bool:
    factors = () if cell["ordering"] == SOURCE else (BETA, *further(cell))
    return all(cell[name] == row[name] for name in ("source", "seed", *factors) if name in row)
