"""OpenSfM's and OpenDroneMap's reconstruction.json."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from ...errors import CaptureError
from ...guard.bounded import read_json
from .views import Intrinsics, KnownView, Project, brown, checked, rigid

__all__ = ["read", "recognises"]

logger = logging.getLogger(__name__)

_PLACES = ("reconstruction.json", "opensfm/reconstruction.json", "odm/opensfm/reconstruction.json")


def recognises(folder: Path) -> bool:
    return any((folder / place).is_file() for place in _PLACES)


def read(folder: Path) -> Project:
    """The largest reconstruction: cam_from_world as axis times angle and translation, OpenCV's axes.

    Lengths in the picture are shares of its longer side, from its middle. Pictures are taken as they are stored.
    """
    path = next((folder / place for place in _PLACES if (folder / place).is_file()), None)
    if path is None:
        raise CaptureError(f"{folder}: holds no reconstruction.json of OpenSfM's")
    try:
        document = read_json(path)
        largest = max(document, key=lambda one: len(one["shots"]))
        cameras = {name: _camera(fields, f"{path}: {name}") for name, fields in largest["cameras"].items()}
        shots = sorted(largest["shots"].items())
        views = tuple(_view(name, shot, cameras, path, folder) for name, shot in shots)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CaptureError(
            f"{path}: no reconstruction of OpenSfM's ({type(error).__name__}: {error}); export it again"
        ) from error
    return Project("OpenSfM", path, views)


def _view(
    name: str, shot: dict[str, Any], cameras: dict[str, Intrinsics | None], path: Path, folder: Path
) -> KnownView:
    turn = Rotation.from_rotvec(np.asarray(shot["rotation"], float)).as_matrix()
    translation = np.asarray(shot["translation"], float).reshape(3, 1)
    pose = rigid(np.concatenate([turn, translation], axis=1), f"{path}: {name}")
    places = (folder / "images" / name, path.parent / "images" / name, folder / name)
    picture = next((place for place in places if place.is_file()), None)
    return KnownView(name, cameras[shot["camera"]], pose, path=picture, stored=True)


def _camera(fields: dict[str, Any], where: str) -> Intrinsics | None:
    """None, said, for a projection that no camera of ours has."""
    kind = str(fields["projection_type"])
    width, height = int(fields["width"]), int(fields["height"])
    longer = max(width, height)
    value = {key: float(fields.get(key, 0.0)) for key in ("k1", "k2", "k3", "k4", "p1", "p2", "c_x", "c_y")}
    if kind in ("spherical", "equirectangular"):
        raise CaptureError(f"{where}: an equirectangular camera; give flat pictures")
    fx = float(fields.get("focal_x", fields.get("focal", 0.0))) * longer
    fy = float(fields.get("focal_y", fields.get("focal", 0.0))) * longer
    centre = (width / 2 + value["c_x"] * longer, height / 2 + value["c_y"] * longer)
    radial = (value["k1"], value["k2"], value["k3"])
    if kind in ("perspective", "brown", "simple_radial", "radial"):
        found = brown((fx, fy), centre, (width, height), radial, (value["p1"], value["p2"]))
    elif kind in ("fisheye", "fisheye_opencv"):
        found = Intrinsics("OPENCV_FISHEYE", (fx, fy, *centre, *radial, value["k4"]), width, height)
    else:
        logger.warning("%s: a camera of type %s has none here: its lens is solved anew", where, kind)
        return None
    return checked(found, [fx, fy], where)
