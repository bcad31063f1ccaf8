"""Undistorted data sets: images, masks, depth maps, observations and cameras agree with the truth."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from da3_pipeline.errors import ExportError
from da3_pipeline.export import ExportConfig, run
from da3_pipeline.export.config import UndistortionConfig
from da3_pipeline.export.ply import read_ply
from da3_pipeline.export.undistortion import Undistortion, _computed_maps, forget_maps
from da3_pipeline.geometry import Camera, transform_points
from da3_pipeline.imageio import read_mask, read_rgb, write_mask
from da3_pipeline.progress import SilentProgress
from da3_pipeline.types import ExportResult, Scene

WIDTH, HEIGHT = 240, 160
BALL, HALF_ROOM = 0.8, np.array([3.0, 2.0, 3.0])
LENSES = {
    "barrel": Camera("OPENCV", WIDTH, HEIGHT, (170.0, 172.0, 122.0, 78.0, -0.22, 0.05, 0.002, -0.001)),
    "pincushion": Camera("SIMPLE_RADIAL", WIDTH, HEIGHT, (170.0, 119.0, 81.0, 0.15)),
    "fisheye": Camera("OPENCV_FISHEYE", WIDTH, HEIGHT, (110.0, 111.0, 121.0, 79.0, 0.02, -0.01, 0.002, 0.0)),
}


def export(scene: Scene, folder: Path, **options: Any) -> ExportResult:
    return run(scene, ExportConfig(undistort=True, **options), SilentProgress(), folder)


def grid(width: int, height: int, columns: int, rows: int) -> np.ndarray:
    """(rows * columns, 2) centres of the pixels of a map over an image."""
    across, down = (np.arange(columns) + 0.5) * width / columns, (np.arange(rows) + 0.5) * height / rows
    return np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 2)


def cast(camera: pycolmap.Camera, pose: np.ndarray, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """z-depth, world point, and whether it is on the ball, of the room's truth at pixels; written for these tests."""
    rays = np.column_stack([np.asarray(camera.cam_from_img(pixels)), np.ones(len(pixels))])
    directions, centre = rays @ pose[:, :3], -pose[:, :3].T @ pose[:, 3]
    with np.errstate(divide="ignore"):
        depth = np.where(directions != 0, (np.sign(directions) * HALF_ROOM - centre) / directions, np.inf).min(axis=1)
    a, b = (directions**2).sum(axis=1), directions @ centre
    discriminant = b**2 - a * (centre @ centre - BALL**2)
    ball = (discriminant > 0) & (b < 0)
    near = np.where(ball, (-b - np.sqrt(np.maximum(discriminant, 0))) / a, np.inf)
    depth = np.minimum(depth, near)
    return depth, centre + directions * depth[:, None], ball


def ball_masked(scene: Scene, folder: Path) -> Scene:
    """The scene with the exact ball as the masks of its frames."""
    frames = []
    for frame, pose in zip(scene.frames, scene.cam_from_world, strict=True):
        camera = scene.cameras[frame.camera_id].to_pycolmap()
        ball = cast(camera, pose, grid(WIDTH, HEIGHT, WIDTH, HEIGHT))[2].reshape(HEIGHT, WIDTH)
        write_mask(folder / f"{frame.name}.png", ~ball)
        frames.append(replace(frame, mask=folder / f"{frame.name}.png"))
    frame_set = replace(scene.prediction.frames, frames=tuple(frames))
    return replace(scene, prediction=replace(scene.prediction, frames=frame_set))


@pytest.fixture(scope="module", params=LENSES)
def data_set(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Scene, Path]:
    """The room through one lens, its ball masked, undistorted."""
    room = request.getfixturevalue("room_in")(tmp_path_factory.mktemp("capture"))
    scene = ball_masked(room(cameras={"phone": LENSES[request.param]}), tmp_path_factory.mktemp("masks"))
    folder = tmp_path_factory.mktemp("out") / "session"
    export(scene, folder)
    return room, scene, folder


