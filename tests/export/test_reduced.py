"""Smaller copies: pixels are the means of whole blocks, so that intrinsics divided by the factor are exact."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError

from da3_pipeline.errors import ExportError
from da3_pipeline.export import ExportConfig, run, write_reduced
from da3_pipeline.geometry import Camera, transform_points
from da3_pipeline.progress import SilentProgress
from da3_pipeline.types import Scene

NAMES = ("b.png", "walk/a.png", "walk/c d.png")
CAMERA = {"odd": Camera("PINHOLE", 243, 165, (180.0, 183.0, 121.0, 84.0))}


def export(scene: Scene, folder: Path, **options: Any) -> Path:
    run(scene, ExportConfig(**options), SilentProgress(), folder)
    return folder


def files(folder: Path) -> list[str]:
    return sorted(os.path.relpath(Path(at) / f, folder) for at, _, found in os.walk(folder) for f in found)


def ramp(height: int, width: int) -> NDArray[np.float64]:
    """Levels that tell rows and columns apart: a pixel's centre in its red and green."""
    rows, columns = np.indices((height, width)) + 0.5
    return np.stack([columns * 0.5, rows * 0.5, np.zeros_like(rows)], axis=2)


@pytest.mark.parametrize("factor", [2, 3, 4, 8])
def test_a_pixel_lies_where_intrinsics_divided_by_the_factor_put_it(tmp_path: Path, factor: int) -> None:
    """No side is a multiple of the factors: what is left over is cut off, not squeezed in."""
    (tmp_path / "images").mkdir()
    Image.fromarray(np.round(ramp(187, 331)).astype(np.uint8)).save(tmp_path / "images" / "a.png")
    write_reduced(tmp_path, [factor], SilentProgress())
    small = np.asarray(Image.open(tmp_path / f"images_{factor}" / "a.png"))
    assert small.shape == (187 // factor, 331 // factor, 3)
    assert np.abs(small - ramp(*small.shape[:2]) * factor).max() <= 0.76  # two roundings


def test_a_pixel_of_a_mask_is_used_where_all_of_it_is(tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    used = np.full((6, 9), 255, np.uint8)
    used[3, 4] = 0
    Image.fromarray(used).save(tmp_path / "masks" / "a.jpg.png")
    write_reduced(tmp_path, [2], SilentProgress())
    small = np.asarray(Image.open(tmp_path / "masks_2" / "a.jpg.png"))
    assert small.shape == (3, 4) and np.argwhere(small == 0).tolist() == [[1, 2]] and set(np.unique(small)) == {0, 255}


def test_every_folder_has_copies_of_the_same_names(room: Any, tmp_path: Path) -> None:
    scene = room(names=NAMES, cameras=CAMERA)
    folder = export(scene, tmp_path / "out", downscale=(4, 2, 2), depths=True)
    assert {path.name for path in folder.iterdir()} >= {"images_2", "images_4", "depths_2", "depths_4"}
    for factor in (2, 4):
        for kind in ("images", "depths"):
            assert files(folder / f"{kind}_{factor}") == files(folder / kind) != []
    whole, half = (np.load(folder / name / "b.npy") for name in ("depths", "depths_2"))
    assert half.shape == (whole.shape[0] // 2, whole.shape[1] // 2) and half[3, 5] == whole[7, 11]


@pytest.mark.parametrize("factor", [2, 4])
def test_seeds_have_the_colours_of_copies_as_gsplat_loads_them(room: Any, tmp_path: Path, factor: int) -> None:
    """examples/datasets/colmap.py: files of images/ and of images_N matched in their order, K divided by N, then
    corrected by what the first file's size differs from the rounded one."""
    folder = export(room(names=NAMES, cameras=CAMERA), tmp_path / "out", downscale=(factor,), depth_seeds=False)
    model = pycolmap.Reconstruction(folder / "sparse" / "0")
    path_of = dict(zip(files(folder / "images"), files(folder / f"images_{factor}"), strict=True))
    points = np.array([point.xyz for point in model.points3D.values()])
    colours = np.array([point.color for point in model.points3D.values()])
    for image in model.images.values():
        picture = np.asarray(Image.open(folder / f"images_{factor}" / path_of[image.name]))
        camera = model.cameras[image.camera_id]
        assert picture.shape[:2] == (camera.height // factor, camera.width // factor)
        K = camera.calibration_matrix()
        K[:2] /= factor
        in_camera = transform_points(image.cam_from_world().matrix(), points)
        seen = np.array([point.point3D_id for point in image.get_observation_points2D()], int)
        at = (in_camera @ K.T)[:, :2] / in_camera[:, 2:]
        chosen = np.isin(list(model.points3D), seen)
        inside = chosen & (np.floor(at) < [picture.shape[1], picture.shape[0]]).all(axis=1)
        columns, rows = np.floor(at[inside]).astype(int).T
        assert inside.sum() > 50
        assert np.median(np.abs(picture[rows, columns] - colours[inside].astype(float))) <= 3 * factor


def test_copies_go_with_what_they_are_copies_of(room: Any, tmp_path: Path) -> None:
    """An export without them leaves no stale ones; those of a trainer stay, and are not written over."""
    scene = room(names=NAMES[:2])
    folder = export(scene, tmp_path / "out", downscale=(2, 4))
    (folder / "images_8").mkdir()
    (folder / "images_8" / "b.png").write_text("a trainer's")
    export(scene, folder, downscale=(4,))
    assert not (folder / "images_2").exists() and (folder / "images_4" / "b.png").is_file()
    export(scene, folder)
    assert not (folder / "images_4").exists() and (folder / "images_8" / "b.png").read_text() == "a trainer's"
    with pytest.raises(ExportError, match=r"images_8.*not written by da3-pipeline"):
        export(scene, folder, downscale=(8,))


@pytest.mark.parametrize("factors", [(1,), (0,), (2, 64)])
def test_factors_that_reduce_nothing_are_refused(factors: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError):
        ExportConfig(downscale=factors)


def test_the_same_copies_are_the_same_settings() -> None:
    assert ExportConfig(downscale=(8, 2, 4, 2)) == ExportConfig(downscale=(2, 4, 8))
