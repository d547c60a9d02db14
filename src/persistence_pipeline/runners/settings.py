"""Settings of a run on a cluster (``ray`` in the parameters)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import Field, field_validator

from persistence_pipeline.strict import Strict


class Resources(Strict):
    """Resources that one node of the pipeline holds while it runs, in Ray's logical units."""

    num_cpus: float = Field(1, ge=0)
    num_gpus: float = Field(0, ge=0)
    memory: int = Field(0, ge=0)
    """Bytes; 0: no claim."""

    @field_validator("num_cpus", "num_gpus")
    @classmethod
    def _parts_of_one_only(cls, amount: float) -> float:
        if amount > 1 and amount != int(amount):
            raise ValueError("above 1 it must be a whole number")
        return amount

    def wanted(self) -> dict[str, float]:
        """As Ray's machines declare what they have."""
        named = {"CPU": self.num_cpus, "GPU": self.num_gpus, "memory": float(self.memory)}
        return {name: amount for name, amount in named.items() if amount}


class RaySettings(Strict):
    """The cluster, and what each step of the flow needs of it."""

    address: str | None = None
    """Of the cluster (``host:port``, ``auto``); ``local`` starts one on this machine; none: RAY_ADDRESS."""
    resources: dict[str, Resources] = Field(default_factory=dict)
    """By tag of the pipeline's nodes (``training``, ``rollout``, ...); the others hold one CPU."""
    max_retries: int = Field(3, ge=-1)
    """How often a node is started again after its worker or machine was lost; -1: for ever."""
    connect_timeout: float = Field(60, gt=0)
    """Seconds in which every machine must have answered before anything starts."""

    def needs(self, tags: Iterable[str]) -> Resources:
        """The largest claim among the tags of a node."""
        claims = [self.resources[tag] for tag in sorted(tags) if tag in self.resources]
        if not claims:
            return Resources()
        return Resources(**{name: max(getattr(c, name) for c in claims) for name in Resources.model_fields})


def ray_settings(parameters: Mapping[str, Any], address: str | None) -> RaySettings:
    """Settings of a session; an address given to the runner wins.

    Raises:
        ValidationError: naming the field.
    """
    settings = RaySettings.model_validate(parameters.get("ray") or {})
    return settings.model_copy(update={"address": address}) if address else settings
