"""The tour: smooth, true to its depth, and back where it was."""

from __future__ import annotations

import numpy as np
import pytest

from da3_pipeline.errors import UsageError
from da3_pipeline.geometry import centres, rotation_angle_deg
from da3_pipeline.training.synthetic import render_walk
from da3_pipeline.training.synthetic.tour import TOUR_FRAMES, render_tour


def test_the_tour_is_smooth_and_comes_back_three_times_looking_the_same_way() -> None:
    tour = render_tour(0)
    assert len(tour) == TOUR_FRAMES
    places, gaze = centres(tour.cam_from_world), tour.cam_from_world[:, 2, :3]
    step = np.linalg.norm(np.diff(places, axis=0), axis=1)
    assert step.max() < 0.2
    assert step.sum() > 200
    turn = rotation_angle_deg(tour.cam_from_world[1:, :, :3], tour.cam_from_world[:-1, :, :3])
    assert turn.max() < 6
    apart = np.linalg.norm(places - places[10], axis=1)
    same = (apart < 1.0) & (gaze @ gaze[10] > np.cos(np.radians(30)))
    visits = np.flatnonzero(np.diff(np.flatnonzero(same), prepend=-100) > 50)
    assert len(visits) == 4  # three rounds, and the beginning of what would be the next


def test_a_shorter_tour_is_its_beginning_and_seeds_differ() -> None:
    short, longer = render_tour(1, 5, 48, 36), render_tour(1, 9, 48, 36)
    np.testing.assert_array_equal(short.cam_from_world, longer.cam_from_world[:5])
    rgb, depth = short.picture(3)
    np.testing.assert_array_equal(rgb, longer.picture(3)[0])
    assert rgb.shape == (36, 48, 3)
    assert depth.shape == (36, 48)
    assert (depth >= 0).all()
    assert (depth > 0).mean() > 0.5
    assert not np.allclose(render_tour(2, 5).cam_from_world, short.cam_from_world)


def test_pictures_of_a_walk_are_its_frames() -> None:
    walk = render_walk(seed=0, frames=2, width=40, height=30)
    np.testing.assert_array_equal(next(walk.frames()), walk.picture(0)[0])
    np.testing.assert_array_equal(walk.depth(1), walk.picture(1)[1])


@pytest.mark.parametrize("wrong", [{"frames": 0}, {"frames": TOUR_FRAMES + 1}, {"width": 3}, {"fov_deg": 180.0}])
def test_impossible_tours_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="use 1 to"):
        render_tour(**wrong)  # type: ignore[arg-type]
