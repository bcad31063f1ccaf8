"""Which frames hold together: by points that two joined frames see, not by links alone."""

from __future__ import annotations

import tracemalloc

import numpy as np

from da3_pipeline.refine.solve.components import rigid_components
from da3_pipeline.refine.solve.tracks import Observations


def seen(tracks: list[list[int]]) -> Observations:
    """Observations of tracks, each by the frames that see it."""
    frame = np.array([frame for track in tracks for frame in track], np.int64)
    track = np.repeat(np.arange(len(tracks)), [len(track) for track in tracks])
    return Observations(track, frame, np.zeros(len(frame), np.int64), np.zeros((len(frame), 2)))


def test_a_chain_of_shared_points_is_one_component() -> None:
    tracks = [[k, k + 1, k + 2] for k in range(8) for _ in range(12)]
    np.testing.assert_array_equal(rigid_components(seen(tracks), 10, 10), np.zeros(10))


def test_parts_with_points_of_two_views_between_them_have_no_common_scale() -> None:
    left = [[0, 1, 2]] * 30
    right = [[3, 4, 5, 6]] * 30
    between = [[2, 3]] * 50
    np.testing.assert_array_equal(rigid_components(seen([*left, *right, *between]), 7, 10), [1, 1, 1, 0, 0, 0, 0])


def test_a_frame_needs_enough_points_that_two_others_see() -> None:
    tracks = [[0, 1, 2]] * 20 + [[0, 1, 3]] * 9 + [[3, 4]] * 9
    np.testing.assert_array_equal(rigid_components(seen(tracks), 5, 10), [0, 0, 0, -1, -1])
    np.testing.assert_array_equal(rigid_components(seen([*tracks, [0, 2, 3]]), 5, 10), [0, 0, 0, 0, -1])


def test_two_frames_alone_are_a_component() -> None:
    np.testing.assert_array_equal(rigid_components(seen([[1, 2]] * 10), 3, 10), [-1, 0, 0])
    np.testing.assert_array_equal(rigid_components(seen([[1, 2]] * 9), 3, 10), [-1, -1, -1])


def test_many_frames_need_no_matrix_of_all_pairs() -> None:
    tracks = [[k, k + 1, k + 2] for k in range(1498) for _ in range(12)]
    observations = seen(tracks)
    tracemalloc.start()
    component = rigid_components(observations, 1500, 10)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (component == 0).all()
    assert peak < 1500 * 1500 * 8


def test_components_are_numbered_by_size_whichever_is_found_first() -> None:
    small, large = [[0, 1, 2]] * 90, [[3, 4, 5, 6]] * 20
    np.testing.assert_array_equal(rigid_components(seen([*small, *large]), 7, 10), [1, 1, 1, 0, 0, 0, 0])
