"""Matches become tracks: sets of observations of one scene point, at most one a frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from ...arrays import Bool, Float, Int
from ..matching.correspondences import Correspondences

__all__ = ["Observations", "build_tracks", "spread_mask", "spread_subset"]


@dataclass(frozen=True)
class Observations:
    """Observations in the order of their tracks, within a track in the order of frames.

    track (M,) non-decreasing, 0 .. num_tracks - 1, none empty. frame (M,). keypoint (M,) index into the frame's
    features. xy (M, 2) pixels. depth (M,): z-depth by a sensor in its own unit, NaN where it says nothing; None where
    there is no sensor, or it is not believed.
    """

    track: Int
    frame: Int
    keypoint: Int
    xy: Float
    depth: Float | None = None

    def __len__(self) -> int:
        return len(self.track)

    @property
    def num_tracks(self) -> int:
        return int(self.track[-1]) + 1 if len(self.track) else 0

    @property
    def lengths(self) -> Int:
        """(num_tracks,) observations in each track."""
        return np.bincount(self.track, minlength=self.num_tracks)

    def where(self, keep: Bool) -> Observations:
        """The observations where `keep` (M,); tracks keep their numbers, so that some may be empty."""
        return self._chosen(keep, self.track[keep])

    def subset(self, keep: Bool) -> Observations:
        """The observations where `keep` (M,); tracks are numbered anew, in the same order."""
        _, track = np.unique(self.track[keep], return_inverse=True)
        return self._chosen(keep, track.astype(np.int64))

    def _chosen(self, keep: Bool, track: Int) -> Observations:
        depth = None if self.depth is None else self.depth[keep]
        return Observations(track, self.frame[keep], self.keypoint[keep], self.xy[keep], depth)


def build_tracks(correspondences: Correspondences, trusted: Bool | None = None) -> Observations:
    """Joins matches over all pairs into tracks; a track's observations in a frame it meets twice are dropped.

    Tracks that are left in fewer than two frames vanish. `trusted` (all matches, pair after pair) restricts the
    matches. `xy` are the features' original pixels.
    """
    counts = [len(features) for features in correspondences.features]
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    ends = [
        (offsets[pair.i] + pair.matches[:, 0], offsets[pair.j] + pair.matches[:, 1]) for pair in correspondences.pairs
    ]
    if not ends:
        return _empty()
    first, second = (np.concatenate(side).astype(np.int64) for side in zip(*ends, strict=True))
    if trusted is not None:
        first, second = first[trusted], second[trusted]
    if not len(first):
        return _empty()
    nodes, local = np.unique(np.concatenate([first, second]), return_inverse=True)
    graph = coo_matrix((np.ones(len(first), bool), (local[: len(first)], local[len(first) :])), (len(nodes),) * 2)
    _, component = connected_components(graph, directed=False)
    frame = np.searchsorted(offsets, nodes, side="right") - 1
    _, place, visits = np.unique(component * np.int64(len(counts)) + frame, return_inverse=True, return_counts=True)
    single = visits[place] == 1
    long = np.bincount(component[single], minlength=int(component.max()) + 1) >= 2
    keep = single & long[component]
    nodes, component, frame = nodes[keep], component[keep], frame[keep]
    order = np.lexsort((frame, component))
    nodes, frame = nodes[order], frame[order]
    _, track = np.unique(component[order], return_inverse=True)
    xy = np.concatenate([features.xy for features in correspondences.features]).astype(np.float64)[nodes]
    return Observations(track.astype(np.int64), frame.astype(np.int64), nodes - offsets[frame], xy)


def spread_subset(observations: Observations, per_frame: int, size_px: Float, cells: int = 8) -> Observations:
    """The observations that `spread_mask` chooses."""
    return observations.subset(spread_mask(observations, per_frame, size_px, cells))


def spread_mask(observations: Observations, per_frame: int, size_px: Float, cells: int = 8) -> Bool:
    """(M,) whole tracks such that every frame has about `per_frame` observations, longest first, spread over its area.

    size_px (N, 2) widths and heights. Each of cells x cells regions of a frame asks for its share of the longest
    tracks, what poor regions leave over goes to the longest of the rest; a track stays when any frame asks for it.
    """
    if not len(observations):
        return np.zeros(0, bool)
    length = observations.lengths[observations.track]
    column, row = np.minimum(observations.xy / size_px[observations.frame] * cells, cells - 1e-6).T.astype(np.int64)
    place = (observations.frame * cells + np.maximum(row, 0)) * cells + np.maximum(column, 0)
    rank_in_cell = _rank(place, -length)
    share = max(1, per_frame // (cells * cells))
    # Within a frame the cells' first choices come first, then whatever is longest.
    rank_in_frame = _rank(observations.frame, np.where(rank_in_cell < share, -length.max() - 1, 0) - length)
    asked = np.zeros(observations.num_tracks, bool)
    asked[observations.track[rank_in_frame < per_frame]] = True
    return asked[observations.track]


def _rank(group: Int, key: Int) -> Int:
    """Rank of each element within its group by ascending key, ties by position."""
    order = np.lexsort((key, group))
    sorted_group = group[order]
    starts = np.flatnonzero(np.r_[True, sorted_group[1:] != sorted_group[:-1]])
    sizes = np.diff(np.r_[starts, len(group)])
    rank = np.empty(len(group), np.int64)
    rank[order] = np.arange(len(group)) - np.repeat(starts, sizes)
    return rank


def _empty() -> Observations:
    return Observations(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 2)))
