"""What is laid over the pictures, where the scene is placed, and how Gaussians are handed to the browser."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from da3_pipeline.geometry import Sim3, centres
from da3_pipeline.types import GaussianCloud
from da3_pipeline.viewer import SessionScene, load_session
from da3_pipeline.viewer.overlays import OVERLAYS, available_overlays, picture_of, thumbnail_of
from da3_pipeline.viewer.placement import RADIUS, place
from da3_pipeline.viewer.splats import drawn_splats


@pytest.fixture
def scene(session: Path) -> SessionScene:
    return load_session(session)


def test_every_overlay_is_a_picture_of_the_image(scene: SessionScene) -> None:
    assert available_overlays(scene) == OVERLAYS
    plain = picture_of(scene, 3, "picture")
    assert plain.rgb.shape == (240, 320, 3) and plain.rgb[0, 0].tolist() == [60, 120, 200]
    for overlay in OVERLAYS[1:]:
        shown = picture_of(scene, 3, overlay)
        assert shown.rgb.shape == plain.rgb.shape and shown.caption
        assert (shown.rgb != plain.rgb).mean() > 0.05


def test_observations_are_drawn_where_they_are(scene: SessionScene) -> None:
    drawn = picture_of(scene, 0, "tracks").rgb.astype(int)
    green = (drawn[:, :, 1] > 160) & (drawn[:, :, 2] < 190)
    rows, columns = np.nonzero(green)
    distances = np.linalg.norm(
        np.stack([columns, rows], axis=1)[:, None] + 0.5 - scene.observations(0).xy[None], axis=2
    ).min(axis=1)
    assert len(rows) > 500 and distances.max() < 4


def test_depth_is_in_units_of_the_scene_and_confidence_as_predicted(scene: SessionScene) -> None:
    """Depth 1 to 16 and confidence 2 to 32 grow to the right over 16 columns; a unit of depth is half a scene's."""
    assert scene.stored is not None
    image = scene.images[2]
    depth = scene.stored.depth(image.name, image.camera, (320, 240))
    confidence = scene.stored.confidence(image.name, image.camera, (320, 240))
    columns = 1 + np.arange(320) // 20
    inner = np.abs((np.arange(320) + 0.5) % 20 - 10) < 9  # away from the borders of the network's pixels
    np.testing.assert_array_equal(depth[100][inner], (0.5 * columns)[inner])
    np.testing.assert_array_equal(confidence[100][inner], (2 * columns)[inner])


def test_maps_are_undistorted_with_the_images(undistorted_session: Path) -> None:
    """In the pinhole image, a pixel has the confidence of where its ray met the photograph."""
    scene = load_session(undistorted_session)
    assert scene.stored is not None and scene.images[0].camera.model == "PINHOLE"
    camera, solved = scene.images[0].camera, scene.stored.scene.cameras["wide"]
    confidence = scene.stored.confidence("00.png", camera, (camera.width, camera.height))
    pixel = np.array([[15.5, camera.height / 2]])
    ray = np.append(camera.unproject(pixel)[0], 1.0)
    column = int(solved.project(ray[None])[0, 0] // 20)
    assert confidence[camera.height // 2, 15] == 2 * (1 + column)


def test_exported_depth_goes_before_the_stored_one(scene: SessionScene) -> None:
    folder = scene.folder / "depths"
    folder.mkdir()
    depth = np.full((12, 16), 2500, np.float32)
    depth[:, :8] = 0
    np.save(folder / "04.npy", depth)
    shown = picture_of(scene, 4, "depth")
    assert "depths/" in shown.caption and "2.5" in shown.caption
    assert (shown.rgb[:, :150] == np.array([80, 120, 200]) // 3).all()  # nothing is known there


def test_a_missing_or_broken_image_is_grey_and_keeps_its_overlays(scene: SessionScene) -> None:
    scene.images[0].path.unlink()
    scene.images[1].path.write_bytes(b"not a picture")
    for index in (0, 1):
        assert thumbnail_of(scene.images[index]) is None
        shown = picture_of(scene, index, "tracks")
        assert "cannot be read" in shown.caption and shown.rgb.shape == (240, 320, 3)


def test_thumbnails_are_small(scene: SessionScene) -> None:
    thumbnail = thumbnail_of(scene.images[0])
    assert thumbnail is not None and max(thumbnail.shape) == 96


def test_a_scene_far_from_its_origin_is_placed_around_the_viewers(scene: SessionScene) -> None:
    placement = place(scene)
    cameras = placement.view_from_world.apply_to_cameras(scene.cam_from_world)
    assert np.linalg.norm(centres(cameras), axis=1).max() <= RADIUS * (1 + 1e-9)
    assert (cameras[:, 1, 2] < -0.95).all()  # the cameras' y axis points down, along -z
    neighbours = np.linalg.norm(np.diff(centres(cameras), axis=0), axis=1)
    assert 0 < placement.camera_size < neighbours.min()
    assert placement.eye[2] > centres(cameras)[:, 2].max()  # the first view is from above


def test_gaussians_keep_their_shape_under_the_similarity() -> None:
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    view_from_world = Sim3(2.0, turn, np.array([1.0, 0, 0]))
    cloud = GaussianCloud(
        np.array([[1, 2, 3]], np.float32),
        np.array([[0.1, 0.2, 0.3]], np.float32),
        np.array([[1, 0, 0, 0]], np.float32),
        np.array([[[0.0], [10.0], [-10.0]]], np.float32),
        np.array([0.25], np.float32),
        np.zeros(1, np.int32),
    )
    drawn = drawn_splats(cloud, np.array([0.0, 5e6, 0.0]), replace(view_from_world, translation=np.array([1e7, 0, 0])))
    np.testing.assert_allclose(drawn.centres, [[-4, 2, 6]])
    drawn = drawn_splats(cloud, np.zeros(3), view_from_world)
    np.testing.assert_allclose(drawn.centres, [[-3, 2, 6]])
    np.testing.assert_allclose(drawn.covariances[0], 4 * np.diag([0.04, 0.01, 0.09]), atol=1e-7)
    np.testing.assert_allclose(drawn.colours, [[0.5, 1, 0]])
    assert drawn.opacities.tolist() == [[0.25]]