def test_every_camera_is_a_pinhole_and_every_file_has_its_size(data_set: tuple[Any, Scene, Path]) -> None:
    _, scene, folder = data_set
    model = pycolmap.Reconstruction(folder / "sparse" / "0")
    document = json.loads((folder / "transforms.json").read_text())
    (camera,) = model.cameras.values()
    assert camera.model.name == "PINHOLE"
    assert (document["w"], document["h"]) == (camera.width, camera.height)
    assert [document[key] for key in ("fl_x", "fl_y", "cx", "cy")] == pytest.approx(list(camera.params))
    assert {document[key] for key in ("k1", "k2", "p1", "p2")} == {0.0} and document["camera_model"] == "OPENCV"
    assert list(camera.params[:2]) == pytest.approx(np.diag(scene.cameras["phone"].K)[:2])
    assert len(document["frames"]) == 6
    for frame in document["frames"]:
        for key in ("file_path", "mask_path"):
            with Image.open(folder / frame[key]) as image:
                assert image.size == (camera.width, camera.height)
        depth = np.load(folder / frame["depth_file_path"])
        assert depth.shape == (round(camera.height / 2), round(camera.width / 2))


def test_images_are_what_the_pinhole_camera_would_have_taken(data_set: tuple[Any, Scene, Path]) -> None:
    """Against a picture rendered through that camera; nothing is blank, to the corners."""
    room, _, folder = data_set
    model = pycolmap.Reconstruction(folder / "sparse" / "0")
    for image in model.images.values():
        camera = model.cameras[image.camera_id]
        pixels = grid(camera.width, camera.height, camera.width, camera.height)
        points = cast(camera, image.cam_from_world().matrix(), pixels)[1]
        truth = room.paint(points).reshape(camera.height, camera.width, 3).astype(int)
        taken = read_rgb(folder / "images" / image.name).astype(int)
        difference = np.abs(taken - truth).max(axis=2)
        assert np.median(difference) <= 1 and np.percentile(difference, 97) <= 4
        border = np.concatenate([difference[0], difference[-1], difference[:, 0], difference[:, -1]])
        assert np.percentile(border, 97) <= 4


def test_masks_are_where_the_masked_thing_is(data_set: tuple[Any, Scene, Path]) -> None:
    _, _, folder = data_set
    model = pycolmap.Reconstruction(folder / "sparse" / "0")
    for image in model.images.values():
        camera = model.cameras[image.camera_id]
        pixels = grid(camera.width, camera.height, camera.width, camera.height)
        ball = cast(camera, image.cam_from_world().matrix(), pixels)[2].reshape(camera.height, camera.width)
        ignored = ~read_mask(folder / "masks" / f"{image.name}.png", camera.width, camera.height)
        assert ball.sum() > 1000
        assert not ignored[~ndimage.binary_dilation(ball, np.ones((3, 3)))].any()
        assert ignored[ndimage.binary_erosion(ball, np.ones((3, 3)), border_value=1)].all()
        # Whole pixels of the original leave a tenth or two; half a pixel off would be more.
        np.testing.assert_allclose(ndimage.center_of_mass(ignored), ndimage.center_of_mass(ball), atol=0.25)


def test_depth_maps_are_the_depth_of_what_the_images_show(data_set: tuple[Any, Scene, Path]) -> None:
    _, _, folder = data_set
    model = pycolmap.Reconstruction(folder / "sparse" / "0")
    for image in model.images.values():
        camera = model.cameras[image.camera_id]
        depth = np.load(folder / "depths" / f"{Path(image.name).stem}.npy") / 1000
        pixels = grid(camera.width, camera.height, depth.shape[1], depth.shape[0])
        truth, _, ball = (
            part.reshape(depth.shape + part.shape[1:]) for part in cast(camera, image.cam_from_world().matrix(), pixels)
        )
        known = depth > 0
        assert known.mean() > 0.3 and not known[ball].any()
        error = np.where(known, depth - truth, 0)
        assert np.median(np.abs(error / truth)[known]) < 0.01 and (np.abs(error) / truth).max() < 0.06
        # The nearest pixel is off by up to half of one, but not in any direction.
        slopes = np.stack([slope[known] for slope in np.gradient(truth)], axis=1)
        assert np.abs(np.linalg.lstsq(slopes, error[known])[0]).max() < 0.1


def test_observations_are_where_their_points_project(data_set: tuple[Any, Scene, Path]) -> None:
    _, scene, folder = data_set
    model = pycolmap.Reconstruction(folder / "sparse" / "0")
    count = 0
    for image in model.images.values():
        camera = model.cameras[image.camera_id]
        for point in image.get_observation_points2D():
            projected = image.project_point(model.points3D[point.point3D_id].xyz)
            np.testing.assert_allclose(projected, point.xy, atol=1e-4)
            assert (point.xy >= 0).all() and (point.xy <= [camera.width, camera.height]).all()
            count += 1
    assert count > 0.3 * len(scene.tracks.observation_point)
    assert min(point.track.length() for point in model.points3D.values()) >= 2


