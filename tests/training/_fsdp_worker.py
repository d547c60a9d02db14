"""A worker under FSDP on CPUs, for tests: accelerate itself turns to DDP there, which is what ``launch`` refuses.

FSDP2 runs over gloo; all that stands in the way is accelerate's list of devices, so the state says GPUs while it
is made.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import accelerate.state as states
from accelerate.utils import DistributedType

from persistence_pipeline.training.worker import main

_make = states.AcceleratorState.__init__


def _as_on_gpus(self: Any, *arguments: Any, **named: Any) -> None:
    made = dict(self._shared_state)
    if not made:
        states.PartialState(cpu=True)
    shared = states.PartialState._shared_state
    kind, shared["distributed_type"] = shared["distributed_type"], DistributedType.MULTI_GPU
    try:
        _make(self, *arguments, **named)
    finally:
        shared["distributed_type"] = kind
        if made:
            self._shared_state["distributed_type"] = made["distributed_type"]


states.AcceleratorState.__init__ = _as_on_gpus
sys.exit(main(Path(sys.argv[1])))
