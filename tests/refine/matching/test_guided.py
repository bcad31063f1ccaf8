"""Where the prior expects a keypoint: by the depth, poses and cameras of both frames, in the pixels of each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scenes import DEPTH_SIDE, Make, Synthetic

from da3_pipeline.arrays import Float
from da3_pipeline.refine.matching.guided import Near, expected_xy
from da3_pipeline.types import Prediction


def exact(capture: Synthetic) -> Prediction:
    """True poses and cameras, and the depth of the plane z = 0; none in the last column of a map."""
    maps = []
    column, row = np.meshgrid(np.arange(DEPTH_SIDE) + 0.5, np.arange(DEPTH_SIDE) + 0.5)
    centres = np.stack([column.ravel(), row.ravel()], axis=1)
    for k, frame in enumerate(capture.frames):
        pixels = capture.prediction.pixel_maps[k].to_original(centres)
        maps.append(depth_at(capture, k, pixels, frame.camera_id).reshape(DEPTH_SIDE, DEPTH_SIDE))
    depth = np.stack(maps).astype(np.float32)
    depth[:, :, -8:] = np.nan
    return replace(
        capture.prediction, depth=depth, cam_from_world=capture.cam_from_world, cameras=dict(capture.cameras)
    )


def depth_at(capture: Synthetic, k: int, pixels: Float, camera_id: str) -> Float:
    """z-depth at which the plane z = 0 of the world is seen."""
    rays = np.concatenate([capture.cameras[camera_id].unproject(pixels), np.ones((len(pixels), 1))], axis=1)
    pose = capture.cam_from_world[k]
    centre = -pose[:, :3].T @ pose[:, 3]
    return -centre[2] / (rays @ pose[:, 2])


@pytest.mark.parametrize(("first", "second"), [(0, 1), (1, 0), (1, 3), (2, 3)])
def test_a_place_on_the_plane_is_expected_where_it_is(first: int, second: int, make_capture: Make) -> None:
    """At centres of depth pixels, where the depth is exact: two lenses, portrait and landscape, one of them bent."""
    capture = make_capture(frames=4, surface="plane", points=300)
    prediction, lens = exact(capture), capture.cameras[capture.frames[first].camera_id]
    column, row = np.meshgrid(np.arange(13, 28), np.arange(13, 28))
    pixels = prediction.pixel_maps[first].to_original(np.stack([column.ravel() + 0.5, row.ravel() + 0.5], axis=1))
    depth = depth_at(capture, first, pixels, capture.frames[first].camera_id)
    pose, other = capture.cam_from_world[first], capture.cam_from_world[second]
    rays = np.concatenate([lens.unproject(pixels), np.ones((len(pixels), 1))], axis=1)
    world = (depth[:, None] * rays - pose[:, 3]) @ pose[:, :3]
    np.testing.assert_allclose(world[:, 2], 0, atol=1e-9)
    expected = capture.cameras[capture.frames[second].camera_id].project(world @ other[:, :3].T + other[:, 3])
    np.testing.assert_allclose(expected_xy(prediction, first, second, pixels), expected, atol=0.02)


def test_nothing_is_expected_where_no_depth_is_known(make_capture: Make) -> None:
    prediction = exact(make_capture(frames=2, surface="plane"))
    inside, unknown, outside = [1600.0, 1200.0], [3180.0, 1200.0], [1600.0, -900.0]
    found = expected_xy(prediction, 0, 1, np.array([inside, unknown, outside, [-10.0, 1200.0], [1600.0, 4000.0]]))
    assert np.isfinite(found).all(axis=1).tolist() == [True, False, False, False, False]
    zero = replace(prediction, depth=np.zeros_like(prediction.depth))
    assert np.isnan(expected_xy(zero, 0, 1, np.array([inside]))).all()


def test_each_match_is_held_to_its_own_keypoint() -> None:
    near = Near(np.array([[10.0, 10.0], [50.0, 50.0], [np.nan, np.nan]]), 5.0)
    second = np.array([[13.0, 14.0], [50.0, 55.1], [50.0, 45.0]])
    matches = np.array([[0, 0], [1, 1], [1, 2], [2, 0], [0, 2]], np.int32)
    assert near.keeps(matches, second).tolist() == [True, False, True, False, False]
