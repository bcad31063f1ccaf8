"""COLMAP as the peer: SIFT, exhaustive matching, incremental or global mapping, one shared camera; timed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pycolmap

from ...arrays import Float
from ...quiet import quiet_colmap

__all__ = ["Cameras", "ColmapRun", "Mapper", "run_colmap"]

Mapper = Literal["incremental", "global"]
Cameras = Literal["one", "folders", "images"]
_CAMERA_MODES = {
    "one": pycolmap.CameraMode.SINGLE,
    "folders": pycolmap.CameraMode.PER_FOLDER,
    "images": pycolmap.CameraMode.PER_IMAGE,
}


@dataclass(frozen=True)
class ColmapRun:
    """Wall seconds of extraction + matching + mapping, the poses of the largest model by image name, and that model."""

    seconds: float
    cam_from_world: dict[str, Float]
    model: pycolmap.Reconstruction | None = None


def run_colmap(
    images: Path,
    scratch: Path,
    camera_model: str = "SIMPLE_RADIAL",
    mapper: Mapper = "incremental",
    *,
    cameras: Cameras = "one",
    masks: Path | None = None,
) -> ColmapRun:
    """COLMAP with its defaults on the CPU and one camera for all images unless told; `scratch` is an empty folder.

    masks: a folder of NAME.jpg.png, black where nothing is to be found.
    """
    pycolmap.set_random_seed(0)
    database = scratch / "database.db"
    started_s = time.perf_counter()
    reader = pycolmap.ImageReaderOptions()
    reader.camera_model = camera_model
    if masks is not None:
        reader.mask_path = masks
    with quiet_colmap():
        pycolmap.extract_features(
            database,
            images,
            camera_mode=_CAMERA_MODES[cameras],
            reader_options=reader,
            device=pycolmap.Device.cpu,
        )
        pycolmap.match_exhaustive(database, device=pycolmap.Device.cpu)
        mapping = pycolmap.incremental_mapping if mapper == "incremental" else pycolmap.global_mapping
        try:
            models = mapping(database, images, scratch)
        except (RuntimeError, ValueError):  # how it says that nothing can be mapped
            models = {}
    seconds = time.perf_counter() - started_s
    if not models:
        return ColmapRun(seconds, {})
    largest = max(models.values(), key=lambda model: model.num_reg_images())
    poses = {image.name: image.cam_from_world().matrix() for image in largest.images.values() if image.has_pose}
    return ColmapRun(seconds, poses, largest)
