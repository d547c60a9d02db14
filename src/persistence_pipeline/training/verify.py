"""Checks of what is claimed of a stage: its reference and policy before it, its checkpoint after it.

Checks compare log-probabilities, or weights, with those of checkpoints as they lie on disk, whatever the loss.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from persistence_pipeline.training.encoding import Row
from persistence_pipeline.training.errors import StageError
from persistence_pipeline.training.settings import StageConfig

Values = npt.NDArray[np.float64]


class Tolerance(NamedTuple):
    """The distance that log-probabilities of one completion may have, in nats per token that the agent wrote."""

    mean: float
    """On average over the completions that are compared."""
    most: float
    """In any of them."""


SAME = {"float32": Tolerance(5e-6, 5e-5), "bfloat16": Tolerance(5e-3, 3e-2)}
"""For one model, loaded twice and scored in batches of the same shapes. That gave equal bits throughout.

Measured on CPU between batches of 1 and of 8, random models of 0.5M and of 138M parameters, logits of deviation 3:
float32 2e-7 on average, 1.4e-6 at most; bfloat16 1.5e-3 and 8.2e-3.
"""
SAVED = {"float32": Tolerance(1e-5, 1e-4), "bfloat16": Tolerance(3e-2, 1e-1)}
"""For a policy and its checkpoint: adapters are merged, and weights rounded to what they are saved in.

Measured as above, all weights rounded to bfloat16: 8.4e-3 on average, 2.3e-2 at most.
"""


class Apart(NamedTuple):
    """The distance of two scorings, in nats per token."""

    mean: float
    most: float

    def within(self, tolerance: Tolerance) -> bool:
        """False for nan too."""
        return self.mean <= tolerance.mean and self.most <= tolerance.most


def apart(measured: Values, expected: Values, tokens: Values) -> Apart:
    """Compare log-probabilities of the same completions; ``tokens`` counts the agent's in each."""
    distance = np.abs(measured - expected) / tokens
    return Apart(float(distance.mean()), float(distance.max()))


def count_tokens(rows: Sequence[Row]) -> Values:
    """Tokens that the agent wrote, (2, pairs): chosen, rejected."""
    return np.array([[sum(row[f"{side}_mask"]) for row in rows] for side in ("chosen", "rejected")], dtype=float)


def check_reference(measured: Values, named: Values, tokens: Values, path: Path, config: StageConfig) -> None:
    """See that the trainer's reference is the checkpoint that the settings name.

    Raises:
        StageError: it is not.
    """
    _require(
        apart(measured, named, tokens),
        SAME,
        config,
        f"the reference is not {path} ({config.reference})",
        ": it is another checkpoint (reloaded from the model's config?), its log-probabilities are stale (another "
        "mask?), or dropout is on",
    )


def check_policy(measured: Values, parent: Values, tokens: Values, path: Path, config: StageConfig) -> None:
    """See that the policy before the first step, as it is trained, is the checkpoint that the stage starts from.

    Raises:
        StageError: it is not.
    """
    _require(
        apart(measured, parent, tokens),
        SAME,
        config,
        f"the policy before the first step is not {path}",
        ": other weights were loaded, or dropout is on",
    )


def check_saved(policy: Values, saved: Values, tokens: Values, config: StageConfig) -> Apart:
    """See that the checkpoint is the policy that was trained; how far the two lie apart.

    Raises:
        StageError: it is another.
    """
    difference = apart(policy, saved, tokens)
    _require(difference, SAVED, config, "the saved checkpoint is not the policy that was trained")
    return difference


def _require(
    difference: Apart, tolerances: Mapping[str, Tolerance], config: StageConfig, fault: str, causes: str = ""
) -> None:
    tolerance = tolerances[config.dtype]
    if not difference.within(tolerance):
        raise StageError(
            f"stage on {config.objective}: {fault}: log-probabilities differ by {difference.mean:.2g} nats per "
            f"token, by {difference.most:.2g} at most, where {config.dtype} explains {tolerance.mean:g} and "
            f"{tolerance.most:g}{causes}"
        )


def check_rows(rows: Sequence[Row], tokenizer: Any, config: StageConfig) -> dict[str, int]:
    """Count pairs that say nothing: equal sides, and words that the tokenizer does not know.

    Returns:
        ``n_equal`` pairs whose sides are equal in tokens; ``n_unknown`` tokens of the agent that are unknown ones.

    Raises:
        StageError: all pairs are of that kind, and ``allow_unchanged`` is not set.
    """
    sides = [(row[f"{side}_ids"], row[f"{side}_mask"]) for row in rows for side in ("chosen", "rejected")]
    n_equal = sum(
        all(row[f"chosen_{part}"] == row[f"rejected_{part}"] for part in ("ids", "mask")) for row in rows
    )
    written = [token for ids, mask in sides for token, mine in zip(ids, mask, strict=True) if mine]
    control = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id} | {tokenizer.eos_token_id}
    words = [token for token in written if token not in control]
    n_unknown = sum(token == tokenizer.unk_token_id for token in words)
    if not config.allow_unchanged and n_equal == len(rows):
        raise _nothing(config, f"the sides of all {n_equal} pairs are equal within {config.max_length} tokens")
    if not config.allow_unchanged and words and n_unknown == len(words):
        raise _nothing(config, f"all {n_unknown} words of the agent are unknown to the tokenizer")
    return {"n_equal": n_equal, "n_unknown": n_unknown}


def check_moved(parent: Path, saved: Path, config: StageConfig) -> None:
    """See that some weight of a stage's checkpoint is another than that of its parent.

    Raises:
        StageError: all are as they were, and ``allow_unchanged`` is not set.
    """
    if not config.allow_unchanged and not any(_moved(parent, saved)):
        raise _nothing(
            config,
            f"all weights are those of {parent}, in {config.dtype}: no gradient, or a learning rate "
            f"({config.learning_rate:g}) whose steps are lost in rounding",
        )


def _moved(parent: Path, saved: Path) -> Iterator[bool]:
    """Whether each tensor moved, one after the other, by more than the rounding to the type it is saved in."""
    from safetensors import safe_open

    before: dict[str, Any] = {}
    for file in sorted(parent.glob("*.safetensors")):
        opened = safe_open(file, framework="pt")
        before |= dict.fromkeys(opened.keys(), opened)  # type: ignore[no-untyped-call]
    for file in sorted(saved.glob("*.safetensors")):
        with safe_open(file, framework="pt") as after:
            for name in after.keys():  # noqa: SIM118
                tensor = after.get_tensor(name)
                yield name not in before or not before[name].get_tensor(name).to(tensor.dtype).equal(tensor)


def _nothing(config: StageConfig, why: str) -> StageError:
    return StageError(
        f"stage on {config.objective}: nothing was learnt: {why}. Set allow_unchanged: true to go on regardless"
    )
