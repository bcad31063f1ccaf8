"""What a mean over scenes is worth: bootstrap intervals (Efron 1979)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["MeanInterval", "mean_over_scenes"]

_RESAMPLINGS = 2000  # of which the interval's ends are percentiles: they move by about 2 % of its width between seeds


@dataclass(frozen=True)
class MeanInterval:
    """The mean over `scenes` and the interval that holds it in `level` of resamplings of the scenes.

    low and high are NaN below two scenes, where nothing is known of how scenes differ.
    """

    mean: float
    low: float
    high: float
    scenes: int

    def __str__(self) -> str:
        return f"{self.mean:.2f} [{self.low:.2f}, {self.high:.2f}]" if self.scenes > 1 else f"{self.mean:.2f}"


def mean_over_scenes(values: Sequence[float], level: float = 0.95, seed: int = 0) -> MeanInterval:
    """The mean of a value a scene; those that are NaN are left out, infinite ones stay."""
    known = np.array([value for value in values if not np.isnan(value)])
    if not len(known):
        return MeanInterval(np.nan, np.nan, np.nan, 0)
    if len(known) < 2:
        return MeanInterval(float(known.mean()), np.nan, np.nan, 1)
    drawn = np.random.default_rng(seed).integers(0, len(known), (_RESAMPLINGS, len(known)))
    low, high = np.quantile(known[drawn].mean(1), [(1 - level) / 2, (1 + level) / 2], method="nearest")
    return MeanInterval(float(known.mean()), float(low), float(high), len(known))
