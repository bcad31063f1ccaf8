"""The prior's Gaussians in the exported data set: rendered through the exported cameras, they are its images."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial.transform import Rotation

from da3_pipeline.export import ExportConfig, run
from da3_pipeline.export.config import FilmConfig
from da3_pipeline.export.gaussians import scene_gaussians
from da3_pipeline.export.ignored import IgnoredPixels
from da3_pipeline.gaussians import moved, read_gaussians_ply, read_spz, render
from da3_pipeline.geometry import Camera, Sim3, compose, invert, transform_points
from da3_pipeline.progress import SilentProgress
from da3_pipeline.types import GaussianCloud, Scene
from da3_pipeline.videoio import probe_video

CAMERA = {"phone": Camera("PINHOLE", 240, 160, (180.0, 178.0, 121.0, 79.0))}
WORLD = np.concatenate([Rotation.from_rotvec([0.4, 1, 2]).as_matrix(), np.ones((3, 1))], axis=1)
FEW = tuple(f"view_{k:02d}.png" for k in range(4))


def with_gaussians(scene: Scene, seed: int = 3) -> Scene:
    """The scene with every prior pose displaced on its own, and a Gaussian for every pixel of the depth maps.

    They lie where the displaced prior sees the surfaces, in its world, at a third of the true scale.
    """
    rng = np.random.default_rng(seed)
    turns = Rotation.from_rotvec(rng.normal(0, 0.03, (len(scene.frames), 3))).as_matrix()
    shifts = rng.normal(0, 0.02, (len(scene.frames), 3, 1))
    prior = compose(np.concatenate([turns, shifts], axis=2), scene.prediction.cam_from_world)
    parts = [lifted(scene, frame, prior[frame]) for frame in range(len(scene.frames))]
    stacked = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    prediction = replace(scene.prediction, cam_from_world=prior, gaussians=GaussianCloud(**stacked))
    return replace(scene, prediction=prediction)


def lifted(scene: Scene, frame: int, cam_from_world: NDArray[np.float64]) -> dict[str, Any]:
    depth = scene.prediction.depth[frame]
    camera, pixel_map = scene.cameras[scene.frames[frame].camera_id], scene.prediction.pixel_maps[frame]
    rows, columns = (grid.ravel() for grid in np.indices(depth.shape))
    pixels = pixel_map.to_original(np.stack([columns + 0.5, rows + 0.5], 1))
    z = depth.ravel()[:, None].astype(float)
    rays = np.concatenate([camera.unproject(pixels), np.ones((len(pixels), 1))], axis=1)
    with Image.open(scene.frames[frame].path) as picture:
        image = np.asarray(picture, float) / 255
    inside = np.minimum(pixels.astype(int), [camera.width - 1, camera.height - 1])
    colours = image[inside[:, 1], inside[:, 0]]
    count = len(pixels)
    return {
        "means": transform_points(invert(cam_from_world), rays * z).astype(np.float32),
        "scales": np.repeat(0.45 * pixel_map.scale[0] * z / camera.focal_px, 3, axis=1).astype(np.float32),
        "rotations": np.tile(np.float32([1, 0, 0, 0]), (count, 1)),
        "harmonics": ((colours - 0.5) / 0.28209479177387814)[:, :, None].astype(np.float32),
        "opacities": np.full(count, 0.8, np.float32),
        "view": np.full(count, frame, np.int32),
    }


def export(scene: Scene, folder: Path, **options: Any) -> Any:
    return run(scene, ExportConfig(**{"orbit_video": False, **options}), SilentProgress(), folder)


def assert_shows(cloud: GaussianCloud, camera: Camera, cam_from_world: NDArray[np.float64], path: Path) -> None:
    """The cloud looks like the image, at its edges softer, and less so from a pose that is turned by two degrees."""
    with Image.open(path) as photograph:
        image = np.asarray(photograph, float) / 255
    turned = compose(np.hstack([Rotation.from_rotvec([0, 0.035, 0]).as_matrix(), np.zeros((3, 1))]), cam_from_world)
    error, other = (
        np.abs(render(cloud, camera, pose, backend="torch").image - image)[10:-10, 10:-10]
        for pose in (cam_from_world, turned)
    )
    assert np.median(error) < 0.015 and np.quantile(error, 0.8) < 0.06
    assert np.median(other) > 2 * np.median(error)


@pytest.mark.parametrize("name", ["gaussians.ply", "gaussians.spz"])
def test_exported_cameras_see_the_exported_images(room: Any, tmp_path: Path, name: str) -> None:
    scene = with_gaussians(room(cameras=CAMERA, world=WORLD))
    folder = tmp_path / "out"
    result = export(scene, folder)
    cloud = (read_spz if name.endswith("spz") else read_gaussians_ply)(folder / name)
    assert len(cloud) == result.figures["gaussians"] > 0.8 * result.figures["gaussians_predicted"]
    model = pycolmap.Reconstruction(folder / "sparse" / "0")
    for image in list(model.images.values())[::2]:
        camera = Camera.from_pycolmap(model.cameras[image.camera_id])
        assert_shows(cloud, camera, image.cam_from_world().matrix(), folder / "images" / image.name)
    assert room.distance_to_surface(transform_points(invert(WORLD), cloud.means.astype(float))).max() < 0.02


def test_the_applied_transform_takes_them_into_the_frame_of_transforms_json(room: Any, tmp_path: Path) -> None:
    scene = with_gaussians(room(names=FEW, cameras=CAMERA))
    folder = tmp_path / "out"
    export(scene, folder)
    document = json.loads((folder / "transforms.json").read_text())
    applied = np.array(document["applied_transform"])
    cloud = moved(read_gaussians_ply(folder / "gaussians.ply"), Sim3(1.0, applied[:, :3], applied[:, 3]))
    entry = document["frames"][1]
    world_from_cam = np.array(entry["transform_matrix"]) @ np.diag([1.0, -1, -1, 1])  # OpenGL to OpenCV
    assert_shows(cloud, CAMERA["phone"], invert(world_from_cam[:3]), folder / entry["file_path"])


def test_in_survey_coordinates_they_leave_out_the_offset_that_is_named(room: Any, tmp_path: Path) -> None:
    """Single precision would hold them to half a unit only."""
    scene = replace(with_gaussians(room(names=FEW, cameras=CAMERA)), up_source="gps")
    survey = Sim3(1.0, np.eye(3), np.array([441547.5, 5121946.5, 2345.1]))
    tracks = replace(scene.tracks, points=survey.apply(scene.tracks.points))
    far = replace(scene, cam_from_world=survey.apply_to_cameras(scene.cam_from_world), tracks=tracks)
    clouds = {}
    config = ExportConfig(film_on_cpu=FilmConfig(side_px=48, frames=2, max_gaussians=400))
    for name, one in (("near", scene), ("far", far)):
        run(one, config, SilentProgress(), tmp_path / name)
        clouds[name] = read_gaussians_ply(tmp_path / name / "gaussians.ply")
    offset = np.array(json.loads((tmp_path / "far" / "transforms.json").read_text())["world_offset"])
    line = f"comment offset {' '.join(map(repr, offset.tolist()))}\n"
    assert line.encode() in (tmp_path / "far" / "gaussians.ply").read_bytes()[:2000]
    np.testing.assert_allclose(clouds["far"].means + (offset - survey.translation), clouds["near"].means, atol=1e-5)
    np.testing.assert_allclose(clouds["far"].scales, clouds["near"].scales, rtol=1e-5)
    compressed = read_spz(tmp_path / "far" / "gaussians.spz")
    assert np.abs(compressed.means).max() < 20 and (tmp_path / "far" / "orbit.mp4").stat().st_size > 1000


def test_depth_is_that_of_the_scene(room: Any) -> None:
    scene = with_gaussians(room(names=FEW, cameras=CAMERA))
    cloud = scene_gaussians(scene, range(4), IgnoredPixels(scene, range(4), {}), ExportConfig())
    picture = render(cloud, CAMERA["phone"], scene.cam_from_world[1], backend="torch")
    true = 3 * scene.prediction.depth[1]
    seen = picture.depth.reshape(80, 2, 120, 2).mean(axis=(1, 3))
    assert np.quantile(np.abs(seen / true - 1)[5:-5, 5:-5], 0.9) < 0.02


def test_frames_that_are_not_exported_sky_and_borders_leave_no_gaussians(room: Any) -> None:
    scene = with_gaussians(room(names=FEW, cameras=CAMERA))
    sky = np.zeros(scene.prediction.depth.shape, bool)
    sky[:, :40] = True
    scene = replace(scene, prediction=replace(scene.prediction, sky=sky))
    cloud = scene_gaussians(scene, [0, 2], IgnoredPixels(scene, [0, 2], {}), ExportConfig())
    assert set(np.unique(cloud.view)) == {0, 2}
    mine = cloud.means[cloud.view == 2].astype(float)
    pixels = CAMERA["phone"].project(transform_points(scene.cam_from_world[2], mine))
    margin = 8 / 256 * np.array([240, 160])
    low, high = np.array([margin[0], 80]) - 1e-3, np.array([240, 160]) - margin + 1e-3
    assert (pixels >= low).all() and (pixels <= high).all()
    assert len(mine) == pytest.approx((120 - 2 * 3.75) * (40 - 2.5), rel=0.05)


def test_a_view_without_a_depth_scale_is_left_out(room: Any) -> None:
    scene = with_gaussians(room(names=FEW, cameras=CAMERA))
    scene = replace(scene, depth_scale=np.array([3.0, np.nan, 3.0, 3.0]))
    cloud = scene_gaussians(scene, range(4), IgnoredPixels(scene, range(4), {}), ExportConfig())
    assert set(np.unique(cloud.view)) == {0, 2, 3}


def test_a_cap_and_a_film(room: Any, tmp_path: Path) -> None:
    scene = with_gaussians(room(names=FEW, cameras=CAMERA))
    result = export(scene, tmp_path / "out", max_gaussians=2000, orbit_video=True)
    assert result.figures["gaussians"] == 2000 == len(read_spz(tmp_path / "out" / "gaussians.spz"))
    film = probe_video(tmp_path / "out" / "orbit.mp4")
    assert film.width == 240 and film.height == 160 and len(film.times_s) == 48


def test_no_gaussians_no_files_and_those_of_an_earlier_run_go(room: Any, tmp_path: Path) -> None:
    scene = room(names=FEW, cameras=CAMERA)
    folder = tmp_path / "out"
    export(with_gaussians(scene), folder)
    assert (folder / "gaussians.ply").exists() and (folder / "gaussians.spz").exists()
    result = export(scene, folder)
    assert not (folder / "gaussians.ply").exists() and not (folder / "gaussians.spz").exists()
    assert "gaussians" not in result.figures


def test_gaussians_that_are_all_lost_leave_no_files(room: Any, tmp_path: Path) -> None:
    scene = with_gaussians(room(names=FEW, cameras=CAMERA))
    cloud = scene.prediction.gaussians
    assert cloud is not None
    faint = replace(scene.prediction, gaussians=replace(cloud, opacities=0 * cloud.opacities))
    result = export(replace(scene, prediction=faint), tmp_path / "out", orbit_video=True)
    assert result.figures["gaussians"] == 0
    assert not (tmp_path / "out" / "gaussians.ply").exists()
