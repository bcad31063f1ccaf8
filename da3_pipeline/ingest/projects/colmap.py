"""COLMAP's models, binary or text: cameras, and poses of pictures as they are stored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pycolmap

from ...errors import CaptureError
from ...files.colmap_model import read_colmap_model
from .views import Intrinsics, KnownView, Project, checked, rigid

__all__ = ["model_folder", "read", "read_model", "recognises"]

_PLACES = ("", "sparse/0", "sparse", "0", "colmap/sparse/0", "colmap/sparse", "colmap", "distorted/sparse/0")
_IMAGE_FOLDERS = ("images", "input", "rgb", "")


def recognises(folder: Path) -> bool:
    """A folder with a model and pictures: a model alone is no capture."""
    return model_folder(folder) is not None


def read(folder: Path) -> Project:
    """The model's images, looked for in `images`, `input`, `rgb` and beside the model."""
    model = model_folder(folder)
    if model is None:
        raise CaptureError(f"{folder}: holds no COLMAP model (cameras.bin or .txt)")
    return Project("COLMAP", model, read_model(model, folder))


def model_folder(folder: Path) -> Path | None:
    """Where the model is: in `folder` or one of the places below it that COLMAP and trainers use."""
    for place in _PLACES:
        for suffix in (".bin", ".txt"):
            if all((folder / place / f"{part}{suffix}").is_file() for part in ("cameras", "images")):
                return folder / place
    return None


def read_model(folder: Path, pictures: Path | None = None) -> tuple[KnownView, ...]:
    """The views of the model in `folder`; images are looked for in `pictures`. Rigs come out as their images' poses.

    COLMAP looks at pictures as they are stored: EXIF's orientation is not applied.
    """
    try:
        model = read_colmap_model(folder)
    except (ValueError, RuntimeError, IndexError, MemoryError) as error:
        why = " ".join(str(error).split())[:160]
        raise CaptureError(f"{folder}: not a readable COLMAP model ({why}); export it again") from error
    views = []
    for image in sorted(model.images.values(), key=lambda image: image.name):
        where = f"{folder}: {image.name}"
        pose = rigid(np.asarray(image.cam_from_world().matrix(), float), where) if image.has_pose else None
        path = None if pictures is None else _picture(pictures, image.name)
        views.append(KnownView(image.name, _intrinsics(image.camera, where), pose, path=path, stored=True))
    if not views:
        raise CaptureError(f"{folder}: the COLMAP model holds no images; export it again")
    return tuple(views)


def _intrinsics(camera: pycolmap.Camera, where: str) -> Intrinsics:
    params = tuple(float(p) for p in camera.params)
    size = int(camera.width), int(camera.height)
    if camera.model.name == "EQUIRECTANGULAR":
        raise CaptureError(f"{where}: an equirectangular camera; give flat pictures, or leave the model out")
    focals = [float(camera.focal_length_x), float(camera.focal_length_y)]
    return checked(Intrinsics(camera.model.name, params, *size), focals, where)


def _picture(folder: Path, name: str) -> Path | None:
    places = (folder / sub / name for sub in _IMAGE_FOLDERS)
    return next((place for place in places if place.is_file()), None)
