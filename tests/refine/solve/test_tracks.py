"""Tracks are conflict-free whatever the matches, and thinning keeps whole, long, spread tracks."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from da3_pipeline.refine.matching.correspondences import Correspondences
from da3_pipeline.refine.matching.features import Features
from da3_pipeline.refine.matching.verification import PairMatches
from da3_pipeline.refine.solve.components import rigid_components
from da3_pipeline.refine.solve.tracks import Observations, build_tracks, spread_mask, spread_subset


def matched(counts: list[int], pairs: dict[tuple[int, int], list[tuple[int, int]]]) -> Correspondences:
    """Frames with `counts` keypoints each, at (10 k, frame), matched as given."""
    features = tuple(
        Features(
            np.column_stack([10.0 * np.arange(n), np.full(n, float(index))]).astype(np.float32),
            np.ones(n, np.float32),
            np.zeros((n, 128), np.uint8),
        )
        for index, n in enumerate(counts)
    )
    return Correspondences(
        features,
        tuple(
            PairMatches(i, j, np.array(m, np.int32).reshape(-1, 2), np.eye(3), 0.0, len(m))
            for (i, j), m in pairs.items()
        ),
    )


def test_matches_chain_into_one_track() -> None:
    tracks = build_tracks(matched([3, 3, 3], {(0, 1): [(0, 1)], (1, 2): [(1, 2)]}))
    assert tracks.num_tracks == 1
    assert tracks.frame.tolist() == [0, 1, 2]
    assert tracks.keypoint.tolist() == [0, 1, 2]
    assert tracks.xy.tolist() == [[0, 0], [10, 1], [20, 2]]


def test_a_frame_met_twice_loses_both_observations() -> None:
    # 0.0 - 1.0 - 2.0 and 0.0 - 2.1: frame 2 twice.
    tracks = build_tracks(matched([1, 1, 2], {(0, 1): [(0, 0)], (0, 2): [(0, 1)], (1, 2): [(0, 0)]}))
    assert tracks.num_tracks == 1
    assert tracks.frame.tolist() == [0, 1]


def test_untrusted_matches_join_nothing() -> None:
    pairs = {(0, 1): [(0, 0), (1, 1)], (1, 2): [(0, 0)]}
    tracks = build_tracks(matched([2, 2, 1], pairs), np.array([True, False, True]))
    assert tracks.num_tracks == 1 and tracks.frame.tolist() == [0, 1, 2]
    assert len(build_tracks(matched([2, 2, 1], pairs), np.zeros(3, bool))) == 0


def test_no_matches_no_tracks() -> None:
    for nothing in (build_tracks(matched([4, 0, 2], {})), build_tracks(matched([4, 2], {(0, 1): []}))):
        assert len(nothing) == nothing.num_tracks == len(nothing.lengths) == 0
        assert len(nothing.frame) == len(nothing.keypoint) == 0
        assert nothing.xy.shape == (0, 2)


@st.composite
def random_matches(draw: st.DrawFn) -> Correspondences:
    counts = draw(st.lists(st.integers(1, 6), min_size=2, max_size=5))
    pairs = {}
    for i in range(len(counts)):
        for j in range(i + 1, len(counts)):
            size = draw(st.integers(0, min(counts[i], counts[j])))
            first = draw(st.permutations(range(counts[i])))[:size]
            second = draw(st.permutations(range(counts[j])))[:size]
            pairs[i, j] = list(zip(first, second, strict=True))
    return matched(counts, pairs)


@settings(max_examples=60, deadline=None)
@given(random_matches())
def test_tracks_are_conflict_free_and_sorted(correspondences: Correspondences) -> None:
    tracks = build_tracks(correspondences)
    visits = set(zip(tracks.track.tolist(), tracks.frame.tolist(), strict=True))
    assert len(visits) == len(tracks)
    keypoints = set(zip(tracks.frame.tolist(), tracks.keypoint.tolist(), strict=True))
    assert len(keypoints) == len(tracks)
    assert (np.diff(tracks.track) >= 0).all()
    assert not len(tracks) or tracks.lengths.min() >= 2


def crowded(seed: int = 0) -> Observations:
    """400 tracks in 5 frames: long ones on the left half, pairs on the right."""
    rng = np.random.default_rng(seed)
    track, frame, xy = [], [], []
    for number in range(400):
        long = number % 2 == 0
        for index in range(5) if long else sorted(rng.choice(5, 2, replace=False)):
            track.append(number)
            frame.append(index)
            xy.append([rng.uniform(0, 50) + (0 if long else 50), rng.uniform(0, 100)])
    return Observations(np.array(track), np.array(frame), np.array(track), np.array(xy))


def test_thinning_keeps_whole_tracks_long_ones_first_and_covers_the_image() -> None:
    everything = crowded()
    thinned = spread_subset(everything, 64, np.full((5, 2), 100.0), cells=8)
    assert len(thinned) < len(everything)
    assert np.bincount(thinned.frame).min() >= 64
    lengths = dict(zip(everything.keypoint.tolist(), everything.lengths[everything.track].tolist(), strict=True))
    assert all(lengths[key] == n for key, n in zip(thinned.keypoint, thinned.lengths[thinned.track], strict=True))
    right = thinned.xy[:, 0] > 50
    assert right.any() and (~right).sum() > right.sum()


def test_thinning_leaves_the_poor_alone() -> None:
    everything = crowded()
    assert len(spread_subset(everything, 1000, np.full((5, 2), 100.0))) == len(everything)


def shared_points(groups: list[tuple[list[int], int]]) -> Observations:
    """`count` points seen by exactly `frames`, for each group."""
    frames = [frame for members, count in groups for _ in range(count) for frame in members]
    sizes = [len(members) for members, count in groups for _ in range(count)]
    track = np.repeat(np.arange(len(sizes)), sizes)
    return Observations(track, np.array(frames), np.arange(len(track)), np.zeros((len(track), 2)))


def test_two_view_links_carry_no_scale() -> None:
    # 0-1-2 hang together by points that all three see; 3 shares plenty with 2, but only pairwise.
    observations = shared_points([([0, 1, 2], 20), ([2, 3], 50)])
    assert rigid_components(observations, 5, 15).tolist() == [0, 0, 0, -1, -1]


def test_components_are_numbered_by_size() -> None:
    observations = shared_points([([0, 1], 90), ([2, 3, 4], 20), ([3, 4, 5], 20)])
    assert rigid_components(observations, 6, 15).tolist() == [1, 1, 0, 0, 0, 0]


def test_each_region_gives_its_share_before_the_longest_of_the_rest() -> None:
    """On the left half of two frames' pictures 100 tracks that a third frame sees, too, on the right 100 short ones."""
    rng = np.random.default_rng(0)
    sizes = np.repeat([3, 2], 100)
    track = np.repeat(np.arange(200), sizes)
    frame = np.concatenate([np.arange(size) for size in sizes])
    xy = np.column_stack([np.where(sizes == 3, 0.0, 50.0) + rng.uniform(0, 50, 200), rng.uniform(0, 100, 200)])[track]
    observations = Observations(track, frame, track, xy)
    mask = spread_mask(observations, 40, np.full((3, 2), 100.0), cells=2)
    chosen = np.unique(track[mask])
    assert (chosen >= 100).sum() == 20, "ten from each of the two regions on the right"
    assert (spread_mask(observations, 100, np.full((3, 2), 100.0), cells=8)).sum() >= 200
