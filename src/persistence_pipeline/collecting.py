"""Python's collector of cyclic garbage, kept away from what need not be looked through again and again.

torch, transformers and TRL bring half a million objects. Every full pass of the collector looks at each of
them, and importing them sets off a dozen such passes: a quarter of the time of the imports, and a tenth of a small
study.
"""

from __future__ import annotations

import gc
import importlib
import sys


def import_unwatched(*modules: str) -> None:
    """Import modules without a pass of the collector, and set aside what they brought.

    Args:
        modules: Full names; those that have been imported already cost nothing.
    """
    new = [name for name in modules if name not in sys.modules]
    if not new:
        return
    watched = gc.isenabled()
    gc.disable()
    try:
        for name in new:
            importlib.import_module(name)
    finally:
        if watched:
            gc.enable()
    gc.freeze()


def collect_and_set_aside() -> None:
    """Free what has been left in cycles, such as a trainer with its models, and set aside all that lives on."""
    gc.collect()
    gc.freeze()
