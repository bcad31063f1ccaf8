"""Lay rigs over a capture: cameras bolted together, as COLMAP's rig_config.json tells them.

The file lists rigs, a rig lists its cameras: the prefix of their images' names, which of them is the reference, the
pose `cam_from_rig` (rotation w, x, y, z and translation) of the others and a camera model where they are known. Images
whose names are equal after the prefix were taken at the same instant.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap
from scipy.spatial.transform import Rotation

from ..arrays import Float
from ..errors import CaptureError
from ..geometry.cameras import Camera
from ..guard.bounded import read_json
from ..guard.foreign import reading
from ..guard.limits import LIMITS
from ..types import Capture, Frame, RigPlace
from .names import UniqueNames, identifier
from .projects.name_matching import comparable_names
from .projects.views import Intrinsics

__all__ = ["RigCamera", "read_rigs", "with_rigs"]


logger = logging.getLogger(__name__)

_UNIT = 0.01  # how far a quaternion may be from unit length
_SOME_SIZE = 1000  # parameters are checked before any image is known


@dataclass(frozen=True)
class RigCamera:
    """One camera of a rig. cam_from_rig (3, 4): None where it is to be estimated, and for the reference."""

    rig: str
    prefix: str
    reference: bool
    cam_from_rig: Float | None = None
    intrinsics: Intrinsics | None = None


@reading(CaptureError, "give a COLMAP rig_config.json")
def read_rigs(path: Path) -> tuple[RigCamera, ...]:
    """The cameras of all rigs of a rig_config.json, rigs named rig1, rig2, ... in the order of the file.

    Raises CaptureError for a file that cannot be read, a rig that has not exactly one reference or fewer than two
    cameras, a prefix given twice, and poses or cameras that are none.
    """
    try:
        document = read_json(path)
        rigs = [list(rig["cameras"]) for rig in document]
        prefixes = [[str(camera["image_prefix"]) for camera in rig] for rig in rigs]
    except FileNotFoundError:
        raise CaptureError(f"{path}: no such file; give a COLMAP rig_config.json") from None
    except (ValueError, KeyError, TypeError) as error:
        raise CaptureError(
            f"{path}: not a rig_config.json ({type(error).__name__}: {error}); "
            "list rigs, each with cameras that have an image_prefix"
        ) from error
    everything = [prefix for rig in prefixes for prefix in rig]
    if not everything:
        raise CaptureError(f"{path}: it lists no cameras; list rigs, each with cameras that have an image_prefix")
    if len(everything) > LIMITS.rig_cameras:
        raise CaptureError(
            f"{path}: {len(everything):,} cameras, more than the {LIMITS.rig_cameras:,} of any rig; list one rig's"
        )
    twice = next((prefix for prefix, times in Counter(everything).items() if times > 1), None)
    if twice is not None:
        raise CaptureError(f"{path}: two cameras have the image_prefix '{twice}'; give each camera its own")
    cameras: list[RigCamera] = []
    for number, (rig, names) in enumerate(zip(rigs, prefixes, strict=True), start=1):
        found = [_camera(f"rig{number}", name, fields, path) for name, fields in zip(names, rig, strict=True)]
        if len(found) < 2 or sum(camera.reference for camera in found) != 1:
            raise CaptureError(
                f"{path}: rig {number} ({', '.join(names) or 'empty'}) needs two or more cameras, exactly one of them "
                'with "ref_sensor": true'
            )
        cameras += found
    return tuple(cameras)


def with_rigs(capture: Capture, path: Path | None) -> Capture:
    """The capture with `rig` filled in and a `camera_id` of its own for each camera of a rig.

    An image whose name begins with several prefixes belongs to the longest. A camera of the file's is a known camera,
    unless the frames have one already. Raises CaptureError for a prefix that no photograph begins with, photographs of
    two sizes or calibrations under one prefix, and a rig none of whose photographs share an instant.
    """
    if path is None:
        return capture
    cameras = read_rigs(path)
    placed = {photo.name: place for photo in capture.photos if (place := _place(photo.name, cameras)) is not None}
    photos_of: dict[str, list[Frame]] = defaultdict(list)
    for photo in capture.photos:
        if photo.name in placed:
            photos_of[placed[photo.name].sensor].append(photo)
    ids = UniqueNames()
    for camera_id in sorted({photo.camera_id for photo in capture.photos if photo.name not in placed}):
        ids.claim(camera_id, before_suffix=False)
    known, names = {}, {}
    for camera in cameras:
        if not photos_of[camera.prefix]:
            raise CaptureError(_no_image(path, camera, capture))
        known[camera.prefix] = _known_camera(path, camera, photos_of[camera.prefix])
        label = identifier(camera.prefix) or f"{camera.rig}_camera"
        names[camera.prefix] = ids.claim(label, before_suffix=False)
    _check_instants(path, cameras, placed)
    photos = []
    for photo in capture.photos:
        rig = placed.get(photo.name)
        if rig is not None:
            photo = replace(photo, rig=rig, camera_id=names[rig.sensor], known_camera=known[rig.sensor])
        photos.append(photo)
    return replace(capture, photos=tuple(photos))


def _camera(rig: str, prefix: str, fields: dict[str, Any], path: Path) -> RigCamera:
    where = f"{path}: camera '{prefix}'"
    reference = fields.get("ref_sensor", False) is True
    rotation, translation = fields.get("cam_from_rig_rotation"), fields.get("cam_from_rig_translation")
    pose = None
    if not reference and (rotation is None) != (translation is None):
        raise CaptureError(f"{where}: has only one of cam_from_rig_rotation and _translation; give both or neither")
    if not reference and rotation is not None:
        quaternion, offset = _numbers(rotation, 4, where), _numbers(translation, 3, where)
        if abs(float(np.linalg.norm(quaternion)) - 1) > _UNIT:
            raise CaptureError(f"{where}: cam_from_rig_rotation is no unit quaternion (w, x, y, z); correct the file")
        turn = Rotation.from_quat(np.roll(quaternion, -1)).as_matrix()
        pose = np.concatenate([turn, offset[:, None]], axis=1)
    return RigCamera(rig, prefix.replace("\\", "/").removeprefix("./"), reference, pose, _intrinsics(fields, where))


def _numbers(value: Any, count: int, where: str) -> Float:
    try:
        numbers = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        numbers = np.zeros(0)
    if numbers.shape != (count,) or not np.isfinite(numbers).all():
        raise CaptureError(f"{where}: cam_from_rig needs a rotation of 4 and a translation of 3 numbers")
    return numbers


def _intrinsics(fields: dict[str, Any], where: str) -> Intrinsics | None:
    model, params = fields.get("camera_model_name"), fields.get("camera_params")
    if model is None and params is None:
        return None
    try:
        values = tuple(float(value) for value in params or ())
        camera = pycolmap.Camera(model=str(model), width=_SOME_SIZE, height=_SOME_SIZE, params=list(values))
        fits = camera.verify_params() and bool(np.isfinite(values).all()) and camera.mean_focal_length() > 0
    except (TypeError, ValueError, RuntimeError):
        fits = False
    if not fits:
        raise CaptureError(
            f"{where}: camera_model_name {model} and camera_params {params} make no camera; correct them"
        )
    return Intrinsics(str(model), values, None, None)


def _place(name: str, cameras: Sequence[RigCamera]) -> RigPlace | None:
    """Where on which rig an image of this name was taken; its instant is the name after the prefix."""
    found = [
        (camera, form.removeprefix(camera.prefix))
        for camera in sorted(cameras, key=lambda camera: len(camera.prefix), reverse=True)
        for form in comparable_names(name)
        if form.startswith(camera.prefix)
    ]
    if not found:
        return None
    camera, instant = found[0]
    return RigPlace(camera.rig, camera.prefix, instant, camera.reference, camera.cam_from_rig)


def _known_camera(path: Path, camera: RigCamera, photos: Sequence[Frame]) -> Camera | None:
    """The one camera that all photographs under a prefix were taken with, where it is known."""
    sizes = sorted({(photo.width, photo.height) for photo in photos})
    if len(sizes) > 1:
        listed = " and ".join(f"{width} x {height}" for width, height in sizes[:2])
        raise CaptureError(f"{path}: images of '{camera.prefix}' are of {listed} px; a camera of a rig has one size")
    given = {photo.known_camera for photo in photos if photo.known_camera is not None}
    if len(given) > 1:
        raise CaptureError(f"{path}: images of '{camera.prefix}' have different intrinsics; a camera of a rig has one")
    if given:
        return given.pop()
    return None if camera.intrinsics is None else camera.intrinsics.at(*sizes[0])


def _check_instants(path: Path, cameras: Sequence[RigCamera], placed: dict[str, RigPlace]) -> None:
    """Raises where no instant of a rig has two images, and tells how many instants miss some."""
    for rig in dict.fromkeys(camera.rig for camera in cameras):
        size = sum(camera.rig == rig for camera in cameras)
        seen: dict[str, set[str]] = defaultdict(set)
        for place in placed.values():
            if place.rig == rig:
                seen[place.instant].add(place.sensor)
        whole = sum(len(sensors) == size for sensors in seen.values())
        if all(len(sensors) < 2 for sensors in seen.values()):
            names = [name for name, place in placed.items() if place.rig == rig]
            raise CaptureError(
                f"{path}: no two images of {rig} are named alike after their prefix ({names[0]}, {names[-1]}); "
                "images of one instant must be"
            )
        if whole < len(seen):
            logger.warning("%s: %d of %d instants of %s lack an image", path, len(seen) - whole, len(seen), rig)


def _no_image(path: Path, camera: RigCamera, capture: Capture) -> str:
    """The one line for a prefix that no photograph begins with."""
    stems = [clip.name for clip in capture.videos if clip.name.startswith(camera.prefix.rstrip("/"))]
    if stems:
        return (
            f"{path}: '{camera.prefix}' is the video {stems[0]}, whose frames are chosen one by one; "
            "extract the frames of all cameras of the rig to folders first"
        )
    example = capture.photos[0].name if capture.photos else "no photographs"
    return (
        f"{path}: no image of the capture begins with '{camera.prefix}' ({example} here); "
        "take that camera out of the file or add its images"
    )
