"""The node that looks at a policy beside what it does; how episodes are played, each world says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from persistence_pipeline.rollout.plain_text import perplexity
from persistence_pipeline.rollout.run import RolloutSettings
from persistence_pipeline.study import Policy


def read_plain_text(checkpoint: Path, settings: RolloutSettings, policy: Policy) -> dict[str, Any]:
    """Perplexity of a policy on plain text; none where a server plays it, for no weights need be here."""
    row = {"cell": policy.name, "source": policy.source, "seed": policy.seed, "ordering": policy.ordering}
    if settings.served is not None:
        return {**row, "perplexity": None, "tokens": 0}
    value, tokens = perplexity(checkpoint, settings)
    return {**row, "perplexity": value, "tokens": tokens}
