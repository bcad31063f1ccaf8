"""Which frames hold together: grown like an incremental reconstruction, from points that two joined frames agree on.

Connectivity by shared matches is not enough: two halves that only share two-view points have no common scale.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix, triu

from ...arrays import Bool, Int
from ...grouping import Groups
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
    shared = triu(sees.T @ sees, 1, format="csr").tocoo()
    first, second = shared.row, shared.col  # row by row, so that of equals the first pair is taken
    by_three = np.asarray((long.T @ long).tocsr()[first, second]).ravel()
    by_frame = Groups.of(observations.frame, num_frames)
    by_track = Groups.of(observations.track, observations.num_tracks)
    groups: list[Int] = []
    free = np.ones(num_frames, bool)
    while True:
        among_free = free[first] & free[second]
        count = np.where(among_free, by_three, 0)
        if count.max(initial=0) < min_points:
            count = np.where(among_free, shared.data, 0)
        if count.max(initial=0) < min_points:
            break
        strongest = int(count.argmax())
        joined = _grown(observations, by_frame, by_track, free, (first[strongest], second[strongest]), min_points)
        free[joined] = False
        groups.append(joined)
    component = np.full(num_frames, -1, np.int64)
    for number, group in enumerate(sorted(groups, key=lambda group: (-len(group), group[0]))):
        component[group] = number
    return component


def _grown(
    observations: Observations, by_frame: Groups, by_track: Groups, free: Bool, start: tuple[int, int], min_points: int
) -> Int:
    """The frames, rising, that hold on to the two of `start`, of those that are `free` (N,).

    Each observation is looked at twice: when its frame joins, and when two joined frames see its point.
    """
    joined, known = np.zeros(len(free), bool), np.zeros(observations.num_tracks, np.int64)
    support = np.zeros(len(free), np.int64)
    newcomers = np.array(start)
    while len(newcomers):
        joined[newcomers] = True
        tracks, times = np.unique(
            observations.track[np.concatenate([by_frame[frame] for frame in newcomers])], return_counts=True
        )
        before = known[tracks]
        known[tracks] += times
        carried = tracks[(before < 2) & (known[tracks] >= 2)]
        if not len(carried):
            break
        touched, points = np.unique(
            observations.frame[np.concatenate([by_track[track] for track in carried])], return_counts=True
        )
        support[touched] += points
        newcomers = touched[(support[touched] >= min_points) & free[touched] & ~joined[touched]]
    return np.flatnonzero(joined)
