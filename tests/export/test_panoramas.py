"""Views of panoramas are frames of a rig in the COLMAP model; panoramas are written as nerfstudio reads them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pycolmap
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

from da3_pipeline.export.colmap import write_colmap
from da3_pipeline.export.nerfstudio import PosedImage, TrainerWorld, write_panoramas
from da3_pipeline.geometry import compose, invert
from da3_pipeline.geometry.equirectangular import Equirectangular, view_from_panorama
from da3_pipeline.imageio import read_mask, read_rgb, write_mask
from da3_pipeline.types import PanoramaView, RigPlace, Tracks

AREA = Equirectangular.whole(64, 32)
CAMERA = AREA.view(90)
VIEWS = {"view000": view_from_panorama(0, 0), "view090": view_from_panorama(90, 0), "up": view_from_panorama(0, 90)}


def bodies(count: int = 3) -> list[np.ndarray]:
    """panorama_from_world of each instant."""
    rng = np.random.default_rng(0)
    return [np.column_stack([Rotation.random(random_state=k).as_matrix(), rng.normal(size=3)]) for k in range(count)]


def images(folder: Path, area: Equirectangular = AREA, masks: dict[int, Path] | None = None) -> list[PosedImage]:
    found = []
    for sensor, (name, turn) in enumerate(VIEWS.items(), start=1):
        for instant, body in enumerate(bodies()):
            own = np.column_stack([turn, np.zeros(3)])
            panorama = f"walk/{instant}.png"
            found.append(
                PosedImage(
                    f"walk/{name}/{instant}.jpg",
                    len(found) + 1,
                    sensor,
                    CAMERA,
                    compose(own, body),
                    RigPlace("walk", name, panorama, name == "view000", own),
                    PanoramaView(panorama, folder / f"{instant}.png", area, (masks or {}).get(instant), turn),
                )
            )
    return found


def written(posed: list[PosedImage], folder: Path) -> pycolmap.Reconstruction:
    tracks = Tracks(
        np.zeros((1, 3)), np.zeros((1, 3), np.uint8), np.ones(1), np.zeros(2, int), np.array([0, 1]), np.ones((2, 2))
    )
    write_colmap(folder, posed, list(range(len(posed))), tracks)
    return pycolmap.Reconstruction(folder)


def test_views_of_an_instant_are_a_frame_of_one_rig(tmp_path: Path) -> None:
    posed = images(tmp_path)
    model = written(posed, tmp_path / "sparse")
    (rig,) = model.rigs.values()
    assert (len(model.cameras), len(model.frames), rig.num_sensors()) == (3, 3, 3)
    assert rig.ref_sensor_id.id == 1
    for image in posed:
        there = model.images[image.image_id]
        np.testing.assert_allclose(there.cam_from_world().matrix(), image.cam_from_world, atol=1e-12)
        assert there.name == image.name
    for frame in model.frames.values():
        names = {model.images[data.id].name.rpartition("/")[2] for data in frame.data_ids}
        (name,) = names
        np.testing.assert_allclose(frame.rig_from_world.matrix(), bodies()[int(name[0])], atol=1e-12)


def test_an_image_that_stands_otherwise_is_a_frame_by_itself(tmp_path: Path) -> None:
    posed = images(tmp_path)
    turned = np.column_stack([Rotation.from_rotvec([0, 0.01, 0]).as_matrix(), np.zeros(3)])
    fields = vars(posed[4]) | {"cam_from_world": compose(turned, posed[4].cam_from_world)}
    posed[4] = PosedImage(**fields)
    model = written(posed, tmp_path / "sparse")
    assert len(model.rigs) == 1 and len(model.frames) == 4
    for image in posed:
        np.testing.assert_allclose(
            model.images[image.image_id].cam_from_world().matrix(), image.cam_from_world, atol=1e-12
        )


def test_a_rig_without_its_reference_has_another(tmp_path: Path) -> None:
    posed = [image for image in images(tmp_path) if image.camera_id != 1]
    model = written(posed, tmp_path / "sparse")
    (rig,) = model.rigs.values()
    assert rig.num_sensors() == 2 and len(model.frames) == 3
    for image in posed:
        np.testing.assert_allclose(
            model.images[image.image_id].cam_from_world().matrix(), image.cam_from_world, atol=1e-12
        )


def nerfstudio_direction(frame: dict[str, float], matrix: np.ndarray, x: float, y: float) -> np.ndarray:
    """World direction of a pixel: Cameras.generate_rays of nerfstudio 1.1.5 for CameraType.EQUIRECTANGULAR."""
    across, down = (x - frame["cx"]) / frame["fl_x"], -(y - frame["cy"]) / frame["fl_y"]
    theta, phi = -np.pi * across, np.pi * (0.5 - down)
    local = np.array([-np.sin(theta) * np.sin(phi), np.cos(phi), -np.cos(theta) * np.sin(phi)])
    return np.asarray(matrix[:3, :3] @ local)


def test_nerfstudio_looks_where_the_panorama_does(tmp_path: Path) -> None:
    for instant in range(3):
        Image.fromarray(np.full((32, 64, 3), 40 * instant, np.uint8)).save(tmp_path / f"{instant}.png")
    (tmp_path / "sparse_pc.ply").write_text("ply")
    world = TrainerWorld.of(Rotation.from_rotvec([1.0, 0.2, 0]).as_matrix(), np.zeros(3))
    folder = tmp_path / "equirectangular"
    assert write_panoramas(folder, images(tmp_path), world, tmp_path / "sparse_pc.ply") == 3
    document = json.loads((folder / "transforms.json").read_text())
    assert document["camera_model"] == "EQUIRECTANGULAR" and (folder / document["ply_file_path"]).exists()
    for frame, body in zip(document["frames"], bodies(), strict=True):
        assert read_rgb(folder / frame["file_path"]).shape == (32, 64, 3)
        matrix = np.array(frame["transform_matrix"])
        to_trainer = world.from_model.rotation @ invert(body)[:, :3]
        for x, y in ((32, 16), (48, 16), (5.5, 9.25), (60, 31)):
            expected = to_trainer @ AREA.rays(np.array([x, y]))
            np.testing.assert_allclose(nerfstudio_direction(frame, matrix, x, y), expected, atol=1e-9)
        np.testing.assert_allclose(matrix[:3, 3], world.from_model.apply(invert(body)[:, 3]), atol=1e-9)


def test_masks_of_panoramas_are_there_for_all_or_none(tmp_path: Path) -> None:
    for instant in range(3):
        Image.fromarray(np.full((32, 64, 3), 99, np.uint8)).save(tmp_path / f"{instant}.png")
    (tmp_path / "sparse_pc.ply").write_text("ply")
    used = np.full((32, 64), True)
    used[25:] = False
    write_mask(tmp_path / "below.png", used)
    world = TrainerWorld.of(np.eye(3), np.zeros(3))
    for masks in ({}, {1: tmp_path / "below.png"}):
        folder = tmp_path / f"masked {len(masks)}"
        write_panoramas(folder, images(tmp_path, masks=masks), world, tmp_path / "sparse_pc.ply")
        frames = json.loads((folder / "transforms.json").read_text())["frames"]
        assert [("mask_path" in frame) for frame in frames] == [bool(masks)] * 3
        for number, frame in enumerate(frames):
            if masks:
                expected = used if number == 1 else np.full((32, 64), True)
                np.testing.assert_array_equal(read_mask(folder / frame["mask_path"], 64, 32), expected)


@pytest.mark.parametrize("area", [None, Equirectangular(64, 24, 64.0, 32.0)])
def test_without_whole_panoramas_nothing_is_written(area: Equirectangular | None, tmp_path: Path) -> None:
    posed = [] if area is None else images(tmp_path, area)
    world = TrainerWorld.of(np.eye(3), np.zeros(3))
    assert write_panoramas(tmp_path / "e", posed, world, tmp_path / "x.ply") == 0
    assert not (tmp_path / "e").exists()
