"""The handheld video of the demonstration."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from da3_pipeline.errors import UsageError
from da3_pipeline.geometry import centres, rotation_angle_deg
from da3_pipeline.training.synthetic import render_walk


def test_walk_is_smooth_reproducible_and_true_to_its_cameras() -> None:
    walk = render_walk(seed=0, frames=60, width=160, height=120)
    again = render_walk(seed=0, frames=60, width=160, height=120)
    np.testing.assert_array_equal(walk.cam_from_world, again.cam_from_world)
    assert not np.allclose(walk.cam_from_world, render_walk(seed=1, frames=60).cam_from_world)
    assert len(walk) == 60 and walk.camera.width == 160 and walk.camera.fov_deg[0] == pytest.approx(66)
    turn = rotation_angle_deg(walk.cam_from_world[1:, :, :3], walk.cam_from_world[:-1, :, :3])
    step = np.linalg.norm(np.diff(centres(walk.cam_from_world), axis=0), axis=1)
    assert turn.max() < 5 and step.max() < 0.2 and step.sum() > 1
    frames = walk.frames()
    first, second = next(frames), next(frames)
    assert first.shape == (120, 160, 3) and first.dtype == np.uint8
    np.testing.assert_array_equal(first, next(again.frames()))
    assert 0 < np.abs(first.astype(int) - second).mean() < 40


def test_depth_carries_one_frame_into_another() -> None:
    """Warping frame 8 into frame 0 by depth, poses and intrinsics explains most of the difference."""
    walk = render_walk(seed=0, frames=60, width=160, height=120)
    pictures = [frame for index, frame in zip(range(9), walk.frames(), strict=False) if index in (0, 8)]
    first, later = (cv2.blur(picture, (3, 3)).astype(np.float32) for picture in pictures)
    depth = walk.depth(0).astype(float)
    y, x = np.mgrid[0:120, 0:160] + 0.5
    pixels = np.stack([x, y], -1).reshape(-1, 2)
    points = np.column_stack([walk.camera.unproject(pixels), np.ones(len(pixels))]) * depth.reshape(-1, 1)
    (r0, t0), (r8, t8) = ((pose[:, :3], pose[:, 3]) for pose in walk.cam_from_world[[0, 8]])
    there = walk.camera.project(((points - t0) @ r0) @ r8.T + t8).reshape(120, 160, 2).astype(np.float32) - 0.5
    warped = cv2.remap(later, there[..., 0], there[..., 1], cv2.INTER_LINEAR, borderValue=(-1, -1, -1))
    inside = (warped >= 0).all(-1)
    assert inside.mean() > 0.6
    assert np.median(np.abs(warped - first)[inside]) < 0.4 * np.median(np.abs(later - first)[inside])


@pytest.mark.parametrize("wrong", [{"frames": 0}, {"width": 3}, {"fov_deg": 180.0}])
def test_impossible_walks_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="use larger numbers"):
        render_walk(**wrong)  # type: ignore[arg-type]
