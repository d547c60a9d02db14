"""What a study could see: power of Student's t over chains, by which the intervals here are made.

``spread`` is the standard deviation between chains of the number asked about, from a pilot: it holds training,
source and cases at once. More cases lower its part from cases only.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from persistence_pipeline.analysis.intervals import ALPHA

MOST_SEEDS = 10_000


def power_of_difference(effect: float, spread: float, seeds: int, alpha: float = ALPHA) -> float:
    """Probability that an effect of this size is told from zero, in its direction (noncentral t)."""
    from scipy import stats

    df, shift = seeds - 1, abs(effect) / spread * math.sqrt(seeds)
    return float(stats.nct.sf(stats.t.ppf(1 - alpha / 2, df), df, shift))


def power_of_equivalence(margin: float, spread: float, seeds: int, alpha: float = ALPHA) -> float:
    """Probability that an effect of zero is shown to be smaller than the margin (two one-sided t tests).

    The tests pass where the size of t is below margin / error − t(1 − α); over the error's distribution it is
    integrated.
    """
    import numpy as np
    from scipy import stats

    df = seeds - 1
    errors = spread / math.sqrt(seeds) * np.sqrt(stats.chi2.ppf((np.arange(2000) + 0.5) / 2000, df) / df)
    room = margin - errors * stats.t.ppf(1 - alpha, df)
    inside = 2 * stats.norm.cdf(np.maximum(room, 0) / (spread / math.sqrt(seeds))) - 1
    return float(inside.mean())


def highest_spread(spread: float, seeds: int) -> float:
    """Upper bound, at 95%, of a standard deviation that was measured with this many chains (chi²)."""
    from scipy import stats

    df = seeds - 1
    return float(spread * math.sqrt(df / stats.chi2.ppf(ALPHA, df)))


def smallest_effect(spread: float, seeds: int, power: float, alpha: float = ALPHA) -> float:
    """The effect that is told from zero with this probability."""
    from scipy import optimize

    def lacking(effect: float) -> float:
        return power_of_difference(effect, spread, seeds, alpha) - power

    return float(optimize.brentq(lacking, 1e-9 * spread, 1e4 * spread))


def seeds_needed(effect: float, spread: float, power: float, alpha: float = ALPHA) -> int | None:
    """Least number of chains that tell an effect from zero with this probability; None above ``MOST_SEEDS``."""
    return _least(lambda seeds: power_of_difference(effect, spread, seeds, alpha) >= power)


def seeds_for_equivalence(margin: float, spread: float, power: float, alpha: float = ALPHA) -> int | None:
    """Least number of chains that show an effect of zero to be smaller than the margin."""
    return _least(lambda seeds: power_of_equivalence(margin, spread, seeds, alpha) >= power)


def _least(enough: Callable[[int], bool]) -> int | None:
    """Least number from 2 on that is enough, by doubling and halving."""
    high = 2
    while not enough(high):
        high *= 2
        if high > MOST_SEEDS:
            return None
    low = max(1, high // 2)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
