"""Which frames hold together: grown like an incremental reconstruction, from points that two joined frames agree on.

Connectivity by shared matches is not enough: two halves that only share two-view points have no common scale.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from ...arrays import Int
from .tracks import Observations

__all__ = ["rigid_components"]


def rigid_components(observations: Observations, num_frames: int, min_points: int) -> Int:
    """(N,) number of each frame's component, 0 the largest; -1 for frames in none.

    A frame joins when it sees at least `min_points` points that two joined frames see; a component starts from the
    pair of frames that shares most points that a third frame sees as well, only then from one that shares any.
    """
    shape = (observations.num_tracks, num_frames)
    sees = csr_matrix((np.ones(len(observations)), (observations.track, observations.frame)), shape=shape)
    long = sees.multiply((observations.lengths >= 3)[:, None]).tocsr()
    shared = np.triu((sees.T @ sees).toarray(), 1)
    shared_by_three = np.triu((long.T @ long).toarray(), 1)
    groups: list[Int] = []
    free = np.ones(num_frames, bool)
    while True:
        among_free = free[:, None] & free[None, :]
        open_pairs = np.where(among_free, shared_by_three, 0)
        if open_pairs.max(initial=0) < min_points:
            open_pairs = np.where(among_free, shared, 0)
        if open_pairs.max(initial=0) < min_points:
            break
        joined = np.zeros(num_frames, bool)
        joined[list(np.unravel_index(int(open_pairs.argmax()), open_pairs.shape))] = True
        while True:
            carried = (sees @ joined.astype(float)) >= 2
            newcomers = (sees.T @ carried.astype(float) >= min_points) & free & ~joined
            if not newcomers.any():
                break
            joined |= newcomers
        free &= ~joined
        groups.append(np.flatnonzero(joined))
    component = np.full(num_frames, -1, np.int64)
    for number, group in enumerate(sorted(groups, key=lambda group: (-len(group), group[0]))):
        component[group] = number
    return component
