"""Preference pairs that somebody has put where the pipeline's own would be."""

from __future__ import annotations

import json
import re
from typing import Any

from kedro.pipeline import Pipeline

from persistence_pipeline.provenance.outdated import Books
from persistence_pipeline.provenance.recorded import shown_place
from persistence_pipeline.study import StudyError, parse_design

COPIERS = ("take_own_pairs", "take_published_pairs")
"""Nodes that copy pairs to where the pipeline's own would be."""
_PAIRS = re.compile(r"(.+)\.pairs_(\w+)")


def refuse_foreign_pairs(books: Books, pipeline: Pipeline, catalog: Any) -> None:
    """Refuse to overwrite pairs that the pipeline did not make, or to train on them beside another set's audit.

    Args:
        books: Records and data as they are.
        pipeline: What is to run.
        catalog: Of the session.

    Raises:
        StudyError: naming the file and where pairs of one's own belong.
    """
    if parse_design(books.parameters["study"]).pairs != "candidates":
        return
    for name in sorted(pipeline.datasets()):
        found = _PAIRS.fullmatch(name)
        if found and catalog.exists(name) and not _of_the_pipeline(books, catalog, *found.groups()):
            does = "overwrite them" if name in pipeline.all_outputs() else "use them beside the audit of others"
            raise StudyError(
                f"{shown_place(catalog.get(name))}: no run has made these pairs, and this one would {does}; "
                "move the file and name it in an environment of its own: "
                f"`study: {{pairs: own, own_pairs: {{{found[2]}: PATH}}}}` (docs/bring-your-own.md)"
            )


def _of_the_pipeline(books: Books, catalog: Any, arm: str, objective: str) -> bool:
    """Whether a record knows these pairs, or else the table that is made with them lists the same."""
    name, table = f"{arm}.pairs_{objective}", f"{arm}.pair_table_{objective}"
    now = books.digests.of([name]).get(name)
    for maker in (f"make_pairs_{objective}", *COPIERS):
        record = books.ledger.read(f"{arm}.{maker}")
        if record and (not record.finished or record.outputs.get(name) == now):
            return True
    if not catalog.exists(table):
        return False
    with catalog.get(name)._location.open() as lines:
        written = [_identity(line) for line in lines if not line.isspace()]
    return written == list(catalog.load(table)["pair_id"])


def _identity(line: bytes) -> Any:
    """Of a pair; none where the line does not hold one."""
    try:
        return json.loads(line)["pair_id"]
    except (ValueError, TypeError, KeyError):
        return None
