"""The page on parameters names every group, and the class that really describes it."""

from __future__ import annotations

import re
from importlib import import_module

from tests.parameters.sessions import ROOT

from persistence_pipeline.parameters import Parameters

ROW = re.compile(r"^\| (`[^|]+`) \| [^|]+ \| `([\w.]+)` \|$", re.MULTILINE)


def test_every_group_is_on_the_page_with_its_class() -> None:
    rows = ROW.findall((ROOT / "docs/parameters.md").read_text("utf-8"))
    groups = [name for cell, _ in rows for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(groups) == sorted(Parameters.model_fields)
    for cell, described in rows:
        module, _, name = described.rpartition(".")
        if name[0].isupper():
            found = getattr(import_module(f"persistence_pipeline.{module}"), name)
            for group in re.findall(r"`(\w+)`", cell):
                kind = str(Parameters.model_fields[group].annotation)
                assert found is Parameters or name in kind or "Settings" in kind, (group, kind)
        else:
            import_module(f"persistence_pipeline.{described}")