def test_seeds_project_onto_pixels_of_their_colour(data_set: tuple[Any, Scene, Path]) -> None:
    room, _, folder = data_set
    document = json.loads((folder / "transforms.json").read_text())
    seeds, colours = read_ply(folder / "sparse_pc.ply")
    points = seeds @ np.array(document["applied_transform"])[:, :3]
    assert len(seeds) > 2000
    assert np.abs(colours.astype(int) - room.paint(points)).mean() < 4
    frame = document["frames"][2]
    opencv_from_world = (np.diag([1, -1, -1, 1]) @ np.linalg.inv(np.array(frame["transform_matrix"])))[:3]
    camera = Camera("PINHOLE", document["w"], document["h"], tuple(document[k] for k in ("fl_x", "fl_y", "cx", "cy")))
    pixels = camera.project(transform_points(opencv_from_world, seeds))
    used = ndimage.binary_erosion(read_mask(folder / frame["mask_path"], camera.width, camera.height), iterations=2)
    inside = ((pixels > 2) & (pixels < [camera.width - 2, camera.height - 2])).all(axis=1)
    column, row = np.where(inside[:, None], pixels, 0).astype(int).T
    visible = inside & used[row, column]  # but for the ball, which is masked, the room hides nothing
    image, at = read_rgb(folder / frame["file_path"]).astype(float), pixels[visible].T[::-1] - 0.5
    shown = np.stack([ndimage.map_coordinates(image[..., channel], at, order=1) for channel in range(3)], axis=1)
    error = np.abs(shown - room.paint(points[visible])).max(axis=1)
    assert visible.sum() > 1000 and np.median(error) < 1.5 and np.percentile(error, 97) < 5


def test_it_is_the_picture_that_colmap_makes(data_set: tuple[Any, Scene, Path]) -> None:
    """pycolmap's own undistortion chooses another rectangle; in the same direction it shows the same colour."""
    _, scene, folder = data_set
    frame = scene.frames[1]
    bitmap = pycolmap.Bitmap.from_array(read_rgb(frame.path))
    theirs, camera = pycolmap.undistort_image(
        pycolmap.UndistortCameraOptions(), bitmap, scene.cameras["phone"].to_pycolmap()
    )
    model = pycolmap.Reconstruction(folder / "sparse" / "0")
    ours = read_rgb(folder / "images" / frame.name).astype(float)
    own = next(iter(model.cameras.values()))
    pixels = grid(camera.width, camera.height, 40, 30)
    at = np.asarray(own.img_from_cam(np.column_stack([np.asarray(camera.cam_from_img(pixels)), np.ones(1200)])))
    inside = ((at > 2) & (at < [own.width - 2, own.height - 2])).all(axis=1)
    assert inside.mean() > 0.8
    for channel in range(3):
        expected = ndimage.map_coordinates(
            theirs.to_array()[..., channel].astype(float), pixels[inside].T[::-1] - 0.5, order=1
        )
        found = ndimage.map_coordinates(ours[..., channel], at[inside].T[::-1] - 0.5, order=1)
        assert np.percentile(np.abs(found - expected), 95) < 3


def test_errors_are_measured_in_the_new_images(room: Any, tmp_path: Path) -> None:
    scene = room(cameras={"phone": LENSES["fisheye"]})
    noise = np.random.default_rng(0).normal(0, 0.4, scene.tracks.observation_xy.shape)
    tracks = replace(scene.tracks, observation_xy=scene.tracks.observation_xy + noise)
    export(replace(scene, tracks=tracks), tmp_path / "out")
    model = pycolmap.Reconstruction(tmp_path / "out" / "sparse" / "0")
    stored = {key: point.error for key, point in model.points3D.items()}
    model.update_point_3d_errors()
    assert len(stored) > 100 and np.median(list(stored.values())) > 0.2
    assert stored == pytest.approx({key: point.error for key, point in model.points3D.items()}, abs=1e-6)


def test_pictures_without_distortion_are_copied(room: Any, tmp_path: Path) -> None:
    for name, camera in {
        "simple": Camera("SIMPLE_PINHOLE", WIDTH, HEIGHT, (180.0, 121.0, 79.0)),
        "zeros": Camera("OPENCV", WIDTH, HEIGHT, (180.0, 181.0, 121.0, 79.0, 0.0, 0.0, 0.0, 0.0)),
    }.items():
        scene = room(names=("a.png", "b.jpg"), cameras={"phone": camera}, track_count=200)
        export(scene, tmp_path / name)
        for image in ("a.png", "b.jpg"):
            assert (tmp_path / name / "images" / image).read_bytes() == (room.folder / image).read_bytes()
        model = pycolmap.Reconstruction(tmp_path / name / "sparse" / "0")
        (written,) = model.cameras.values()
        assert (written.model.name, written.width, written.height) == ("PINHOLE", WIDTH, HEIGHT)
        assert sum(image.num_points3D for image in model.images.values()) == len(scene.tracks.observation_point)


