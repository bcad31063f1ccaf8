"""nerfstudio's own data parsers open the folder unmodified, and see what was exported."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from da3_pipeline.export import ExportConfig, run
from da3_pipeline.export.config import UndistortionConfig
from da3_pipeline.export.undistortion import Undistortion
from da3_pipeline.geometry import Camera, transform_points
from da3_pipeline.geometry.equirectangular import Equirectangular, view_from_panorama
from da3_pipeline.imageio import write_mask
from da3_pipeline.progress import SilentProgress
from da3_pipeline.types import PanoramaView, Scene

pytestmark = pytest.mark.nerfstudio

PHONE = {"phone": Camera("SIMPLE_RADIAL", 240, 160, (180.0, 120.0, 80.0, -0.04))}
TWO = PHONE | {"tablet": Camera("SIMPLE_PINHOLE", 240, 160, (170.0, 121.0, 79.0))}
FISHEYE = {"action": Camera("OPENCV_FISHEYE", 240, 160, (120.0, 121.0, 121.0, 79.0, 0.02, -0.01, 0.002, 0.0))}
"""The colmap parser refuses a fourth coefficient."""
NAMES = tuple(f"floor {k % 2}/été's {k}.png" for k in range(10))
CASES = {"one camera": PHONE, "two cameras": TWO, "fisheye": FISHEYE}


def parsed(scene: Scene, folder: Path, parser: str, **options: Any) -> Any:
    """All images through nerfstudio-data or colmap, as splatfacto would ask for them."""
    run(scene, ExportConfig(depth_seeds=False, **options), SilentProgress(), folder)
    if parser == "nerfstudio":
        from nerfstudio.data.dataparsers.nerfstudio_dataparser import NerfstudioDataParserConfig as Config
    else:
        from nerfstudio.data.dataparsers.colmap_dataparser import ColmapDataParserConfig as Config
    place = {"colmap_path": Path("sparse/0")} if parser == "colmap" else {}
    config = Config(data=folder, load_3D_points=True, eval_mode="all", **place)
    return config.setup().get_dataparser_outputs(split="train")


@pytest.mark.parametrize("parser", ["nerfstudio", "colmap"])
@pytest.mark.parametrize("kind", CASES)
def test_seeds_project_onto_the_observations(room: Any, tmp_path: Path, parser: str, kind: str) -> None:
    cameras = CASES[kind]
    ids = tuple(list(cameras)[k % len(cameras)] for k in range(len(NAMES)))
    scene = room(names=NAMES, camera_ids=ids, cameras=cameras, track_count=300)
    outputs = parsed(scene, tmp_path / "out", parser)
    names = [path.relative_to(tmp_path / "out" / "images").as_posix() for path in outputs.image_filenames]
    assert sorted(names) == sorted(NAMES)
    seeds = outputs.metadata["points3D_xyz"].numpy().astype(np.float64)
    colours = outputs.metadata["points3D_rgb"].numpy()
    assert sorted(map(tuple, colours.tolist())) == sorted(map(tuple, scene.tracks.colours.tolist()))
    for index, name in enumerate(names):
        frame = NAMES.index(name)
        pixels = project(outputs.cameras, index, seeds)
        observed = scene.tracks.observation_xy[scene.tracks.observation_frame == frame]
        distance = np.linalg.norm(pixels[None] - observed[:, None], axis=2)
        assert np.nanmin(distance, axis=1).max() < 0.02


def project(cameras: Any, index: int, points: np.ndarray) -> np.ndarray:
    """Pixels of world points in nerfstudio's camera: OpenGL axes, its own distortion terms in our projection."""
    opengl = np.eye(4)
    opengl[:3] = cameras.camera_to_worlds[index].numpy()
    opencv_from_world = (np.diag([1.0, -1, -1, 1]) @ np.linalg.inv(opengl))[:3]
    k1, k2, k3, k4, p1, p2 = cameras.distortion_params[index].tolist()
    fisheye = cameras.camera_type[index].item() == 2
    camera = Camera(
        "OPENCV_FISHEYE" if fisheye else "OPENCV",
        int(cameras.width[index]),
        int(cameras.height[index]),
        (
            *(float(value[index]) for value in (cameras.fx, cameras.fy, cameras.cx, cameras.cy)),
            *((k1, k2, k3, k4) if fisheye else (k1, k2, p1, p2)),
        ),
    )
    return camera.project(transform_points(opencv_from_world, points))


@pytest.mark.parametrize("images_with_sky", [0, 1, 4])
def test_masks_reach_the_trainer(room: Any, tmp_path: Path, images_with_sky: int) -> None:
    """White is used: what nerfstudio loads is True below the horizon."""
    from nerfstudio.data.utils.data_utils import get_image_mask_tensor_from_path

    scene = room(names=NAMES[:4], track_count=300)
    sky = np.zeros(scene.prediction.depth.shape, bool)
    sky[:images_with_sky, :20] = True
    outputs = parsed(replace(scene, prediction=replace(scene.prediction, sky=sky)), tmp_path / "out", "nerfstudio")
    if not images_with_sky:
        assert outputs.mask_filenames is None
        return
    assert len(outputs.mask_filenames) == 4
    for image, path in zip(outputs.image_filenames, outputs.mask_filenames, strict=True):
        name = image.relative_to(tmp_path / "out" / "images").as_posix()
        used = get_image_mask_tensor_from_path(path)
        horizon = 40 if NAMES.index(name) < images_with_sky else 0
        assert tuple(used.shape) == (160, 240, 1)
        assert used[horizon:].all() and not used[:horizon].any()


