"""COLMAP as the peer: SIFT, exhaustive matching, incremental mapping, one shared camera; each stage timed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pycolmap
from numpy.typing import NDArray

__all__ = ["ColmapRun", "run_colmap"]


@dataclass(frozen=True)
class ColmapRun:
    """Wall seconds of extraction + matching + mapping, and the poses of the largest model by image name."""

    seconds: float
    cam_from_world: dict[str, NDArray[np.float64]]


def run_colmap(images: Path, scratch: Path, camera_model: str = "SIMPLE_RADIAL") -> ColmapRun:
    """COLMAP with its defaults on the CPU and one camera for all images; `scratch` is an empty folder."""
    pycolmap.set_random_seed(0)
    previous_level, pycolmap.logging.minloglevel = pycolmap.logging.minloglevel, 2
    database = scratch / "database.db"
    started_s = time.perf_counter()
    reader = pycolmap.ImageReaderOptions()
    reader.camera_model = camera_model
    pycolmap.extract_features(
        database,
        images,
        camera_mode=pycolmap.CameraMode.SINGLE,
        reader_options=reader,
        device=pycolmap.Device.cpu,
    )
    pycolmap.match_exhaustive(database, device=pycolmap.Device.cpu)
    models = pycolmap.incremental_mapping(database, images, scratch)
    seconds = time.perf_counter() - started_s
    pycolmap.logging.minloglevel = previous_level
    if not models:
        return ColmapRun(seconds, {})
    largest = max(models.values(), key=lambda model: model.num_reg_images())
    poses = {image.name: image.cam_from_world().matrix() for image in largest.images.values() if image.has_pose}
    return ColmapRun(seconds, poses)
