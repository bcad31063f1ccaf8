"""Two devices in one data set, landscape and portrait, each with a lens of its own: nothing is mixed up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap
import pytest
from PIL import Image

from da3_pipeline.export import ExportConfig, run
from da3_pipeline.geometry import Camera, transform_points
from da3_pipeline.progress import SilentProgress
from da3_pipeline.types import Scene

NAMES = ("fl_x", "fl_y", "cx", "cy", "k1", "k2", "p1", "p2")


@pytest.fixture
def written(mixed: Scene, tmp_path: Path) -> tuple[Scene, Path]:
    run(mixed, ExportConfig(depth_seeds=False), SilentProgress(), tmp_path / "out")
    return mixed, tmp_path / "out"


def entries(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / "transforms.json").read_text())["frames"]
    return found


def test_transforms_json_has_each_frames_own_lens_and_size(written: tuple[Scene, Path]) -> None:
    """By key: what a reader calls p1 is COLMAP's p1, the width is that of the picture."""
    scene, folder = written
    for frame, entry in zip(scene.frames, entries(folder), strict=True):
        camera = scene.cameras[frame.camera_id]
        assert entry["file_path"] == f"images/{frame.name}"
        assert tuple(entry[name] for name in NAMES) == camera.params
        with Image.open(folder / entry["file_path"]) as picture:
            assert (entry["w"], entry["h"]) == picture.size == (camera.width, camera.height)


def test_points_fall_on_their_observations_through_every_camera(written: tuple[Scene, Path]) -> None:
    scene, folder = written
    model = pycolmap.Reconstruction(folder / "sparse" / "0")
    assert model.num_cameras() == 2
    by_frame = scene.tracks.by_frame(len(scene.frames))
    for index, entry in enumerate(entries(folder)):
        image = model.images[entry["colmap_im_id"]]
        own = Camera.from_pycolmap(model.cameras[image.camera_id])
        told = Camera("OPENCV", entry["w"], entry["h"], tuple(entry[name] for name in NAMES))
        assert own == told == scene.cameras[scene.frames[index].camera_id]
        points = scene.tracks.points[scene.tracks.observation_point[by_frame[index]]]
        pixels = own.project(transform_points(image.cam_from_world().matrix(), points))
        np.testing.assert_allclose(pixels, scene.tracks.observation_xy[by_frame[index]], atol=1e-6)


def test_seeds_from_depth_of_both_devices_lie_on_the_surface(room: Any, mixed: Scene, tmp_path: Path) -> None:
    """Pixels of the depth maps are not square in the images of one of them."""
    from da3_pipeline.export.depth.trusted_depth import trusted_depth
    from da3_pipeline.export.ignored import IgnoredPixels

    frames = range(len(mixed.frames))
    views, refused = trusted_depth(mixed, frames, IgnoredPixels(mixed, frames, {}), ExportConfig())
    assert refused == [] and len(views) == len(frames)
    for view in views:
        rows, columns = np.nonzero(view.map.known())
        assert len(rows) > 500 and room.distance_to_surface(view.world_points(rows, columns)).max() < 5e-3
