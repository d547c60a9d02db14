"""What groups of parameters have in common: they take what they say, and nothing that could be meant otherwise."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Strict(BaseModel):
    """Settings that refuse unknown names, yes or a text in place of a number, and numbers that are not finite."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


Seed = Annotated[int, Field(ge=0, lt=2**32)]
"""NumPy takes seeds of 32 bits."""
