"""What `make test` tries a part of, or leaves out, and `make exhaust` tries whole."""

from __future__ import annotations

import os

import pytest

EXHAUST = "EXHAUST" in os.environ
only_exhausted = pytest.mark.skipif(not EXHAUST, reason="takes minutes: make exhaust")
