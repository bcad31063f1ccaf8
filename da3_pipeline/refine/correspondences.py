"""From photographs to a graph of geometrically verified matches."""

from __future__ import annotations

from dataclasses import dataclass

from .features import Features
from .verification import PairMatches

__all__ = ["Correspondences", "Features", "PairMatches"]


@dataclass(frozen=True)
class Correspondences:
    """features: one per frame of the prediction, in its order. pairs: verified ones, sorted by (i, j)."""

    features: tuple[Features, ...]
    pairs: tuple[PairMatches, ...]
