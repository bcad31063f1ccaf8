"""Pix4D's Open Photogrammetry Format: project.opf with its camera list and calibrated cameras."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import numpy as np
from scipy.spatial.transform import Rotation

from ...errors import CaptureError
from ...guard.bounded import read_json
from .views import Intrinsics, KnownView, Project, brown, checked, from_opengl, rigid

__all__ = ["read", "recognises"]

logger = logging.getLogger(__name__)

_CALIBRATED = "application/opf-calibrated-cameras+json"
_LISTED = "application/opf-camera-list+json"
_INPUT = "application/opf-input-cameras+json"


def recognises(folder: Path) -> bool:
    return folder.is_dir() and next(folder.glob("*.opf"), None) is not None


def read(folder: Path) -> Project:
    """Poses are Rx(omega) Ry(phi) Rz(kappa) from an image with OpenGL's axes to a Cartesian world in metres.

    Pixels have a corner origin. A camera of the fisheye kind is solved anew: its polynomial is no model of ours.
    """
    path = min(folder.glob("*.opf"))
    try:
        parts = _parts(path)
        uris = {int(one["id"]): str(one["uri"]) for one in parts[_LISTED]["cameras"]}
        sizes = {int(one["id"]): tuple(one["image_size_px"]) for one in parts.get(_INPUT, {}).get("sensors", ())}
        calibrated = parts[_CALIBRATED]
        sensors = {
            int(one["id"]): _sensor(one["internals"], sizes.get(int(one["id"])), f"{path}: sensor {one['id']}")
            for one in calibrated["sensors"]
        }
        views = tuple(_view(one, uris, sensors, path) for one in calibrated["cameras"])
    except KeyError as error:
        raise CaptureError(f"{path}: it has no {error.args[0]}; export the calibrated project again") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise CaptureError(f"{path}: no project in OPF ({type(error).__name__}: {error}); export it again") from error
    return Project("OPF", path, views, metric=True, up=(0.0, 0.0, 1.0))


def _parts(path: Path) -> dict[str, dict[str, Any]]:
    """The resources of a project by their format; of several the last."""
    document = read_json(path)
    found = {}
    for item in document["items"]:
        for resource in item["resources"]:
            if resource["format"] in (_CALIBRATED, _LISTED, _INPUT):
                file = path.parent / unquote(str(resource["uri"]))
                if not file.is_file():
                    raise CaptureError(f"{path}: its part {resource['uri']} is not there; export the project again")
                found[str(resource["format"])] = read_json(file)
    return found


def _view(camera: dict[str, Any], uris: dict[int, str], sensors: dict[int, Intrinsics | None], path: Path) -> KnownView:
    uri = unquote(urlparse(uris[int(camera["id"])]).path)
    world_from_cam = np.eye(4)
    world_from_cam[:3, :3] = Rotation.from_euler("XYZ", camera["orientation_deg"], degrees=True).as_matrix()
    world_from_cam[:3, 3] = camera["position"]
    pose = from_opengl(np.vstack([rigid(world_from_cam, f"{path}: {uri}"), [0.0, 0.0, 0.0, 1.0]]))
    picture = path.parent / uri
    intrinsics = sensors[int(camera["sensor_id"])]
    return KnownView(uri, intrinsics, pose, "transforms", picture if picture.is_file() else None, stored=True)


def _sensor(internals: dict[str, Any], size: tuple[int, ...] | None, where: str) -> Intrinsics | None:
    if internals["type"] != "perspective":
        logger.warning("%s: a %s camera is solved anew", where, internals["type"])
        return None
    focal = float(internals["focal_length_px"])
    x, y = (float(value) for value in internals["principal_point_px"])
    radial = [float(value) for value in internals["radial_distortion"]]
    first, second = (float(value) for value in internals["tangential_distortion"])
    found = brown((focal, focal), (x, y), (0, 0), radial, (first, second))
    width, height = (int(size[0]), int(size[1])) if size is not None else (None, None)
    return checked(Intrinsics(found.model, found.params, width, height), [focal], where)