@pytest.mark.parametrize("parser", ["nerfstudio", "colmap"])
def test_undistorted_images_masks_and_depths_reach_the_trainer(room: Any, tmp_path: Path, parser: str) -> None:
    """With the parser's default factor depth is in units of the scene."""
    from nerfstudio.data.utils.data_utils import get_depth_image_from_path, get_image_mask_tensor_from_path

    scene = room(names=NAMES[:4], cameras=FISHEYE, track_count=600)
    used = np.ones((160, 240), bool)
    used[:, :40] = False
    write_mask(tmp_path / "mask.png", used)
    frames = replace(
        scene.prediction.frames, frames=tuple(replace(f, mask=tmp_path / "mask.png") for f in scene.frames)
    )
    scene = replace(scene, prediction=replace(scene.prediction, frames=frames))
    outputs = parsed(scene, tmp_path / "out", parser, undistort=True)
    width, height = (int(value[0]) for value in (outputs.cameras.width, outputs.cameras.height))
    assert not outputs.cameras.distortion_params.any()
    for path in outputs.image_filenames:
        with Image.open(path) as image:
            assert image.size == (width, height)
    seeds = outputs.metadata["points3D_xyz"].numpy().astype(np.float64)
    for index, image in enumerate(outputs.image_filenames):
        frame = NAMES.index(image.relative_to(tmp_path / "out" / "images").as_posix())
        lens = Undistortion.of(FISHEYE["action"], "action", UndistortionConfig())
        observed = scene.tracks.observation_xy[scene.tracks.observation_frame == frame]
        observed = lens.undistorted(observed[lens.shows(observed) & (observed[:, 0] >= 40)])
        pixels = project(outputs.cameras, index, seeds)
        nearest = np.nanmin(np.linalg.norm(pixels[None] - observed[:, None], axis=2), axis=1)
        assert np.mean(nearest < 0.02) > 0.9  # a point of which one observation is left is no seed
    if parser == "colmap":
        return
    assert len(outputs.mask_filenames) == len(outputs.metadata["depth_filenames"]) == 4
    factor = outputs.metadata["depth_unit_scale_factor"]
    for mask_path, depth_path in zip(outputs.mask_filenames, outputs.metadata["depth_filenames"], strict=True):
        kept = get_image_mask_tensor_from_path(mask_path).numpy()[..., 0]
        depth = get_depth_image_from_path(depth_path, height, width, factor).numpy()[..., 0]
        assert kept.shape == depth.shape == (height, width)
        assert not depth[~kept].any() and (depth[kept] > 0).mean() > 0.3
        assert 1 < np.median(depth[depth > 0]) < 6  # the room is six units wide


def test_panoramas_look_where_they_did_and_their_masks_reach_the_trainer(room: Any, tmp_path: Path) -> None:
    from nerfstudio.cameras.cameras import CameraType
    from nerfstudio.data.dataparsers.nerfstudio_dataparser import NerfstudioDataParserConfig
    from nerfstudio.data.utils.data_utils import get_image_mask_tensor_from_path

    area = Equirectangular.whole(64, 32)
    used = np.full((32, 64), True)
    used[25:] = False
    write_mask(tmp_path / "below.png", used)
    frames = []
    scene = room(names=NAMES[:4], track_count=300)
    for k, frame in enumerate(scene.frames):
        whole = tmp_path / f"whole{k}.png"
        Image.fromarray(np.full((32, 64, 3), 60 * k, np.uint8)).save(whole)
        turn = view_from_panorama(90.0 * k, 20.0)
        frames.append(replace(frame, view_of=PanoramaView(whole.name, whole, area, tmp_path / "below.png", turn)))
    chosen = replace(scene.prediction.frames, frames=tuple(frames))
    scene = replace(scene, prediction=replace(scene.prediction, frames=chosen))
    config = ExportConfig(depth_seeds=False, equirectangular=True)
    run(scene, config, SilentProgress(), tmp_path / "out")
    parser = NerfstudioDataParserConfig(
        data=tmp_path / "out" / "equirectangular",
        eval_mode="all",
        orientation_method="none",
        center_method="none",
        auto_scale_poses=False,
    )
    outputs = parser.setup().get_dataparser_outputs(split="train")
    assert (outputs.cameras.camera_type == CameraType.EQUIRECTANGULAR.value).all()
    applied = np.array(json.loads((parser.data / "transforms.json").read_text())["applied_transform"])
    order = [int(path.stem[-1]) for path in outputs.image_filenames]
    assert sorted(order) == [0, 1, 2, 3]
    for index, k in enumerate(order):
        bundle = outputs.cameras.generate_rays(camera_indices=index)
        rows, columns = np.mgrid[0:32, 0:64] + 0.5
        own = area.rays(np.stack([columns, rows], -1)) @ frames[k].view_of.view_from_panorama.T
        directions = own @ scene.cam_from_world[k, :, :3] @ applied[:, :3].T
        np.testing.assert_allclose(bundle.directions.numpy(), directions, atol=1e-5)
        centre = -scene.cam_from_world[k, :, :3].T @ scene.cam_from_world[k, :, 3]
        np.testing.assert_allclose(bundle.origins.numpy()[0, 0], transform_points(applied, centre[None])[0], atol=1e-5)
        loaded = get_image_mask_tensor_from_path(outputs.mask_filenames[index]).numpy()[..., 0]
        np.testing.assert_array_equal(loaded, used)