def test_fisheye_and_perspective_cameras_become_one_kind(room: Any, tmp_path: Path) -> None:
    cameras = {"action": LENSES["fisheye"], "phone": LENSES["barrel"]}
    scene = room(camera_ids=("action", "phone") * 3, cameras=cameras)
    assert run(scene, ExportConfig(), SilentProgress(), tmp_path / "as taken").images == 3
    result = export(scene, tmp_path / "out")
    assert result.images == 6
    model = pycolmap.Reconstruction(tmp_path / "out" / "sparse" / "0")
    assert [camera.model.name for camera in model.cameras.values()] == ["PINHOLE", "PINHOLE"]
    for image in model.images.values():
        camera = model.cameras[image.camera_id]
        with Image.open(tmp_path / "out" / "images" / image.name) as picture:
            assert picture.size == (camera.width, camera.height)


def test_an_image_whose_observations_are_all_cropped_away_still_has_some(room: Any, tmp_path: Path) -> None:
    scene = room(cameras={"phone": LENSES["fisheye"]})
    lens = Undistortion.of(LENSES["fisheye"], "phone", UndistortionConfig())
    keep = (scene.tracks.observation_frame != 2) | ~lens.shows(scene.tracks.observation_xy)
    assert (scene.tracks.observation_frame[keep] == 2).any()
    tracks = replace(
        scene.tracks,
        observation_point=scene.tracks.observation_point[keep],
        observation_frame=scene.tracks.observation_frame[keep],
        observation_xy=scene.tracks.observation_xy[keep],
    )
    result = export(replace(scene, tracks=tracks), tmp_path / "out")
    assert result.images == 6 and result.figures["images_without_measured_tracks"] == 1
    model = pycolmap.Reconstruction(tmp_path / "out" / "sparse" / "0")
    image = next(image for image in model.images.values() if image.name == "view_02.png")
    camera = model.cameras[image.camera_id]
    pixels = np.array([point.xy for point in image.get_observation_points2D()])
    assert len(pixels) > 50 and (pixels >= 0).all() and (pixels <= [camera.width, camera.height]).all()


def test_a_lens_without_a_flat_picture_is_named(room: Any, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="camera ball: EQUIRECTANGULAR has no flat picture"):
        Undistortion.of(Camera("EQUIRECTANGULAR", 640, 320, (640.0, 320.0)), "ball", UndistortionConfig())


def test_a_lens_model_that_folds_is_cut_to_where_it_does_not() -> None:
    """k1 this strong turns radii back beyond 1.05 focal lengths, inside this image's corners."""
    lens = Undistortion.of(Camera("SIMPLE_RADIAL", 640, 480, (300.0, 320.0, 240.0, -0.3)), "wide", UndistortionConfig())
    assert 0.3 < lens.pinhole.width / 640 < 1
    pixels = grid(lens.pinhole.width, lens.pinhole.height, lens.pinhole.width, lens.pinhole.height)
    np.testing.assert_allclose(lens.undistorted(lens.original(pixels)), pixels, atol=0.1)


def border(camera: Camera) -> list[np.ndarray]:
    """Centres of the pixels of the first and last row and column."""
    columns, rows = np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5
    lines = [np.column_stack([columns, np.full(camera.width, y)]) for y in (0.5, camera.height - 0.5)]
    return lines + [np.column_stack([np.full(camera.height, x), rows]) for x in (0.5, camera.width - 0.5)]


FOCAL = st.floats(0.45, 2.5)  # of the width: 96 to 23 degrees without distortion
SMALL = st.floats(-0.02, 0.02)


