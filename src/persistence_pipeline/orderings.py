"""An ordering is a sequence of stages, each named by its objective and joined by ``>``: ``safety>helpfulness``.

What follows from it stands here and nowhere else: the objective of its last stage, the ordering that it starts
from, how it is written, its place in tables and figures, its colour and its shape. The source, which no stage has
trained, is the ordering of no stages.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from persistence_pipeline.records import OBJECTIVES, Objective

SOURCE = "source"
"""The ordering of models before any stage."""
NEXT = ">"
COLOURS = {
    "safety": ("#0072B2", "#56B4E9"),
    "helpfulness": ("#D55E00", "#E69F00"),
    "both": ("#009E73", "#66C2A5"),
}
"""By first stage: alone, and with stages after it. Colour-blind readers tell them apart (Okabe–Ito)."""
SOURCE_COLOUR = "#7f7f7f"
SYMBOLS = {
    "safety": ("square", "triangle-left", "star-square"),
    "helpfulness": ("circle", "triangle-right", "star"),
    "both": ("diamond", "triangle-up", "star-diamond"),
}
"""By last stage: for one stage, two, and more."""
SOURCE_SYMBOL = "cross"


def stages(ordering: str) -> tuple[Objective, ...]:
    """The objectives of the stages, in the order in which they are trained; none for the source.

    Raises:
        ValueError: naming the stage that is no objective.
    """
    if ordering == SOURCE:
        return ()
    named = {str(objective): objective for objective in OBJECTIVES}
    found = []
    for stage in ordering.split(NEXT):
        if stage not in named:
            raise ValueError(
                f"ordering {ordering!r}: {stage!r} is no stage; an ordering is one or more of "
                f"{', '.join(OBJECTIVES)}, joined by {NEXT}"
            )
        found.append(named[stage])
    return tuple(found)


def sequence(*objectives: Objective) -> str:
    """The ordering of these stages."""
    return NEXT.join(objectives)


def check(ordering: str) -> str:
    """The ordering of a trained agent, as it was given.

    Raises:
        ValueError: it is none.
    """
    if not stages(ordering):
        raise ValueError(f"ordering {ordering!r}: the source is trained on nothing")
    return ordering


def objective(ordering: str) -> Objective:
    """The objective of the last stage."""
    return stages(ordering)[-1]


def parent(ordering: str) -> str:
    """The ordering that the last stage starts from; the source's where there is one stage."""
    return NEXT.join(stages(ordering)[:-1]) or SOURCE


def slug(ordering: str) -> str:
    """The ordering as it stands in the names of cells and files."""
    return ordering.replace(NEXT, "_then_")


def label(ordering: str) -> str:
    """The ordering as it is written in figures and tables."""
    return ordering.replace(NEXT, f" {NEXT} ")


def place(ordering: str) -> tuple[int, ...]:
    """Sorts orderings: the source, then by number of stages, then stage by stage."""
    sequence = stages(ordering)
    return (len(sequence), *map(OBJECTIVES.index, sequence))


def in_order(orderings: Iterable[Any]) -> list[str]:
    """Each of the orderings once, in the order of all tables and figures."""
    return sorted(set(map(str, orderings)), key=place)


def colour_of(ordering: str) -> str:
    """Its colour, as hexadecimal RGB."""
    sequence = stages(ordering)
    return COLOURS[sequence[0]][len(sequence) > 1] if sequence else SOURCE_COLOUR


def symbol_of(ordering: str) -> str:
    """Its shape, by plotly's name."""
    sequence = stages(ordering)
    if not sequence:
        return SOURCE_SYMBOL
    by_length = SYMBOLS[sequence[-1]]
    return by_length[min(len(sequence), len(by_length)) - 1]
