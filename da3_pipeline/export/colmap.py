"""The COLMAP model: cameras, rigs, frames, images and points, written by pycolmap."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pycolmap

from ..errors import ExportError
from ..types import Tracks
from .nerfstudio import PosedImage

__all__ = ["write_colmap"]


def write_colmap(folder: Path, images: Sequence[PosedImage], frames: Sequence[int], tracks: Tracks) -> None:
    """Write a binary model into `folder`. `frames` (one an image) are what `tracks` calls them.

    Every camera is a rig of its own. Points keep their order: point k has id k + 1.
    """
    model = pycolmap.Reconstruction()
    for camera_id, camera in {image.camera_id: image.camera for image in images}.items():
        model.add_camera_with_trivial_rig(camera.to_pycolmap(camera_id))
    # COLMAP counts an image's observations from 0 in the order of its keypoints.
    by_frame = tracks.by_frame(max(frames, default=-1) + 1)
    image_id = np.zeros(len(tracks.observation_frame), np.int64)
    keypoint = np.zeros(len(image_id), np.int64)
    for image, frame in zip(images, frames, strict=True):
        mine = by_frame[frame]
        image_id[mine], keypoint[mine] = image.image_id, np.arange(len(mine))
        entry = pycolmap.Image(
            name=image.name,
            keypoints=tracks.observation_xy[mine],
            camera_id=image.camera_id,
            image_id=image.image_id,
        )
        model.add_image_with_trivial_frame(entry, pycolmap.Rigid3d(image.cam_from_world))
    _add_points(model, tracks, image_id, keypoint)
    _write(model, folder, images, tracks)


def _add_points(model: pycolmap.Reconstruction, tracks: Tracks, image_id: np.ndarray, keypoint: np.ndarray) -> None:
    by_point = tracks.by_point()
    # Plain integers: pybind11 converts them several times faster than numpy's.
    image_ids, keypoints = image_id[by_point.order].tolist(), keypoint[by_point.order].tolist()
    element, track = pycolmap.TrackElement, pycolmap.Track
    for index, (start, end) in enumerate(pairwise(by_point.starts.tolist())):
        elements = [element(i, k) for i, k in zip(image_ids[start:end], keypoints[start:end], strict=True)]
        model.add_point3D(tracks.points[index], track(elements), tracks.colours[index])
    points = model.points3D
    for index, error_px in enumerate(tracks.point_error_px.tolist()):
        points[index + 1].error = error_px


def _write(model: pycolmap.Reconstruction, folder: Path, images: Sequence[PosedImage], tracks: Tracks) -> None:
    """Write and check the sizes: COLMAP's streams do not say when the disk is full."""
    folder.mkdir(parents=True)
    try:
        model.write_binary(folder)
    except RuntimeError as error:
        raise ExportError(f"{folder}: the COLMAP model cannot be written ({error}); choose another --output") from error
    observations = len(tracks.observation_point)
    names = sum(len(image.name.encode()) + 1 for image in images)
    expected = {
        "images.bin": 8 + len(images) * (4 + 7 * 8 + 4 + 8) + names + 24 * observations,
        "points3D.bin": 8 + len(tracks) * (8 + 24 + 3 + 8 + 8) + 8 * observations,
    }
    for name, size in expected.items():
        if (folder / name).stat().st_size != size:
            raise ExportError(f"{folder / name}: could not be written in full; free some space and run again")
