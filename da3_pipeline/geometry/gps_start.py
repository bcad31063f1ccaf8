"""Starting points for fitting a scene to GPS: found from minimal sets, so that false positions do not pull."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, islice

import numpy as np

from ..arrays import Float, Int
from .alignment import umeyama
from .gravity import Up, rotation_between
from .poses import Sim3

__all__ = ["starts"]


_PAIRS, _TRIPLES = 1000, 100
_FLAT = 1e-9


def starts(places: Float, metres: Float, up: Up | None, seed: int) -> Iterator[Sim3]:
    """Similarities that take scene `places` (N, 3) to `metres` (N, 3; z may be NaN), N >= 2 different positions.

    One with the cameras' up, from the horizontal coordinates alone; one without it. Each is the best of many minimal
    sets by its median residual (LMedS, Rousseeuw 1984), which holds while fewer than half of the positions are false.
    """
    rng = np.random.default_rng(seed)
    if up is not None:
        level = _level_start(places, metres, rotation_between(up.direction, np.array([0.0, 0, 1])), rng)
        if level is not None:
            yield level
    free = _free_start(places, metres, rng)
    if free is not None:
        yield free


def _level_start(places: Float, metres: Float, level: Float, rng: np.random.Generator) -> Sim3 | None:
    """Heading, scale and position in the plane: w = a z + b in complex numbers, from pairs."""
    turned = places @ level.T
    z, w = turned[:, 0] + 1j * turned[:, 1], metres[:, 0] + 1j * metres[:, 1]
    first, second = _subsets(len(z), 2, _PAIRS, rng).T
    apart = np.abs(z[second] - z[first]) > _FLAT * max(float(np.ptp(places, axis=0).max()), 1e-300)
    apart &= np.abs(w[second] - w[first]) > 0
    first, second = first[apart], second[apart]
    if not len(first):
        return None
    a = (w[second] - w[first]) / (z[second] - z[first])
    b = w[first] - a * z[first]
    residual = np.median(np.abs(w - a[:, None] * z - b[:, None]), axis=1)
    # Among equally good pairs the one farthest apart: with two positions, or exact ones, all residuals are zero.
    best = np.lexsort((-np.abs(w[second] - w[first]), residual.round(6)))[0]
    scale, heading = float(np.abs(a[best])), float(np.angle(a[best]))
    spin = np.array([[np.cos(heading), -np.sin(heading), 0], [np.sin(heading), np.cos(heading), 0], [0, 0, 1.0]])
    rotation = spin @ level
    height = metres[:, 2] - scale * turned[:, 2]
    rise = float(np.nanmedian(height)) if np.isfinite(height).any() else 0.0
    return Sim3(scale, rotation, np.array([b[best].real, b[best].imag, rise]))


def _free_start(places: Float, metres: Float, rng: np.random.Generator) -> Sim3 | None:
    """All seven parameters, from triples with altitudes; from all positions where there are fewer than three."""
    known = np.isfinite(metres).all(axis=1)
    places, metres = places[known], metres[known]
    if len(places) < 2 or np.ptp(places, axis=0).max() == 0:
        return None
    if len(places) == 2:
        return umeyama(places, metres)
    fits = [umeyama(places[s], metres[s]) for s in _subsets(len(places), 3, _TRIPLES, rng)]
    residuals = [float(np.median(np.linalg.norm(fit.apply(places) - metres, axis=1))) for fit in fits]
    return fits[int(np.argmin(residuals))]


def _subsets(count: int, size: int, limit: int, rng: np.random.Generator) -> Int:
    """All subsets of `size` of `count` indices, or `limit` random ones where they are more."""
    everything = list(islice(combinations(range(count), size), limit + 1))
    if len(everything) <= limit:
        return np.array(everything, dtype=np.intp).reshape(-1, size)
    return np.argsort(rng.random((limit, count)), axis=1)[:, :size]
