"""Groups are those that a mask for each would give, and elements outside of all are in none."""

from __future__ import annotations

import numpy as np
import pytest

from da3_pipeline.grouping import Groups
from da3_pipeline.types import Tracks


def test_groups_are_what_masks_give() -> None:
    group = np.random.default_rng(0).integers(0, 7, 200)
    group[group == 3] = 4
    groups = Groups.of(group, 9)
    assert len(groups) == len(list(groups)) == 9
    for number in range(9):
        np.testing.assert_array_equal(groups[number], np.flatnonzero(group == number))
    np.testing.assert_array_equal(groups.sizes, np.bincount(group, minlength=9))
    assert groups.filled == [0, 1, 2, 4, 5, 6]


def test_elements_of_no_group_are_in_none() -> None:
    groups = Groups.of(np.array([2, -1, 0, 5, 2, -3]), 3)
    assert [group.tolist() for group in groups] == [[2], [], [0, 4]]


@pytest.mark.parametrize("number", [-1, 3])
def test_a_group_that_is_not_there_is_no_empty_one(number: int) -> None:
    with pytest.raises(IndexError, match=f"no group {number} among 3"):
        Groups.of(np.array([0, 2]), 3)[number]


def test_nothing_has_no_groups() -> None:
    groups = Groups.of(np.zeros(0, np.int64), 2)
    assert [group.tolist() for group in groups] == [[], []] and groups.filled == []
    assert Tracks.empty().by_point().filled == []


def test_tracks_give_their_observations_by_frame_and_by_point() -> None:
    point, frame = np.array([0, 0, 1, 1, 1]), np.array([2, 0, 0, 2, 3])
    tracks = Tracks(np.zeros((3, 3)), np.zeros((3, 3), np.uint8), np.zeros(3), point, frame, np.zeros((5, 2)))
    assert [group.tolist() for group in tracks.by_frame(4)] == [[1, 2], [], [0, 3], [4]]
    assert [group.tolist() for group in tracks.by_point()] == [[0, 1], [2, 3, 4], []]
