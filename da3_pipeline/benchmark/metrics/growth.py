"""How what is measured grows with the size of a capture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from ...arrays import Float

__all__ = ["Growth", "growth_of"]

_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Growth:
    """t ~ size ** exponent, and the interval that holds it with 95 %; both ends NaN where too few sizes say."""

    exponent: float
    low: float
    high: float

    def __str__(self) -> str:
        interval = "" if np.isnan(self.low) else f" [{self.low:.2f}, {self.high:.2f}]"
        return f"{self.exponent:.2f}{interval}"


def growth_of(sizes: Float, seconds: Float) -> Growth:
    """Least squares of log time on log size, (K,) each, with Student's interval of the slope."""
    x, y = np.log(sizes), np.log(np.maximum(seconds, 1e-9))
    if len(np.unique(x)) < 2:
        return Growth(*[float("nan")] * 3)
    fitted = stats.linregress(x, y)
    if len(x) < 3:
        return Growth(float(fitted.slope), float("nan"), float("nan"))
    reach = float(stats.t.ppf((1 + _CONFIDENCE) / 2, len(x) - 2)) * float(fitted.stderr)
    return Growth(float(fitted.slope), float(fitted.slope) - reach, float(fitted.slope) + reach)