@st.composite
def cameras(draw: st.DrawFn) -> Camera:
    width, height = draw(st.integers(200, 900)), draw(st.integers(200, 900))
    focal = draw(FOCAL) * width
    centre = (width * draw(st.floats(0.45, 0.55)), height * draw(st.floats(0.45, 0.55)))
    model = draw(st.sampled_from(["SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "OPENCV_FISHEYE"]))
    single, double = (focal, *centre), (focal, focal * draw(st.floats(0.97, 1.03)), *centre)
    k1, k2 = draw(st.floats(-0.15, 0.2)), draw(SMALL)
    params = {
        "SIMPLE_PINHOLE": single,
        "PINHOLE": double,
        "SIMPLE_RADIAL": (*single, k1),
        "RADIAL": (*single, k1, k2),
        "OPENCV": (*double, k1, k2, draw(SMALL) / 10, draw(SMALL) / 10),
        "OPENCV_FISHEYE": (*double, k1 / 5, k2 / 2, draw(SMALL) / 4, 0.0),
    }[model]
    return Camera(model, width, height, params)


@given(cameras())
@settings(max_examples=50, deadline=None)
def test_every_pixel_shows_one_of_the_original_in_the_same_direction(camera: Camera) -> None:
    try:
        lens = Undistortion.of(camera, "camera", UndistortionConfig())
    except ExportError:
        assume(False)
    pinhole = lens.pinhole
    assert pinhole.model == "PINHOLE" and (lens.is_identity or max(pinhole.fov_deg) <= 120.001)
    np.testing.assert_allclose(np.diag(pinhole.K), np.diag(camera.K))
    pixels = np.concatenate([grid(pinhole.width, pinhole.height, 100, 100), *border(pinhole)])
    original = lens.original(pixels)
    # A pixel of the grid between the probed ones may miss by what its rounding is.
    assert original.min() > -0.5 and (original < [camera.width + 0.5, camera.height + 0.5]).all()
    np.testing.assert_allclose(lens.undistorted(original), pixels, atol=0.2)
    assert lens.shows(original[:: len(original) // 50]).all()
    rays = pinhole.unproject(pixels)
    np.testing.assert_allclose(camera.project(np.column_stack([rays, np.ones(len(rays))])), original, atol=1e-9)


@given(cameras())
@settings(max_examples=50, deadline=None)
def test_the_rectangle_is_as_large_as_it_can_be(camera: Camera) -> None:
    """Each side that is moved out by 3 % leaves the original, or 120 degrees; else, all together reach a fold."""
    try:
        lens = Undistortion.of(camera, "camera", UndistortionConfig())
    except ExportError:
        assume(False)
    size = np.array([lens.pinhole.width, lens.pinhole.height])
    margin = 0.03 * size + 2
    along = np.linspace(0, 1, 200)
    sides = []
    for axis in (0, 1):
        for end, out in ((0, -margin), (size, margin)):
            side = np.zeros((200, 2))
            side[:, axis], side[:, 1 - axis] = (end + out)[axis], along * size[1 - axis]
            sides.append(side)
    if not all(_leaves(lens, side) for side in sides):
        assert _folds(lens, grid(1, 1, 60, 60) * (size + 2 * margin) - margin)


def _leaves(lens: Undistortion, pixels: np.ndarray) -> bool:
    """Whether any pixel of the pinhole image's plane is outside of the original or of 120 degrees."""
    original = lens.original(pixels)
    outside = (original < 0) | (original > [lens.distorted.width, lens.distorted.height])
    wide = np.abs(lens.pinhole.unproject(pixels)).max() > np.tan(np.radians(60))
    return bool(outside.any() or wide or _folds(lens, pixels))


def _folds(lens: Undistortion, pixels: np.ndarray) -> bool:
    """Whether the lens model shows any of them where it shows another direction, too."""
    return not np.allclose(lens.undistorted(lens.original(pixels)), pixels, atol=0.2)


def test_a_lens_that_bends_all_pixels_one_way_is_no_pinhole() -> None:
    """A picture cut from the lower right of a larger one."""
    camera = Camera("SIMPLE_RADIAL", 64, 48, (100.0, -40.0, -30.0, -0.1))
    assert not Undistortion(camera, Camera.from_matrix(camera.K, 64, 48)).is_identity
    straight = Camera("SIMPLE_RADIAL", 64, 48, (100.0, -40.0, -30.0, 0.0))
    assert Undistortion(straight, Camera.from_matrix(camera.K, 64, 48)).is_identity
    assert not Undistortion(straight, Camera.from_matrix(camera.K, 64, 47)).is_identity


def test_maps_are_let_go_of() -> None:
    camera = Camera("SIMPLE_RADIAL", 64, 48, (60.0, 32.0, 24.0, -0.05))
    lens = Undistortion.of(camera, "phone", UndistortionConfig())
    lens.mask(np.ones((48, 64), bool))
    assert _computed_maps.cache_info().currsize == 1
    forget_maps()
    assert _computed_maps.cache_info().currsize == 0
