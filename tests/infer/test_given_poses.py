"""Known poses: told to the network where possible, kept in the result always."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from da3_pipeline.geometry import Camera, PixelMap, Sim3, nearest_rotation
from da3_pipeline.infer.config import CameraConfig
from da3_pipeline.infer.given_poses import GivenCameras, given_cameras, in_given_world, onto_known_poses
from da3_pipeline.infer.views import RawViews
from da3_pipeline.types import Frame

Poses = Callable[..., NDArray[np.float64]]
Views = Callable[..., RawViews]

CONFIG = CameraConfig()
IN_METRES = Sim3(4.0, nearest_rotation(np.random.default_rng(2).normal(size=(3, 3))), np.array([10.0, -3.0, 7.0]))


def frame(pose: NDArray[np.float64] | None, focal_px: float | None = None, known: Camera | None = None) -> Frame:
    return Frame(
        "a", Path("a"), 1000, 800, "c", "", exif_focal_px=focal_px, known_camera=known, known_cam_from_world=pose
    )


def test_the_network_is_told_only_complete_cameras() -> None:
    pose = np.eye(3, 4)
    full = PixelMap((4.0, 4.0), (0.0, 0.0))
    assert given_cameras([frame(pose, 900.0), frame(None, 900.0)], [full, full], CONFIG) is None
    assert given_cameras([frame(pose)], [full], CONFIG) is None
    assert given_cameras([frame(pose, 5.0)], [full], CONFIG) is None
    told = given_cameras(
        [frame(pose, 900.0), frame(pose, known=Camera.pinhole(1000, 800, 800.0))], [full, full], CONFIG
    )
    assert told is not None
    np.testing.assert_allclose(told.intrinsics[:, 0, 0], [225, 200])
    np.testing.assert_allclose(told.intrinsics[:, :2, 2], [[125, 100]] * 2)


def conditioned(views: RawViews, world: Sim3, unit: float) -> RawViews:
    """What a perfect network answers when told poses of `world` whose unit it was given as `unit`."""
    return views.moved(Sim3(world.scale / unit, np.eye(3), np.zeros(3)))


@pytest.mark.parametrize("count", [1, 2, 3, 12])
def test_depth_comes_back_in_the_given_units(true_views: Views, count: int) -> None:
    views = true_views(count)
    given = GivenCameras(IN_METRES.apply_to_cameras(views.cam_from_world), views.intrinsics)
    result = in_given_world(conditioned(views, IN_METRES, 2.5), given, told_scale=2.5, config=CONFIG)
    np.testing.assert_array_equal(result.cam_from_world, given.cam_from_world)
    np.testing.assert_allclose(result.depth, IN_METRES.scale * views.depth, rtol=1e-5)


def test_collinear_and_coincident_centres_are_defined(true_views: Views) -> None:
    views = true_views(5)
    for along in (np.arange(5.0), np.zeros(5)):
        poses = views.cam_from_world.copy()
        centre = along[:, None] * np.array([1.0, 2.0, -1.0])
        poses[:, :, 3] = -(poses[:, :, :3] @ centre[:, :, None])[..., 0]
        line = replace(views, cam_from_world=poses)
        given = GivenCameras(IN_METRES.apply_to_cameras(poses), views.intrinsics)
        result = in_given_world(conditioned(line, IN_METRES, 2.5), given, told_scale=2.5, config=CONFIG)
        np.testing.assert_allclose(result.depth, IN_METRES.scale * views.depth, rtol=1e-5)


def test_a_network_that_answers_nonsense_does_not_spoil_the_scale(true_views: Views, random_poses: Poses) -> None:
    views = true_views(6)
    given = GivenCameras(IN_METRES.apply_to_cameras(views.cam_from_world), views.intrinsics)
    answer = replace(conditioned(views, IN_METRES, 2.5), cam_from_world=random_poses(6, seed=8, spread=1000.0))
    np.testing.assert_allclose(
        in_given_world(answer, given, 2.5, CONFIG).depth, IN_METRES.scale * views.depth, rtol=1e-5
    )


def test_a_failed_view_stays_failed(true_views: Views) -> None:
    views = true_views(4)
    given = GivenCameras(views.cam_from_world, views.intrinsics)
    poses = views.cam_from_world.copy()
    poses[2] = np.nan
    result = in_given_world(replace(views, cam_from_world=poses), given, 1.0, CONFIG)
    np.testing.assert_array_equal(result.usable(), [True, True, False, True])


@pytest.mark.parametrize("known", [(0, 3), (1, 2, 5), range(6)])
def test_frames_without_poses_follow_those_with(true_views: Views, known: tuple[int, ...]) -> None:
    views = true_views(6)
    truth = IN_METRES.apply_to_cameras(views.cam_from_world)
    frames = [frame(truth[index] if index in known else None) for index in range(6)]
    result = onto_known_poses(views, frames)
    np.testing.assert_allclose(result.cam_from_world, truth, atol=1e-9)
    np.testing.assert_array_equal(result.cam_from_world[known[0]], truth[known[0]])
    np.testing.assert_allclose(result.depth, IN_METRES.scale * views.depth, rtol=1e-5)


def test_one_known_pose_places_the_capture_at_its_own_scale(true_views: Views) -> None:
    views = true_views(4)
    rigid = Sim3(1.0, IN_METRES.rotation, IN_METRES.translation)
    truth = rigid.apply_to_cameras(views.cam_from_world)
    result = onto_known_poses(views, [frame(truth[0]), frame(None), frame(None), frame(None)])
    np.testing.assert_allclose(result.cam_from_world, truth, atol=1e-9)


def test_no_known_pose_changes_nothing(true_views: Views) -> None:
    views = true_views(3)
    assert onto_known_poses(views, [frame(None)] * 3) is views
